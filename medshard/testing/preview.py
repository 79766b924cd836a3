"""What operations make of one picture or volume, through the native engine as the loader does it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medshard.augment import Compiled, Operation, compile_operations
from medshard.engine import BatchLayout, Engine, encode_png
from medshard.errors import LoaderError, MedshardError
from medshard.loader.conversation import no_text
from medshard.loader.pixels import BegunPixels, PixelPlan, VolumeSeen, begin_views, draw_items
from medshard.loader.planes import read_planes
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.loader.slots import SlotMemory
from medshard.loader.values import draw_item_values
from medshard.readers.base import Volume
from medshard.shards.sample_parts import INT16_OFFSET
from medshard.storage.local import LocalStorage
from medshard.volumes import VolumeReader
from medshard.volumes.write import write_volume

__all__ = ["preview", "preview_volume"]


def preview(
    picture: NDArray[np.generic],
    operations: Sequence[Operation],
    *,
    seed: int = 0,
    epoch: int = 0,
    item: int = 0,
    channels: int = 3,
) -> NDArray[np.float32]:
    """One picture after a list of operations.

    Args:
        picture: (H, W) or (H, W, 3), uint8, uint16 or int16.
        item: of which the random choices are taken.

    Returns:
        (channels, H', W'), of the first view where there are several.

    Raises:
        LoaderError: the list does not compile, or the picture cannot be sampled.
    """
    compiled = compile_operations(operations)
    axes = "YX" if picture.ndim == 2 else "YXC"
    bits = 8 * picture.dtype.itemsize
    medium = MediumLine("image", "image", axes, picture.shape, picture.dtype.name, bits, None, None, None)
    line = ItemLine(item, 0, "preview", "", Part(0, 0, 0, 0), medium, None)
    stored = (picture.astype(np.int32) + INT16_OFFSET).astype(np.uint16) if picture.dtype == np.int16 else picture
    plans = draw_items([line], [no_text()], compiled, seed, epoch)
    begun = _begin(line, plans, compiled, channels, encode_png(stored), None, seed, epoch)
    return np.asarray(begun.views[0][0].numpy(), np.float32)


def preview_volume(
    voxels: NDArray[np.generic],
    affine_ijk_to_ras: NDArray[np.float64] | None,
    operations: Sequence[Operation],
    *,
    labels: NDArray[np.generic] | None = None,
    seed: int = 0,
    channels: int = 3,
) -> tuple[NDArray[np.float32], NDArray[np.int32] | None]:
    """The pictures that a list of operations makes of a volume, written and read as a corpus's are.

    Args:
        voxels: (Z, Y, X), int16 or another type that volumes are stored in.
        labels: a mask on its grid.

    Returns:
        (N, channels, H', W'), and the mask (N, H', W') of ``labels``.

    Raises:
        LoaderError: the list does not compile, or the volume cannot be seen so.
    """
    compiled = compile_operations(operations)
    medium = MediumLine("volume", "volume", "ZYX", voxels.shape, voxels.dtype.name, 16, None, None, "v.ome.zarr")
    line = ItemLine(0, 0, "preview", "", Part(0, 0, 0, 0), medium, None)
    plans = draw_items([line], [no_text()], compiled, seed, 0, [VolumeSeen(affine_ijk_to_ras)])
    (plan,) = plans
    if isinstance(plan, LoaderError):
        raise plan
    shown = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        for values in (voxels, labels):
            if values is None:
                continue
            volume = Volume(values, "ZYX", affine_ijk_to_ras=affine_ijk_to_ras)
            write_volume(Path(folder) / "v.ome.zarr", volume, name="preview")
            readers = [VolumeReader(LocalStorage(Path(folder)), "v.ome.zarr")]
            shown.append(read_planes(readers, [medium], [plan.planes], executor, masks=values is labels)[0])
    pictures = _begin(line, plans, compiled, channels, None, shown[0], seed, 0).views[0]
    found = np.asarray(pictures.flatten(0, -4).numpy(), np.float32)
    if labels is None:
        return found, None
    assert compiled.size is not None
    layout = BatchLayout(*compiled.size, 1, "int32", mask=True)
    engine = Engine(1)
    begun = begin_views(engine, SlotMemory(), [medium], plans, [None], [shown[1]], layout, compiled)
    failed = begun.finish(engine)
    if failed:
        raise LoaderError(failed[0])
    return found, np.asarray(begun.views[0].flatten(0, -3).numpy(), np.int32)


def _begin(
    line: ItemLine,
    plans: Sequence[PixelPlan | LoaderError],
    compiled: Compiled,
    channels: int,
    data: bytes | None,
    planes: NDArray[np.generic] | MedshardError | None,
    seed: int,
    epoch: int,
) -> BegunPixels:
    """The pictures of one item, finished.

    Raises:
        LoaderError: it cannot be sampled.
    """
    values = [
        draw_item_values([line], [no_text()], plans, compiled, channels, seed, epoch, view)
        for view in range(len(compiled.views))
    ]
    normalize = compiled.normalize
    assert compiled.size is not None
    layout = BatchLayout(
        *compiled.size,
        channels,
        mean=tuple(normalize.mean) if normalize is not None else (),
        deviation=tuple(normalize.std) if normalize is not None else (),
        steps=values[0].steps,
        reduce=1 if compiled.whole else 2,
    )
    engine = Engine(1)
    begun = begin_views(engine, SlotMemory(), [line.picture], plans, [data], [planes], layout, compiled, values=values)
    failed = begun.finish(engine)
    if failed:
        raise LoaderError(failed[0])
    return begun
