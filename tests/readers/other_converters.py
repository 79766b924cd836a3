"""What other converters make of DICOM files, on our grid: dcm2niix, SimpleITK (GDCM) and nibabel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from medshard.readers.base import Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def dcm2niix_command() -> str:
    """The program; the test is skipped where it is not installed."""
    beside = Path(sys.executable).parent / "dcm2niix"
    found = os.environ.get("MEDSHARD_DCM2NIIX") or (str(beside) if beside.exists() else shutil.which("dcm2niix"))
    if not found:
        pytest.skip("dcm2niix is not installed (pip install dcm2niix)")
    return found


def dcm2niix(files: Sequence[Path], folder: Path) -> list[Any]:
    """The NIfTI images that dcm2niix makes of files, in the order of their names."""
    given, made = folder / "given", folder / "made"
    given.mkdir()
    made.mkdir()
    for number, file in enumerate(files):
        shutil.copyfile(file, given / f"{number:05}.dcm")
    command = [dcm2niix_command(), "-b", "n", "-z", "n", "-f", "%s_%p_%q", "-o", str(made), str(given)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    images = [nibabel.load(path) for path in sorted(made.glob("*.nii"))]
    assert images, run.stdout + run.stderr
    return images


def same_in_space(volume: Volume, theirs: NDArray[Any], affine: NDArray[np.float64], *, atol_mm: float = 2e-3) -> None:
    """Both have every voxel at the same place with the same value; axes may be reversed or exchanged.

    Args:
        theirs: (i, j, k) or (i, j, k, t).
        affine: (4, 4), (i, j, k) to RAS mm.
    """
    assert volume.affine_ijk_to_ras is not None
    ours = volume.voxels if volume.voxels.ndim == 4 else volume.voxels[None]
    steps = np.linalg.inv(affine) @ volume.affine_ijk_to_ras
    whole = np.round(steps)
    corner = np.array([*ours.shape[:0:-1], 1.0])
    apart = np.abs(affine @ (steps - whole) @ np.diag(corner))
    assert apart.max() < atol_mm, f"the grids lie {apart.max()} mm apart"
    assert sorted(np.abs(whole[:3, :3]).sum(axis=0)) == [1, 1, 1]
    k, j, i = (index.ravel() for index in np.indices(ours.shape[1:]))
    x, y, z = (whole @ np.stack([i, j, k, np.ones_like(i)])).astype(int)[:3]
    there = theirs if theirs.ndim == 4 else theirs[..., None]
    assert there.shape[3] == len(ours)
    assert sorted(there.shape[:3]) == sorted(ours.shape[1:])
    for time, of_time in enumerate(ours):
        np.testing.assert_array_equal(of_time.ravel(), there[x, y, z, time])
