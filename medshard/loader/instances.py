"""Boxes of the objects in a delivered mask: found after the transform, so they are tight around what is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard.errors import LoaderError
from medshard.facts.components import connected_parts
from medshard.facts.runs import Runs, runs_by_value
from medshard.readers.base import Array

__all__ = ["IGNORED", "Instances", "find_instances"]

IGNORED = -1
"""Label of what a loss should leave out, unless another is asked for."""


@dataclass(frozen=True)
class Instances:
    """The objects of one mask, by value and then in the order of their first voxel.

    Attributes:
        ids: (n,) int64: the mask's value where each value is an object, else numbers from 1.
        values: (n,) int64: the mask's value, which is the object's class where parts are objects.
        boxes: (n, 2, d) int64: first index inside and first index outside each axis of the mask.
        sizes: (n,) int64: pixels or voxels.
    """

    ids: NDArray[np.int64]
    values: NDArray[np.int64]
    boxes: NDArray[np.int64]
    sizes: NDArray[np.int64]


def find_instances(
    mask: Array,
    *,
    objects: Literal["values", "parts"] = "values",
    least: int = 1,
    least_visible: float = 0.0,
    stored_sizes: Mapping[int, int] | None = None,
    stored_per_voxel: float = 1.0,
    ignored: int = IGNORED,
) -> tuple[Instances, Array]:
    """The objects of a delivered mask, and the mask in which those that are hardly seen are ignored.

    Args:
        mask: (H, W) or (D, H, W), whole numbers; 0 and ``ignored`` are no objects.
        objects: ``values`` where each value is an object, as in masks of instances: an object that a crop has cut into
            pieces has one box and keeps its id. ``parts`` where each connected part of a value is one (26 or 8
            neighbours), as in masks of classes.
        least: pixels or voxels below which an object is left out.
        least_visible: share of its stored voxels below which it is left out; of ``values`` only.
        stored_sizes: voxels of each value in the whole volume, as ``Corpus.foreground`` gives them.
        stored_per_voxel: stored voxels for one delivered: 1 / |det| of the batch's ``geometry``.
        ignored: label that takes the place of what is left out.

    Returns:
        The objects that are kept, and a mask of the same shape; the given one where nothing was left out.

    Raises:
        LoaderError: ``least_visible`` is asked for and the stored sizes are not known.
    """
    if least_visible > 0 and (objects == "parts" or stored_sizes is None):
        raise LoaderError("least_visible needs stored_sizes, and objects='values', whose sizes these are")
    whole = mask if mask.ndim == 3 else mask[None]
    found = runs_by_value(np.where(whole == ignored, 0, whole))
    if found is None:
        raise LoaderError("the mask is too fragmented for objects to be found in it")
    kept: list[tuple[int, int, NDArray[np.int64], int]] = []
    cleaned = whole
    number = 0
    for value, runs in sorted(found.items()):
        part = connected_parts(runs) if objects == "parts" else np.zeros(len(runs), np.int64)
        for place in range(int(part.max()) + 1):
            of_object = runs.taken(part == place)
            number += 1
            size = int(of_object.length.sum())
            floor = max(float(least), 1.0)
            if least_visible > 0 and stored_sizes is not None:
                floor = max(floor, least_visible * stored_sizes[value] / stored_per_voxel)
            if size >= floor:
                kept.append((number if objects == "parts" else value, value, _box(of_object), size))
                continue
            cleaned = cleaned.copy() if cleaned is whole else cleaned
            for z, y, start, stop in zip(of_object.z, of_object.y, of_object.start, of_object.stop, strict=True):
                cleaned[z, y, start:stop] = ignored
    boxes = np.array([box[:, 3 - mask.ndim :] for _, _, box, _ in kept], np.int64).reshape(-1, 2, mask.ndim)
    columns = [np.array([row[column] for row in kept], np.int64) for column in (0, 1, 3)]
    return Instances(columns[0], columns[1], boxes, columns[2]), cleaned.reshape(mask.shape)


def _box(runs: Runs) -> NDArray[np.int64]:
    low = [runs.z.min(), runs.y.min(), runs.start.min()]
    high = [runs.z.max() + 1, runs.y.max() + 1, runs.stop.max()]
    return np.array([low, high], np.int64)
