"""A batch: tensors, text, and what is needed to trace and resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from medshard.augment import Compiled
from medshard.augment.planes import Planes
from medshard.augment.views import elastic_of
from medshard.errors import LoaderError
from medshard.loader.pixels import PixelPlan

__all__ = ["Batch", "told_geometry", "told_planes"]


class Batch(dict[str, Any]):
    """A ``dict`` that moves.

    ``image``: (B, C, H, W). With a family that has a rule for pictures instead: ``pixel_values`` and ``image_tokens``
    (B,), with ``image_grid_thw``, ``tiles`` or ``image_sizes`` (docs/families.md). ``mask``: (B, H, W), when a mask
    slot was asked for. ``text``: a list of messages an item. ``key``: the sample's key. ``item``: ``KEY/c1``.
    ``valid``: bool, False where a sample could not be read.
    ``has_image``, ``has_mask``: bool, False where an item has none (its pixels are zeros and mean nothing).
    ``geometry``: (B, 2, 3), float64, delivered from stored: x' = g[0] · (x, y, 1), y' = g[1] · (x, y, 1), in continuous
    pixels; see ``medshard.augment.to_source``. ``elastic``: an ``Elastic`` or None an item, where the transform has an
    ElasticTransform. With MultiCrop: ``views``, a list of tensors, instead of ``image``, ``mask_views`` instead of
    ``mask``, and ``geometry`` (B, views, 2, 3), ``elastic`` a list of views an item.
    Of pictures of volumes: with TakeSlices ``image`` is (B, N, C, H, W) and ``mask`` (B, N, H, W); ``pictures`` (B,)
    how many an item has. ``slice_index`` (B, N) int64, ``position_mm`` (B, N) and ``voxels_from_picture`` (B, N, 3, 4)
    float64, a row a picture or a tile of a montage; -1 and not a number where there is none or nothing is known. See
    ``medshard.augment.to_voxels``.
    Of crops in 3D: ``image`` (B, C, D, H, W), ``mask`` (B, D, H, W) or with layers (B, L, D, H, W), ``geometry``
    (B, 3, 4) over (i, j, k), indices of voxel centres, ``affine`` (B, 4, 4) float64, the crop's (i, j, k) to RAS in mm
    or not a number, ``presence`` (B, C) bool, ``crop`` (B,) int64; ``patch_mask``, ``window_start_zyx`` and
    ``volume_shape_zyx`` where the transform makes them. With Views3D: ``views`` and ``mask_views``, and an axis of
    views after the first of ``geometry``, ``affine``, ``presence`` and ``patch_mask``. See docs/loader.md.
    ``padded``: bool, True for items that only fill the step. ``state``: the loader's state after this batch.
    """

    def _tensors(self, change: Any) -> Batch:
        return Batch({name: _changed(value, change) for name, value in self.items()})

    def to(self, device: Any, *, non_blocking: bool = False) -> Batch:
        """The batch with all tensors on a device."""
        return self._tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch with all tensors in pinned memory, from which copies to a GPU run aside."""
        return self._tensors(lambda tensor: tensor.pin_memory())


def _changed(value: Any, change: Any) -> Any:
    """A tensor changed, or the tensors of a list of views."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        return [change(tensor) for tensor in value]
    return value


def told_geometry(plans: Sequence[PixelPlan | LoaderError], compiled: Compiled) -> dict[str, Any]:
    """``geometry``, and ``elastic`` where there may be some; an item without a picture has the identity and None."""
    views = len(compiled.views)
    matrices = np.tile(np.eye(2, 3), (len(plans), views, 1, 1))
    displaced: list[list[Any]] = [[None] * views for _ in plans]
    for place, plan in enumerate(plans):
        if isinstance(plan, LoaderError) or plan.geometry is None:
            continue
        for view, geometry in enumerate((plan.geometry, *plan.more)):
            matrices[place, view] = geometry.matrix
            displaced[place][view] = geometry.elastic
    told: dict[str, Any] = {"geometry": torch.from_numpy(matrices if views > 1 else matrices[:, 0])}
    if elastic_of(compiled.views[0]) is not None:
        told["elastic"] = displaced if views > 1 else [of_view[0] for of_view in displaced]
    return told


def told_planes(plans: Sequence[PixelPlan | LoaderError], take: Planes) -> dict[str, Any]:
    """``pictures``, ``slice_index``, ``position_mm`` and ``voxels_from_picture``."""
    rows, columns = take.tiles or (take.pictures or 1, 1)
    shown = [plan.planes if isinstance(plan, PixelPlan) else None for plan in plans]
    count = max((len(planes.runs) for planes in shown if planes is not None), default=0)
    count = max(count, rows * columns)
    index = np.full((len(plans), count), -1, np.int64)
    position_mm = np.full((len(plans), count), np.nan)
    matrices = np.full((len(plans), count, 3, 4), np.nan)
    for place, planes in enumerate(shown):
        if planes is not None:
            filled = len(planes.runs)
            index[place, :filled], position_mm[place, :filled] = planes.slice_index, planes.position_mm
            matrices[place, :filled] = planes.voxels_from_picture()
    pictures = [plan.pictures if isinstance(plan, PixelPlan) else 0 for plan in plans]
    return {
        "pictures": torch.tensor(pictures, dtype=torch.int64),
        "slice_index": torch.from_numpy(index),
        "position_mm": torch.from_numpy(position_mm),
        "voxels_from_picture": torch.from_numpy(matrices),
    }
