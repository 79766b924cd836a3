"""Structure sets beside two other converters, rt-utils and dcmrtstruct2nii.

The rule for a voxel here: it is inside when its centre is. dcmrtstruct2nii has the same rule and another for a centre
on an edge; rt-utils rounds the points to whole pixels and paints the outline. So voxels may differ where an edge passes
within a pixel of the centre, and nowhere else.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from blobs import blob_of
from dicom_files import CT, UID, dataset, written
from mask_files import FRAME, contour, image_grid, structure_set
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from medshard.readers import read_labels, read_volume
from medshard.readers.base import Mask
from medshard.readers.grid import Grid

SIDE, SPACING = 48, 0.5  # rt-utils swaps rows and columns, in number and in spacing: they are equal here
SLICES = 6
PLANNED = image_grid(SLICES, SIDE, SIDE, spacing_yx=(SPACING, SPACING))
ANGLES = np.linspace(0, 2 * np.pi, 90, endpoint=False)
CIRCLE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
DISC, HOLE, ISLAND = CIRCLE * 17.3 + [22.4, 24.1], CIRCLE * 7.2 + [20.2, 25.7], CIRCLE * 3.1 + [43.0, 8.0]
KEYHOLE = np.array([*DISC, DISC[0], HOLE[0], *HOLE[::-1], DISC[0]])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT of six slices in ``ct/`` and its structures in ``rtss.dcm``."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "ct").mkdir()
    pixels = np.random.default_rng(0).integers(0, 1000, (SLICES, SIDE, SIDE)).astype(np.int16)
    for place, plane in enumerate(pixels):
        ras = PLANNED.affine_ijk_to_ras @ [0, 0, place, 1]
        slice_ = dataset(
            plane,
            SOPClassUID=CT,
            SOPInstanceUID=PLANNED.sop_instance_uids[place],
            SeriesInstanceUID=UID,
            StudyInstanceUID=f"{UID}.1",
            FrameOfReferenceUID=FRAME,
            Modality="CT",
            InstanceNumber=place + 1,
            ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            ImagePositionPatient=[f"{value:.6f}" for value in ras[:3] * [-1, -1, 1]],
            PixelSpacing=[str(SPACING), str(SPACING)],
            SliceThickness="2.5",
        )
        (folder / "ct" / f"{place}.dcm").write_bytes(written(slice_))
    uids = PLANNED.sop_instance_uids

    def on(place: int, *shapes: NDArray[np.float64]) -> list[Dataset]:
        return [contour(PLANNED, place, points, image=uids[place]) for points in shapes]

    file = structure_set(
        {
            "ring": [*on(1, DISC, HOLE), *on(2, DISC, HOLE), *on(4, DISC)],
            "keyhole": on(2, KEYHOLE),
            "islands": on(3, HOLE, ISLAND),
        }
    )
    reference, observations = Dataset(), []
    reference.FrameOfReferenceUID = FRAME
    file.ReferencedFrameOfReferenceSequence = Items([reference])
    for number in (1, 2, 3):
        observation = Dataset()
        observation.ObservationNumber = observation.ReferencedROINumber = number
        observation.RTROIInterpretedType = "ORGAN"
        observations.append(observation)
    file.RTROIObservationsSequence = Items(observations)
    for item in file.ROIContourSequence:
        item.ROIDisplayColor = [255, 0, 0]
    (folder / "rtss.dcm").write_bytes(written(file))
    return folder


@pytest.fixture(scope="module")
def ours(study: Path) -> Mask:
    volume = read_volume([blob_of(path) for path in sorted((study / "ct").iterdir())])
    shape, affine = volume.voxels.shape, volume.affine_ijk_to_ras
    grid = Grid(shape, affine, 3, volume.sop_instance_uids, volume.frame_of_reference_uid)
    return read_labels(blob_of(study / "rtss.dcm"), grid)


def region(mask: Mask, name: str) -> NDArray[np.bool_]:
    (value,) = [value for value, other in mask.names.items() if other == name]
    hit = mask.labels == value
    return np.asarray(hit if hit.ndim == 3 else hit.any(axis=0))


SHAPES = {
    "ring": {1: [DISC, HOLE], 2: [DISC, HOLE], 4: [DISC]},
    "keyhole": {2: [KEYHOLE]},
    "islands": {3: [HOLE, ISLAND]},
}


def near_an_edge(name: str, within_px: float) -> NDArray[np.bool_]:
    """Voxels whose centre lies within so many pixels of an edge of the structure, edge by edge."""
    near = np.zeros((SLICES, SIDE, SIDE), bool)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    for place, shapes in SHAPES[name].items():
        for points in shapes:
            for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
                length = (bx - ax) ** 2 + (by - ay) ** 2
                along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) if length else 0 * x
                near[place] |= np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) <= within_px
    return near


@pytest.mark.parametrize("name", list(SHAPES))
def test_rt_utils_differs_only_at_the_outline(study: Path, ours: Mask, name: str) -> None:
    rt_utils = pytest.importorskip("rt_utils", reason="rt-utils is not installed: pip install rt-utils")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = rt_utils.RTStructBuilder.create_from(str(study / "ct"), str(study / "rtss.dcm"))
        mask = np.moveaxis(theirs.get_roi_mask_by_name(name), -1, 0)
    differs = mask != region(ours, name)
    assert mask.any()
    assert not (differs & ~near_an_edge(name, 1.25)).any()


@pytest.mark.parametrize("name", list(SHAPES))
def test_dcmrtstruct2nii_is_equal_but_for_centres_on_an_edge(
    study: Path,
    ours: Mask,
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pydicom, "read_file", pydicom.dcmread, raising=False)  # its name before pydicom 3
    nibabel = pytest.importorskip("nibabel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = pytest.importorskip(
            "dcmrtstruct2nii", reason="dcmrtstruct2nii is not installed: pip install dcmrtstruct2nii"
        )
        converter.dcmrtstruct2nii(
            str(study / "rtss.dcm"), str(study / "ct"), str(tmp_path), structures=[name], convert_original_dicom=False
        )
    capsys.readouterr()
    (file,) = tmp_path.glob("*.nii.gz")
    image = nibabel.load(file)
    mask = np.asarray(image.dataobj).T > 0
    assert np.allclose(image.affine, ours.affine_ijk_to_ras, atol=1e-3)
    differs = mask != region(ours, name)
    assert mask.any()
    assert not (differs & ~near_an_edge(name, 1e-6)).any()
