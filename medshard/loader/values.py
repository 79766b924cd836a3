"""What the steps of a transform do to each item of a batch: drawn for all of them at once, under what texts allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medshard.augment import Compiled
from medshard.augment.program import DrawnValues, draw_values
from medshard.augment.steps import Draws, Floats
from medshard.augment.views import output_size
from medshard.loader.conversation import ItemText
from medshard.loader.counter import fold, uniform_u64_array
from medshard.loader.pixels import PixelPlan
from medshard.loader.selection import ItemLine

__all__ = ["draw_item_values"]

_SALT_VALUES, _SALT_NOISE = 13, 14  # keep the uses of one seed apart


def draw_item_values(
    lines: Sequence[ItemLine],
    texts: Sequence[ItemText | None],
    plans: Sequence[PixelPlan | Exception],
    compiled: Compiled,
    channels: int,
    seed: int,
    epoch: int,
    view: int = 0,
) -> DrawnValues:
    """The parameters of each item: a function of (seed, epoch, item, view, operation) and of what its text allows.

    Args:
        view: number of the crop, where an item has several.
    """
    items = np.array([line.item for line in lines], np.int64)

    of_item = uniform_u64_array(seed, _SALT_VALUES, epoch, items, view)

    def uniform(place: int, number: int) -> Floats:
        bits = fold(of_item, place, number)
        return np.asarray((bits >> np.uint64(11)) * 2.0**-53, np.float64)

    # Without one size there is no step that asks for it: the loader refuses RandomErasing then.
    height, width = output_size(compiled.views[view]) or (1, 1)
    draws = Draws(
        uniform=lambda number: uniform(0, number),
        height=height,
        width=width,
        channels=channels,
        intensity=np.array([text is None or text.keeps.intensity == "free" for text in texts], bool),
        cover=np.array([text is None or text.keeps.crop in ("free", "regions") for text in texts], bool),
        regions=_regions(texts, plans, view),
    )
    return draw_values(compiled, draws, uniform, uniform_u64_array(seed, _SALT_NOISE, epoch, items, view))


def _regions(
    texts: Sequence[ItemText | None], plans: Sequence[PixelPlan | Exception], view: int
) -> dict[int, Sequence[Sequence[float]]]:
    """Of each item whose text cites regions that must stay to be seen, their boxes in the delivered picture."""
    found: dict[int, Sequence[Sequence[float]]] = {}
    for place, (text, plan) in enumerate(zip(texts, plans, strict=True)):
        if text is None or text.keeps.crop != "regions" or not isinstance(plan, PixelPlan):
            continue
        if plan.geometry is not None and plan.regions_xyxy:
            delivered = (plan.geometry, *plan.more)[view].delivered()
            found[place] = [delivered.box(box) for box in plan.regions_xyxy]
    return found
