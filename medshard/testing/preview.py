"""What operations make of one picture, through the native engine as the loader does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.augment import Operation, compile_operations
from medshard.engine import BatchLayout, Engine, encode_png
from medshard.errors import LoaderError
from medshard.loader.conversation import no_text
from medshard.loader.pixels import begin_views, draw_items
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.loader.slots import SlotMemory
from medshard.loader.values import draw_item_values
from medshard.shards.sample_parts import INT16_OFFSET

__all__ = ["preview"]


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
    begun = begin_views(
        engine, SlotMemory(), [medium], plans, [encode_png(stored)], [None], layout, compiled, values=values
    )
    failed = begun.finish(engine)
    if failed:
        raise LoaderError(failed[0])
    return np.asarray(begun.views[0][0].numpy(), np.float32)
