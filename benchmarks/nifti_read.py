"""nii.gz to an array: medshard beside nibabel (with and without indexed_gzip), nibabel with isal, and SimpleITK.

python benchmarks/nifti_read.py

One thread, files in the page cache, contestants taking turns. What is told is processor time, since the work is of one
thread and other load on the machine would else be measured too; ratios are taken within a round.
"""

from __future__ import annotations

import gzip
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import nibabel
import numpy as np
from figures import ratio, spread
from numpy.typing import NDArray

from medshard.readers import read_volume
from medshard.readers.base import Blob

SHAPE_IJK = (512, 512, 200)
ROUNDS = 9
SCALES = {"int16 as stored": (1.0, 0.0), "int16, HU by an offset": (1.0, -1024.0), "int16, slope of 0.5": (0.5, 0.0)}


def ct() -> NDArray[np.int16]:
    """[i, j, k], 12 bits: a body with grain in air without any, as scanners reconstruct it."""
    rng = np.random.default_rng(0)
    i, j = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in SHAPE_IJK[:2]), indexing="ij")
    out = np.zeros(SHAPE_IJK, np.int16)
    for k in range(SHAPE_IJK[2]):
        inside = (i / 0.8) ** 2 + (j / (0.6 + 0.05 * np.sin(k / 20))) ** 2 < 1
        tissue = 1064 + 60 * np.sin(9 * i + k / 15) * np.cos(7 * j) + rng.normal(0, 18, SHAPE_IJK[:2])
        out[..., k] = np.where(inside, np.rint(tissue), 0).astype(np.int16)
    return out


def write(path: Path, voxels: NDArray[np.int16], slope: float, inter: float) -> None:
    image = nibabel.Nifti1Image(voxels, np.diag([0.7, 0.7, 1.5, 1]))
    image.header.set_slope_inter(slope, inter)
    path.write_bytes(gzip.compress(image.to_bytes(), 6))


def ours(path: Path) -> Any:
    return read_volume([Blob(path.name, path.stat().st_size, path.read_bytes)]).voxels


def by_nibabel(path: Path) -> Any:
    return np.asanyarray(nibabel.load(path).dataobj)


def by_nibabel_gzip(path: Path) -> Any:
    """As where indexed_gzip is not installed."""
    with mock.patch.object(nibabel._compression, "HAVE_INDEXED_GZIP", False):
        return by_nibabel(path)


def by_isal(path: Path) -> Any:
    from isal import igzip

    return np.asanyarray(nibabel.Nifti1Image.from_bytes(igzip.decompress(path.read_bytes())).dataobj)


def by_simpleitk(path: Path) -> Any:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def contestants() -> dict[str, Callable[[Path], Any]]:
    found: dict[str, Callable[[Path], Any]] = {"medshard": ours, "nibabel": by_nibabel_gzip}
    if importlib.util.find_spec("indexed_gzip"):
        found["nibabel, indexed_gzip"] = by_nibabel
    if importlib.util.find_spec("isal"):
        found["nibabel, isal"] = by_isal
    if importlib.util.find_spec("SimpleITK"):
        found["SimpleITK"] = by_simpleitk
    return found


def main() -> None:
    """Print a table: seconds, and how many times as long as medshard."""
    voxels = ct()
    readers = contestants()
    print("| file | reader | s | times medshard's |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, (slope, inter) in SCALES.items():
            path = Path(folder) / f"{slope}{inter}.nii.gz"
            write(path, voxels, slope, inter)
            expected = ours(path)
            seconds: dict[str, list[float]] = {reader: [] for reader in readers}
            for reader, read in readers.items():
                found = read(path)
                found = found if found.shape == expected.shape else found.transpose()
                np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32), err_msg=reader)
            for _ in range(ROUNDS):
                for reader, read in readers.items():
                    began = time.process_time()
                    read(path)
                    seconds[reader].append(time.process_time() - began)
            for reader, taken in seconds.items():
                print(f"| {name} | {reader} | {spread(taken)} | {ratio(taken, seconds['medshard'])} |", flush=True)


if __name__ == "__main__":
    main()
