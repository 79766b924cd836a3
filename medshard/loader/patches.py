"""Pixels as a vision-language model takes them: each picture at its own size, patches one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment import (
    Compiled,
    ElasticTransform,
    Letterbox,
    MultiCrop,
    Normalize,
    Operation,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomRotation,
    compile_operations,
)
from medshard.augment.geometry import Geometry
from medshard.augment.program import DrawnValues
from medshard.engine import JOB, BatchLayout, Engine, Patches, StepParams
from medshard.errors import LoaderError, MedshardError
from medshard.families import Family, ImageRule, VideoRule, View
from medshard.loader.conversation import ItemText
from medshard.loader.pixels import DTYPES, PixelPlan, Source, mapping_of, picture_seed, sources_of, window_of
from medshard.loader.selection import MediumLine
from medshard.loader.slots import SlotMemory
from medshard.record.conversation import MediaBlock
from medshard.storage.base import Bytes

__all__ = ["BegunPatches", "begin_patches", "compile_for_rule", "patch_layout", "view_jobs", "with_views"]

_REFUSED = (RandomRotation, RandomAffine, ElasticTransform, Pad, Letterbox, MultiCrop, RandomErasing)
"""Made for one size of output: a rule resizes what the transform makes, each picture to its own size."""


def compile_for_rule(operations: Sequence[Operation], rule: ImageRule, family: str) -> Compiled:
    """A transform before a family's rule; where it has steps on values, the family's mean and std are the last.

    Raises:
        LoaderError: it cannot be compiled, or not with a family.
    """
    for operation in operations:
        padded = isinstance(operation, RandomCrop) and (operation.padding is not None or operation.pad_if_needed)
        if padded or isinstance(operation, _REFUSED):
            name = f"{type(operation).__name__}{' with padding' if padded else ''}"
            raise LoaderError(
                f"{name} is made for one size of output, and pictures of the family {family} have many; leave it out"
            )
    compiled = compile_operations(operations, one_size=False)
    if compiled.normalize is not None:
        raise LoaderError(f"the family {family} has its own mean and std; leave Normalize out")
    if not compiled.unit:
        raise LoaderError(f"the family {family} has its own mean and std; leave ZScoreNormalize out")
    return compile_operations([*operations, Normalize(rule.mean, rule.std)], one_size=False)


def with_views(plan: PixelPlan | LoaderError, text: ItemText | None, family: Family) -> PixelPlan | LoaderError:
    """A plan whose pictures are seen as the family's rule says of the size that the geometry gives them.

    Models count placeholders against patches, so pictures come only where the text shows their medium.
    """
    if isinstance(plan, LoaderError):
        return plan
    rule = family.video if plan.is_video else family.image
    if rule is None:
        return LoaderError(f"the family {family.name} takes no videos; say shown_as='images'")
    markers = _markers(text)
    if markers > 1:
        return LoaderError(f"its text shows {markers} media, and a family is given one an item")
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
    try:
        seen = plan.geometry.resized(main.height, main.width)
    except LoaderError as error:
        return error
    return replace(plan, geometry=seen, views=views, ruled_hw=(height, width))


def _markers(text: ItemText | None) -> int:
    """Media that the text shows; 1 for items without text, whose picture comes by itself."""
    if text is None or text.conversation is None:
        return 1
    return sum(isinstance(block, MediaBlock) for turn in text.conversation.turns for block in turn.blocks)


def patch_layout(
    rule: ImageRule, dtype: str, steps: Sequence[StepParams] = (), patches: Patches | None = None
) -> BatchLayout:
    """How the engine writes a rule's patches. JPEGs are decoded at full size, as the family's processor sees them."""
    return BatchLayout(
        1,
        1,
        3,
        dtype,
        mean=rule.mean,
        deviation=rule.std,
        reduce=1,
        steps=steps,
        filter=rule.filter,
        patches=patches or rule.patches,
    )


def view_jobs(
    geometry: Geometry, views: Sequence[View], source: Source, mapping: tuple[float, float]
) -> NDArray[np.void]:
    """A job a view, without its place in memory.

    Args:
        source: as ``source_of`` gives it.
        mapping: scale and bias that bring stored values to 0..1.
    """
    jobs = np.repeat(np.array(geometry.job, JOB).reshape(1), len(views))
    jobs["address"], jobs["size"], jobs["raw"], jobs["codec"] = source
    jobs["scale"], jobs["bias"] = mapping
    for job, view in zip(jobs, views, strict=True):
        job["height"], job["width"] = view.height, view.width
        job["canvas"] = (view.canvas_height, view.canvas_width, view.top, view.left)
    return jobs


@dataclass
class BegunPatches:
    """Patches of a batch that the engine works on.

    Attributes:
        rows: (N, 3 * repeat * edge * edge), one a patch; written until the ticket's batch is finished.
        there: which items have a picture; after ``finish``, one that has not failed.
        owner: place in the batch of each job.
        counts: patches of each job.
        failed: why items failed before they came to the engine, by place.
        video: the rule, where the pictures of an item are frames; ``rows`` then have one frame each.
    """

    ticket: int
    rule: ImageRule
    plans: Sequence[PixelPlan | LoaderError]
    rows: torch.Tensor
    there: list[bool]
    owner: NDArray[np.int64]
    counts: NDArray[np.int64]
    failed: dict[int, str] = field(default_factory=dict)
    video: VideoRule | None = None

    def finish(self, engine: Engine) -> dict[int, str]:
        """Wait; gives why items failed, by place. A picture that failed has no patches.

        Raises:
            BatchCancelled: the batch was given up.
        """
        reasons = engine.wait(self.ticket)
        failed = {int(self.owner[number]): reason for number, reason in reasons.items()}
        if failed:
            kept = np.repeat(~np.isin(self.owner, list(failed)), self.counts)
            self.rows = self.rows[torch.from_numpy(kept)]
            self.there = [there and place not in failed for place, there in enumerate(self.there)]
        return {**self.failed, **failed}

    def fields(self, slot: str) -> dict[str, Any]:
        """Of the batch, once it is finished: ``pixel_values``, ``image_tokens`` (B,), and the rule's columns.

        Each row of a column is a picture, in the order of the items. Of videos it is ``pixel_values_videos``,
        ``video_tokens`` and ``has_video``, and a row is a video.
        """
        if self.video is not None:
            return self._videos(self.video)
        edge = self.rule.patches.edge
        shown = self.rows.reshape(-1, 3, edge, edge) if self.rule.square else self.rows
        has = torch.tensor(self.there, dtype=torch.bool)
        return {"pixel_values": shown, **_columns(self.rule, self.plans, self.there), f"has_{slot}": has}

    def _videos(self, rule: VideoRule) -> dict[str, Any]:
        """Frames come together by as many as the rule says; the last one fills up its group."""
        edge, repeat = rule.patches.edge, rule.patches.repeat
        kept = [
            place for place in range(len(self.plans)) if self.there[place] and isinstance(self.plans[place], PixelPlan)
        ]
        parts, grids, tokens = [], [], [0] * len(self.plans)
        begin = 0
        for place in kept:
            plan = self.plans[place]
            assert isinstance(plan, PixelPlan)
            assert plan.ruled_hw is not None
            frames = plan.pictures
            groups = rule.frame_groups(frames)
            squares = plan.views[0].canvas_height * plan.views[0].canvas_width // edge**2
            own = self.rows[begin : begin + frames * squares].view(frames, squares, 3, edge * edge)
            begin += frames * squares
            filled = torch.cat([own, own[-1:].expand(groups * repeat - frames, -1, -1, -1)])
            grouped = filled.view(groups, repeat, squares, 3, edge * edge).permute(0, 2, 3, 1, 4)
            parts.append(grouped.reshape(groups * squares, 3 * repeat * edge * edge))
            grids.append(rule.video_columns(*plan.ruled_hw, frames))
            tokens[place] = groups * rule.token_count(*plan.ruled_hw)
        width = 3 * repeat * edge**2
        rows = torch.cat(parts) if parts else torch.zeros((0, width), dtype=self.rows.dtype)
        example = rule.video_columns(edge, edge, 1)
        columns = {
            name: torch.tensor([grid[name] for grid in grids], dtype=torch.int64).reshape(-1, len(example[name]))
            for name in example
        }
        return {
            "pixel_values_videos": rows,
            "video_tokens": torch.tensor(tokens, dtype=torch.int64),
            **columns,
            "has_video": torch.tensor(self.there, dtype=torch.bool),
        }


def begin_patches(
    engine: Engine,
    memory: SlotMemory,
    media: Sequence[MediumLine | None],
    plans: Sequence[PixelPlan | LoaderError],
    data: Sequence[Bytes | MedshardError | None],
    planes: Sequence[NDArray[np.generic] | MedshardError | None],
    rule: ImageRule,
    dtype: str,
    compiled: Compiled,
    values: DrawnValues,
    *,
    video: bool = False,
) -> BegunPatches:
    """Have every picture of a batch decoded and cut, each view after the one before.

    Args:
        plans: after ``with_views``.
        video: frames of videos are done, by a video's rule, and nothing else; without it all else.
        values: what the transform's steps do to each picture, the same to all of its views.
    """
    of_video: VideoRule | None = rule if video else None  # type: ignore[assignment]  # the caller's word
    cut = replace(rule.patches, repeat=1) if video else rule.patches
    layout, square = patch_layout(rule, dtype, values.steps, cut), rule.patches.edge**2
    parts: list[NDArray[np.void]] = []
    filled: list[int] = []
    failed: dict[int, str] = {}
    for place, (medium, plan, part, plane) in enumerate(zip(media, plans, data, planes, strict=True)):
        problem = next((entry for entry in (plan, part, plane) if isinstance(entry, MedshardError)), None)
        if isinstance(plan, PixelPlan) and plan.is_video != video:
            continue
        if problem is not None:
            failed[place] = str(problem)
        elif medium is not None and isinstance(plan, PixelPlan) and plan.geometry is not None:
            mapping = mapping_of(medium, window_of(place, compiled, values), plane)  # type: ignore[arg-type]
            for number, source in enumerate(sources_of(part, plane)):  # type: ignore[arg-type]
                jobs = view_jobs(plan.geometry, plan.views, source, mapping)
                if layout.steps:
                    jobs["params"] = values.params.ctypes.data + place * values.params.strides[0]
                    jobs["noise_seed"] = picture_seed(values, place, number)
                parts.append(jobs)
                filled.append(place)
    jobs = np.zeros(sum(map(len, parts)), JOB)
    if parts:
        np.concatenate(parts, out=jobs)  # by itself it would pack the fields
    owner = np.repeat(np.array(filled, np.int64), [len(part) for part in parts])
    counts = jobs["canvas"][:, 0].astype(np.int64) * jobs["canvas"][:, 1] // square
    width, total = 3 * cut.repeat * square, int(counts.sum())
    rows = memory.empty((total, width), DTYPES[dtype]) if total else torch.zeros((0, width), dtype=DTYPES[dtype])
    jobs["out"] = (np.cumsum(counts) - counts) * width * rows.element_size()
    ticket = engine.submit(jobs, rows.data_ptr(), layout, keep_alive=(rows, data, planes, values))
    there = [False] * len(media)
    for place in filled:
        there[place] = True
    return BegunPatches(ticket, rule, plans, rows, there, owner, counts, failed, of_video)


def _columns(
    rule: ImageRule, plans: Sequence[PixelPlan | LoaderError], there: Sequence[bool]
) -> dict[str, torch.Tensor]:
    """``image_tokens`` an item, and the rule's columns a picture."""
    shown = [
        (plan.ruled_hw, plan.pictures) if isinstance(plan, PixelPlan) and plan.ruled_hw is not None and here else None
        for plan, here in zip(plans, there, strict=True)
    ]
    tokens = [rule.token_count(*one[0]) * one[1] if one is not None else 0 for one in shown]
    columns = {"image_tokens": torch.tensor(tokens, dtype=torch.int64)}
    for name, example in rule.columns(rule.patches.edge, rule.patches.edge).items():
        rows = [row for one in shown if one is not None for row in [rule.columns(*one[0])[name]] * one[1]]
        table = torch.tensor(rows, dtype=torch.int64).reshape(-1, len(example))
        columns[name] = table if len(example) > 1 else table[:, 0]
    return columns
