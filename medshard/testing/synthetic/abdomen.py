"""An abdominal CT set: DICOM series and, on another path, label maps in NIfTI.

::

    P01/ct/1f3c9a.dcm ...         one slice a file; names say nothing of the order
    P01/segmentation.nii.gz       1 liver, 2 spleen, 3 left kidney, 4 right kidney, 5 liver lesion

Organs are ellipsoids in the patient's millimetres, so that volumes and diameters are known. Slices are thicker than
pixels, and the gantry of every third series is tilted.
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.canary import check_canary
from medshard.testing.synthetic.dicom_file import named_date, named_uid, new_image, save_image
from medshard.testing.synthetic.paint import stream

__all__ = ["LABELS", "AbdomenCase", "abdominal_ct"]

Ellipsoid: TypeAlias = "tuple[tuple[float, float, float], tuple[float, float, float]]"
"""Centre and half axes, (x, y, z) in RAS mm."""

LABELS = {"liver": 1, "spleen": 2, "kidney_left": 3, "kidney_right": 4, "lesion": 5}

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_SHAPE = (40, 80, 96)  # z, y, x
_SPACING_MM = (6.0, 3.2, 3.2)
_TILT_DEGREES = 12.0
_OFFSET_HU = 1024  # stored = HU + this
_HU = {"air": -1000, "fat": -90, "liver": 60, "spleen": 50, "kidney": 35, "bone": 450, "lesion": 15}
_ORGANS: dict[str, Ellipsoid] = {
    "liver": ((62.0, 12.0, 40.0), (58.0, 52.0, 58.0)),
    "spleen": ((-82.0, -18.0, 52.0), (26.0, 38.0, 40.0)),
    "kidney_left": ((-52.0, -42.0, -22.0), (24.0, 22.0, 46.0)),
    "kidney_right": ((54.0, -46.0, -36.0), (24.0, 22.0, 46.0)),
}


@dataclass(frozen=True)
class AbdomenCase:
    """One patient, as painted.

    Attributes:
        affine_ijk_to_ras: (4, 4) of both files.
        lesions: centre and radius, RAS mm.
        organs: by name.
        labels: (Z, Y, X).
    """

    patient_id: str
    affine_ijk_to_ras: NDArray[np.float64]
    lesions: tuple[tuple[tuple[float, float, float], float], ...]
    organs: dict[str, Ellipsoid]
    labels: NDArray[np.uint8]


def abdominal_ct(root: Path | str, *, seed: int = 0, cases: int = 8, canary: str | None = None) -> list[AbdomenCase]:
    """Paint the set.

    Args:
        root: the folder, made where it is missing.
        seed: another seed, other patients.
        cases: patients, one series each.
        canary: see the package.
    """
    check_canary(canary)
    return [_case(Path(root), seed, number, canary) for number in range(1, cases + 1)]


def _case(root: Path, seed: int, number: int, canary: str | None) -> AbdomenCase:
    numbers = stream(seed, "abdomen", number)
    name = f"P{number:02d}"
    organs = {
        organ: (_moved(centre, numbers, 4.0), _scaled(half, numbers)) for organ, (centre, half) in _ORGANS.items()
    }
    lesions = tuple(_lesion(organs["liver"], numbers) for _ in range(number % 3))
    affine = _affine(tilted=number % 3 == 0)
    k, j, i = np.mgrid[0 : _SHAPE[0], 0 : _SHAPE[1], 0 : _SHAPE[2]].astype(np.float64)
    x, y, z = (affine[row, 0] * i + affine[row, 1] * j + affine[row, 2] * k + affine[row, 3] for row in range(3))
    hounsfield = np.full(_SHAPE, float(_HU["air"]))
    labels = np.zeros(_SHAPE, np.uint8)
    hounsfield[(x / 140) ** 2 + (y / 100) ** 2 < 1] = _HU["fat"]
    spine = ((x / 22) ** 2 + ((y + 70) / 20) ** 2 < 1) & ((x / 140) ** 2 + (y / 100) ** 2 < 1)
    hounsfield[spine] = _HU["bone"]
    for organ, ((cx, cy, cz), (ax, ay, az)) in organs.items():
        inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 < 1
        hounsfield[inside] = _HU[organ.split("_")[0]]
        labels[inside] = LABELS[organ]
    for (cx, cy, cz), radius in lesions:
        inside = (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius**2
        hounsfield[inside], labels[inside] = _HU["lesion"], LABELS["lesion"]
    hounsfield += numbers.normal(0, 12, _SHAPE)
    _write_series(root / name / "ct", name, number, seed, hounsfield, affine, canary)
    _write_labels(root / name / "segmentation.nii.gz", labels, affine, canary)
    return AbdomenCase(name, affine, lesions, organs, labels)


def _moved(
    centre: tuple[float, float, float], numbers: np.random.Generator, by_mm: float
) -> tuple[float, float, float]:
    x, y, z = (float(place + step) for place, step in zip(centre, numbers.uniform(-by_mm, by_mm, 3), strict=True))
    return x, y, z


def _scaled(half: tuple[float, float, float], numbers: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = (float(length * factor) for length, factor in zip(half, numbers.uniform(0.9, 1.1, 3), strict=True))
    return x, y, z


def _lesion(liver: Ellipsoid, numbers: np.random.Generator) -> tuple[tuple[float, float, float], float]:
    """Well inside the liver."""
    (cx, cy, cz), (ax, ay, az) = liver
    u, v, w = numbers.uniform(-0.45, 0.45, 3)
    return (float(cx + u * ax), float(cy + v * ay), float(cz + w * az)), float(numbers.uniform(9.0, 18.0))


def _affine(*, tilted: bool) -> NDArray[np.float64]:
    """(i, j, k) to RAS mm: i to the left, j to the back, k up; the tilt of a gantry shears k along j."""
    step_z, step_y, step_x = _SPACING_MM
    affine = np.diag([-step_x, -step_y, step_z, 1.0])
    if tilted:
        affine[1, 2] = -step_z * math.tan(math.radians(_TILT_DEGREES))
    middle = (np.array(_SHAPE[::-1]) - 1) / 2
    affine[:3, 3] = -affine[:3, :3] @ middle
    return affine


def _write_series(
    folder: Path,
    name: str,
    number: int,
    seed: int,
    hounsfield: NDArray[np.float64],
    affine: NDArray[np.float64],
    canary: str | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stored = np.clip(np.rint(hounsfield) + _OFFSET_HU, 0, 4095).astype(np.uint16)
    for k, pixels in enumerate(stored):
        uid = named_uid(seed, "abdomen", name, k)
        uids = {
            "SOPInstanceUID": uid,
            "SeriesInstanceUID": named_uid(seed, "abdomen", name, "series"),
            "StudyInstanceUID": named_uid(seed, "abdomen", name, "study"),
            "FrameOfReferenceUID": named_uid(seed, "abdomen", name, "frame"),
        }
        dataset = new_image(_CT_IMAGE, uids, pixels)
        dataset.PatientID, dataset.PatientSex, dataset.PatientAge = name, "FM"[number % 2], f"{40 + number:03d}Y"
        dataset.StudyDate = named_date(10 * number)
        dataset.Modality, dataset.BodyPartExamined = "CT", "ABDOMEN"
        dataset.SeriesNumber, dataset.InstanceNumber = 2, len(stored) - k  # the scan ran from above
        dataset.AcquisitionNumber = 1
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.KVP = "120"
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -_OFFSET_HU, 1, "HU"
        dataset.WindowCenter, dataset.WindowWidth = 50, 400
        dataset.PixelSpacing, dataset.SliceThickness = list(_SPACING_MM[1:]), _SPACING_MM[0]
        place = affine[:3, 2] * k + affine[:3, 3]
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in (-place[0], -place[1], place[2])]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        save_image(folder / f"{uid[-6:]}-{k * 7919 % 97:02d}.dcm", dataset, canary)


def _write_labels(path: Path, labels: NDArray[np.uint8], affine: NDArray[np.float64], canary: str | None) -> None:
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(labels.transpose()), affine)
    image.header["descrip"] = (canary or "")[:79].encode()
    path.write_bytes(gzip.compress(image.to_bytes(), 6, mtime=0))
