"""Pictures as a loader delivers them: all of one size, or as a family's rule cuts them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.augment import Compiled, Operation, compile_operations
from medshard.augment.program import DrawnValues
from medshard.augment.steps import Step
from medshard.engine import BatchLayout, Engine
from medshard.errors import LoaderError, MedshardError
from medshard.families import Family, ImageRule
from medshard.families.base import Delivered
from medshard.loader.batch import told_geometry, told_planes
from medshard.loader.delivery import Delivery, NoPixels, StepItems, StepPixels
from medshard.loader.fetch import fetch_there
from medshard.loader.patches import BegunPatches, begin_patches, compile_for_rule, with_views
from medshard.loader.pixels import BegunPixels, PixelPlan, VolumeSeen, begin_views, draw_items, smallest_enough
from medshard.loader.planes import open_volumes, read_planes
from medshard.loader.selection import ItemLine, MediumLine, Part, Selection
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.values import draw_item_values
from medshard.storage.base import Bytes
from medshard.volumes import VolumeReader

__all__ = ["PictureOptions", "deliver_pictures"]

_Begun: TypeAlias = "dict[str, BegunPixels | BegunPatches]"
"""What the engine works on, by slot."""


@dataclass(frozen=True)
class PictureOptions:
    """What was asked of pictures; see ``Loader``."""

    seed: int
    channels: int
    dtype: str
    channels_last: bool
    renditions: float | None
    mask: str | None
    family: Family


def deliver_pictures(
    selection: Selection,
    transform: Sequence[Operation] | None,
    options: PictureOptions,
    memory: SlotMemory,
    stats: Stats,
) -> Delivery:
    """How the pictures of a selection come to be.

    Raises:
        LoaderError: transform and options contradict each other, or items have pictures and nothing says their size.
    """
    rule = options.family.image
    if rule is not None:
        compiled = _compile_for_family(transform or (), rule, options)
        return FamilyPictures(selection, compiled if selection.has_pictures else None, options, memory, stats, rule)
    if transform is not None:
        return SizedPictures(selection, _compile(transform, options), options, memory, stats)
    if selection.has_pictures:
        raise LoaderError(
            "the items have pictures: say transform=[...], such as [Resize((224, 224))] or "
            "[RandomResizedCrop(224), RandomHorizontalFlip()] of medshard.augment"
        )
    return NoPixels(selection)


def _compile(transform: Sequence[Operation], options: PictureOptions) -> Compiled:
    compiled = compile_operations(transform)
    if options.dtype == "uint8" and not compiled.unit:
        raise LoaderError(
            "dtype='uint8' holds 0..1 times 255, not what Normalize or ZScoreNormalize give; take a float type"
        )
    for step in (operation for operation in transform if isinstance(operation, Step)):
        if step.channels not in (1, options.channels):
            raise LoaderError(f"{type(step).__name__} has {step.channels} channels, the loader {options.channels}")
    return compiled


def _compile_for_family(transform: Sequence[Operation], rule: ImageRule, options: PictureOptions) -> Compiled:
    name = options.family.name
    if options.channels != 3 or options.dtype == "uint8" or options.channels_last:
        raise LoaderError(f"the family {name} sees 3 channels of float32, float16 or bfloat16, channels first")
    if options.mask is not None:
        raise LoaderError(f"masks have one size, and pictures of the family {name} many")
    return compile_for_rule(transform, rule, name)


@dataclass
class _Read:
    """What a step's pictures need of storage, and their geometry, which decides that.

    Attributes:
        factors: by which what ``pictures`` holds of each is smaller than the picture.
    """

    plans: list[PixelPlan | LoaderError]
    pictures: list[Bytes | MedshardError | None]
    masks: list[Bytes | MedshardError | None]
    picture_planes: list[NDArray[np.generic] | MedshardError | None]
    mask_planes: list[NDArray[np.generic] | MedshardError | None]
    factors: list[int]


class _Pictures(Delivery):
    """What sized pictures and those of families share: geometry is drawn, then what it needs is read."""

    def __init__(
        self, selection: Selection, compiled: Compiled | None, options: PictureOptions, memory: SlotMemory, stats: Stats
    ) -> None:
        self.selection, self.corpus = selection, selection.corpus
        self.compiled, self.options, self.memory, self.stats = compiled, options, memory, stats

    def read(self, items: StepItems, executor: Executor) -> StepPixels:
        pictures = [line.picture for line in items.lines]
        masks = [line.mask for line in items.lines]
        with self.stats.timed("read pixels"):
            picture_volumes = open_volumes(self.corpus, pictures, executor)
            mask_volumes = open_volumes(self.corpus, masks, executor)
        plans = self._plans(items, picture_volumes)
        with self.stats.timed("read pixels"):
            parts = self._parts(pictures, plans)
            self.stats.add("from renditions", sum(part is not None and part.factor > 1 for part in parts))
            factors = [part.factor if part is not None else 1 for part in parts]
            parts += [mask.part if mask is not None else None for mask in masks]
            data = fetch_there(self.corpus, parts, executor, self.stats)
            planes = [plan.planes if isinstance(plan, PixelPlan) else None for plan in plans]
            picture_planes = read_planes(picture_volumes, pictures, planes, executor)
            mask_planes = read_planes(mask_volumes, masks, planes, executor, masks=True)
        count = len(items.lines)
        return _StepPictures(
            self, items, _Read(plans, data[:count], data[count:], picture_planes, mask_planes, factors)
        )

    @abstractmethod
    def begin(
        self, engine: Engine, items: StepItems, read: _Read, begun: dict[str, BegunPixels | BegunPatches]
    ) -> None:
        """Hand a step's pictures to the engine, and put what was begun into ``begun``, by slot."""

    def _plans(
        self, items: StepItems, volumes: Sequence[VolumeReader | MedshardError | None]
    ) -> list[PixelPlan | LoaderError]:
        seen = [
            self._seen(line, volume) if isinstance(volume, VolumeReader) else volume
            for line, volume in zip(items.lines, volumes, strict=True)
        ]
        return draw_items(items.lines, items.texts, self.compiled, self.options.seed, items.epoch, seen)

    def _seen(self, line: ItemLine, volume: VolumeReader) -> VolumeSeen:
        """What the choice of planes may ask of an item's volume."""
        planes, mask = self.compiled.planes if self.compiled is not None else None, self.options.mask
        marked = None
        if planes is not None and planes.needs_foreground and mask is not None:
            marked = self.corpus.foreground(line.sample, mask)
        return VolumeSeen(volume.affine_ijk_to_ras, marked.voxel if marked is not None else None)

    def _parts(
        self, pictures: Sequence[MediumLine | None], plans: Sequence[PixelPlan | LoaderError]
    ) -> list[Part | None]:
        """What is read of each picture."""
        return [picture.part if picture is not None else None for picture in pictures]

    def _values(self, items: StepItems, read: _Read, compiled: Compiled) -> list[DrawnValues]:
        """What the steps of the transform do to each picture, a view each."""
        options = self.options
        return [
            draw_item_values(
                items.lines, items.texts, read.plans, compiled, options.channels, options.seed, items.epoch, view
            )
            for view in range(len(compiled.views))
        ]


