"""Toy volumes: balls and hollow balls in noise, with masks of objects and of classes.

After the toy experiments of Jaeger et al., "Retina U-Net: embarrassingly simple exploitation of segmentation
supervision for medical object detection", ML4H 2020: discs with and without a hole, which their middle tells apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import nibabel
import numpy as np

from medshard.readers.base import Array
from medshard.testing.synthetic.paint import stream

__all__ = ["ShapesVolume", "ToyShape", "toy_shapes"]

BoxZYX: TypeAlias = "tuple[tuple[int, int, int], tuple[int, int, int]]"
"""First index inside and first index outside an axis."""

_SPACING_XYZ_MM = (1.0, 1.0, 2.0)
_ATTEMPTS = 200


@dataclass(frozen=True)
class ToyShape:
    """One object as it was painted.

    Attributes:
        instance: its value in the mask of objects, from 1.
        hollow: whether it has a hole, which is not part of it.
        box: tight around its voxels.
        voxels: their number.
    """

    instance: int
    hollow: bool
    box: BoxZYX
    voxels: int


@dataclass(frozen=True)
class ShapesVolume:
    """One volume's truth."""

    name: str
    shape_zyx: tuple[int, int, int]
    shapes: list[ToyShape] = field(default_factory=list)


def toy_shapes(
    root: Path | str,
    *,
    volumes: int = 8,
    shapes: int = 5,
    shape_zyx: tuple[int, int, int] = (40, 72, 80),
    seed: int = 0,
) -> list[ShapesVolume]:
    """Write ``scans/NAME.nii``, ``objects/NAME.nii`` and ``classes/NAME.nii`` (1 solid, 2 hollow).

    A volume depends on seed and number only, not on how many there are. Objects do not touch one another.

    Args:
        root: folder to write below; made if absent.
        shapes: objects of each volume, every second one hollow; fewer where no place is left.

    Returns:
        The truth as painted.
    """
    root = Path(root)
    for folder in ("scans", "objects", "classes"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    return [_paint(root, f"shapes{number:03d}", shapes, shape_zyx, seed) for number in range(volumes)]


def _paint(root: Path, name: str, shapes: int, shape_zyx: tuple[int, int, int], seed: int) -> ShapesVolume:
    random = stream(seed, "shapes", name)
    objects, classes = np.zeros(shape_zyx, np.uint8), np.zeros(shape_zyx, np.uint8)
    truth = ShapesVolume(name, shape_zyx)
    taken = np.zeros(shape_zyx, bool)
    z, y, x = np.ogrid[: shape_zyx[0], : shape_zyx[1], : shape_zyx[2]]
    for _ in range(_ATTEMPTS):
        if len(truth.shapes) == shapes:
            break
        instance = len(truth.shapes) + 1
        radius = random.uniform(4, 7)
        centre = [random.uniform(radius + 1, length - radius - 2) for length in shape_zyx]
        squares = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
        if taken[squares <= (radius + 2) ** 2].any():
            continue
        taken |= squares <= (radius + 2) ** 2
        hollow = instance % 2 == 0
        inside = (squares <= radius**2) & ((squares > (radius / 2) ** 2) if hollow else True)
        objects[inside], classes[inside] = instance, 2 if hollow else 1
        places = np.argwhere(inside)
        low, high = places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist()
        truth.shapes.append(ToyShape(instance, hollow, (tuple(low), tuple(high)), len(places)))
    scan = random.normal(0, 40, shape_zyx) + np.where(objects > 0, 120, 0)
    _write(root / "scans" / f"{name}.nii", np.rint(scan).astype(np.int16))
    _write(root / "objects" / f"{name}.nii", objects)
    _write(root / "classes" / f"{name}.nii", classes)
    return truth


def _write(path: Path, voxels_zyx: Array) -> None:
    affine = np.diag([*_SPACING_XYZ_MM, 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels_zyx.transpose(2, 1, 0), affine), path)
