"""Pixels as a vision-language model takes them: each picture at its own size, patches one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment import Compiled
from medshard.augment.geometry import Geometry
from medshard.engine import JOB, BatchLayout, Engine
from medshard.errors import LoaderError, MedshardError
from medshard.families import ImageRule, View
from medshard.loader.conversation import ItemText
from medshard.loader.pixels import DTYPES, PixelPlan, fill_mapping, fill_source
from medshard.loader.selection import MediumLine
from medshard.record.conversation import MediaBlock
from medshard.storage.base import Bytes

__all__ = ["patch_layout", "sample_patches", "view_jobs", "with_views"]


def with_views(plan: PixelPlan | LoaderError, text: ItemText | None, rule: ImageRule) -> PixelPlan | LoaderError:
    """A plan whose picture is seen as the rule says of the size that the geometry gives it.

    Models count placeholders against patches, so a picture comes only where the text has one marker for it.
    """
    if isinstance(plan, LoaderError):
        return plan
    markers = _markers(text)
    if markers > 1:
        return LoaderError(f"its text shows {markers} media, and a family is given one picture an item")
    if plan.geometry is None and markers == 1 and text is not None and text.conversation is not None:
        return LoaderError(
            "its text shows a medium that is not delivered; choose it with image=, or leave such items out"
        )
    if plan.geometry is None or markers == 0:
        return PixelPlan(None)
    height, width = plan.geometry.height, plan.geometry.width
    try:
        views = rule.views(height, width)
    except ValueError as error:
        return LoaderError(f"{error}; crop or leave out such pictures")
    main = rule.main(views)
    seen = replace(plan.geometry, height=main.height, width=main.width)
    return replace(plan, geometry=seen, views=views, ruled_hw=(height, width))


def _markers(text: ItemText | None) -> int:
    """Media that the text shows; 1 for items without text, whose picture comes by itself."""
    if text is None or text.conversation is None:
        return 1
    return sum(isinstance(block, MediaBlock) for turn in text.conversation.turns for block in turn.blocks)


def patch_layout(rule: ImageRule, dtype: str) -> BatchLayout:
    """How the engine writes a rule's patches. JPEGs are decoded at full size, as the family's processor sees them."""
    return BatchLayout(
        1, 1, 3, dtype, mean=rule.mean, deviation=rule.std, reduce=1, filter=rule.filter, patches=rule.patches
    )


def view_jobs(source: NDArray[np.void], geometry: Geometry, views: Sequence[View]) -> NDArray[np.void]:
    """A job a view.

    Args:
        source: a job with its source and mapping.
    """
    jobs = np.repeat(source.reshape(1), len(views))
    jobs["box"], jobs["bounds"] = geometry.box_xyxy, geometry.bounds_xyxy
    jobs["flip_x"], jobs["flip_y"] = geometry.flip_x, geometry.flip_y
    for job, view in zip(jobs, views, strict=True):
        job["height"], job["width"] = view.height, view.width
        job["canvas"] = (view.canvas_height, view.canvas_width, view.top, view.left)
    return jobs


def sample_patches(
    engine: Engine,
    media: Sequence[MediumLine | None],
    plans: Sequence[PixelPlan | LoaderError],
    data: Sequence[Bytes | MedshardError | None],
    planes: Sequence[NDArray[np.generic] | MedshardError | None],
    rule: ImageRule,
    dtype: str,
    compiled: Compiled,
) -> tuple[dict[str, torch.Tensor], list[bool], dict[int, str]]:
    """Decode and cut every picture of a batch.

    Returns:
        ``pixel_values``, ``image_tokens`` (B,) and the rule's columns, of which each row is a picture in the order of
        the items; which items have one; and why items failed, by place. A picture that failed has neither patches nor
        rows.
    """
    layout, square = patch_layout(rule, dtype), rule.patches.edge**2
    parts: list[NDArray[np.void]] = []
    filled: list[int] = []
    failed: dict[int, str] = {}
    for place, (medium, plan, part, plane) in enumerate(zip(media, plans, data, planes, strict=True)):
        problem = next((entry for entry in (plan, part, plane) if isinstance(entry, MedshardError)), None)
        if problem is not None:
            failed[place] = str(problem)
        elif medium is not None and isinstance(plan, PixelPlan) and plan.geometry is not None:
            source = np.zeros(1, JOB)
            fill_source(source[0], part, plane)  # type: ignore[arg-type]
            fill_mapping(source[0], medium, compiled, plane)  # type: ignore[arg-type]
            parts.append(view_jobs(source, plan.geometry, plan.views))
            filled.append(place)
    jobs = np.zeros(sum(map(len, parts)), JOB)
    if parts:
        np.concatenate(parts, out=jobs)  # by itself it would pack the fields
    owner = np.repeat(np.array(filled, np.int64), [len(part) for part in parts])
    patches = jobs["canvas"][:, 0].astype(np.int64) * jobs["canvas"][:, 1] // square
    width = 3 * rule.patches.repeat * square
    pixel_values = torch.zeros((int(patches.sum()), width), dtype=DTYPES[dtype])
    jobs["out"] = (np.cumsum(patches) - patches) * width * pixel_values.element_size()
    reasons = engine.run(jobs, pixel_values.data_ptr(), layout, keep_alive=(data, planes))
    for number, reason in reasons.items():
        failed[int(owner[number])] = reason
    if reasons:
        pixel_values = pixel_values[torch.from_numpy(np.repeat(~np.isin(owner, list(failed)), patches))]
    there = [place in filled and place not in failed for place in range(len(media))]
    shown = {"pixel_values": pixel_values.reshape(-1, 3, *[rule.patches.edge] * 2) if rule.square else pixel_values}
    return {**shown, **_columns(rule, plans, there)}, there, failed


def _columns(
    rule: ImageRule, plans: Sequence[PixelPlan | LoaderError], there: Sequence[bool]
) -> dict[str, torch.Tensor]:
    """``image_tokens`` an item, and the rule's columns a picture."""
    sizes = [
        plan.ruled_hw if isinstance(plan, PixelPlan) and shown else None
        for plan, shown in zip(plans, there, strict=True)
    ]
    tokens = [rule.token_count(*size) if size is not None else 0 for size in sizes]
    columns = {"image_tokens": torch.tensor(tokens, dtype=torch.int64)}
    for name, example in rule.columns(rule.patches.edge, rule.patches.edge).items():
        rows = [rule.columns(*size)[name] for size in sizes if size is not None]
        table = torch.tensor(rows, dtype=torch.int64).reshape(-1, len(example))
        columns[name] = table if len(example) > 1 else table[:, 0]
    return columns