@dataclass
class _StepPictures(StepPixels):
    """The pictures of one step."""

    of: _Pictures
    items: StepItems
    read: _Read
    begun: _Begun = field(default_factory=dict)

    def begin(self, engine: Engine) -> None:
        if self.of.compiled is None:
            return
        try:
            with self.of.stats.timed("jobs"):
                self.of.begin(engine, self.items, self.read, self.begun)
        except BaseException:
            self.cancel(engine)
            raise

    def cancel(self, engine: Engine) -> None:
        for pixels in self.begun.values():
            engine.cancel(pixels.ticket)

    def finish(self, engine: Engine) -> dict[int, str]:
        failed: dict[int, str] = {}
        for pixels in self.begun.values():
            failed.update(pixels.finish(engine))
        return failed

    def fields(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, pixels in self.begun.items():
            found.update(pixels.fields(name))
        if self.of.compiled is not None:
            found.update(told_geometry(self.read.plans, self.of.compiled))
            if self.of.compiled.planes is not None:
                found.update(told_planes(self.read.plans, self.of.compiled.planes))
        return found

    def seen(self, place: int) -> Mapping[str, Delivered] | None:
        plan, text = self.read.plans[place], self.items.texts[place]
        if isinstance(plan, LoaderError) or text is None or text.conversation is None:
            return None
        if plan.geometry is None:
            return {}
        return dict.fromkeys(text.conversation.slots, plan.delivered())


class SizedPictures(_Pictures):
    """Pictures, and masks beside them, of the transform's size."""

    def _parts(
        self, pictures: Sequence[MediumLine | None], plans: Sequence[PixelPlan | LoaderError]
    ) -> list[Part | None]:
        oversampling = self.options.renditions
        if oversampling is None:
            return super()._parts(pictures, plans)
        return [
            smallest_enough(picture, plan, oversampling) if picture is not None else None
            for picture, plan in zip(pictures, plans, strict=True)
        ]

    def begin(
        self, engine: Engine, items: StepItems, read: _Read, begun: dict[str, BegunPixels | BegunPatches]
    ) -> None:
        compiled, options = self.compiled, self.options
        assert compiled is not None
        assert compiled.size is not None
        height, width = compiled.size
        normalize = compiled.normalize
        values = self._values(items, read, compiled)
        layout = BatchLayout(
            height,
            width,
            options.channels,
            options.dtype,
            mean=tuple(normalize.mean) if normalize is not None else (),
            deviation=tuple(normalize.std) if normalize is not None else (),
            channels_last=options.channels_last,
            steps=values[0].steps,
            reduce=1 if compiled.whole else 2,  # else statistics would depend on how far the crop reduces
        )
        begun["image"] = begin_views(
            engine,
            self.memory,
            [line.picture for line in items.lines],
            read.plans,
            read.pictures,
            read.picture_planes,
            layout,
            compiled,
            read.factors,
            values,
        )
        if options.mask is not None:
            masks = [line.mask for line in items.lines]
            layout = BatchLayout(height, width, 1, "int32", mask=True)
            begun["mask"] = begin_views(
                engine, self.memory, masks, read.plans, read.masks, read.mask_planes, layout, compiled
            )


class FamilyPictures(_Pictures):
    """Patches of each picture, as a family's rule cuts it."""

    def __init__(
        self,
        selection: Selection,
        compiled: Compiled | None,
        options: PictureOptions,
        memory: SlotMemory,
        stats: Stats,
        rule: ImageRule,
    ) -> None:
        super().__init__(selection, compiled, options, memory, stats)
        self.rule = rule

    def _plans(
        self, items: StepItems, volumes: Sequence[VolumeReader | MedshardError | None]
    ) -> list[PixelPlan | LoaderError]:
        plans = super()._plans(items, volumes)
        family = self.options.family
        return [with_views(plan, text, family) for plan, text in zip(plans, items.texts, strict=True)]

    def begin(
        self, engine: Engine, items: StepItems, read: _Read, begun: dict[str, BegunPixels | BegunPatches]
    ) -> None:
        assert self.compiled is not None
        rules = {"image": self.rule}
        if self.compiled.planes is not None and self.compiled.planes.as_video and self.options.family.video is not None:
            rules["video"] = self.options.family.video
        values = self._values(items, read, self.compiled)[0]
        for kind, rule in rules.items():
            begun[kind] = begin_patches(
                engine,
                self.memory,
                [line.picture for line in items.lines],
                read.plans,
                read.pictures,
                read.picture_planes,
                rule,
                self.options.dtype,
                self.compiled,
                values,
                video=kind == "video",
            )
