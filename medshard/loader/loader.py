"""The loader: a corpus as batches, in an order that is a pure function of (seed, position)."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from medshard.augment import Compiled, Operation, compile_operations
from medshard.augment.steps import Step
from medshard.corpus.corpus import Corpus
from medshard.engine import BatchLayout, Engine
from medshard.errors import LoaderError, MedshardError
from medshard.families import FAMILIES, Family
from medshard.loader.batch import Batch, told_geometry, told_planes
from medshard.loader.conversation import ItemText, no_text, read_item_text
from medshard.loader.fetch import fetch_parts
from medshard.loader.order import BatchPlan, Order, OrderConfig, OrderState, rank_slice
from medshard.loader.patches import BegunPatches, begin_patches, compile_for_rule, with_views
from medshard.loader.pixels import (
    DTYPES,
    BegunPixels,
    PixelPlan,
    VolumeSeen,
    begin_views,
    draw_items,
    smallest_enough,
)
from medshard.loader.planes import open_volumes, read_planes
from medshard.loader.prefetch import Prefetch, Stages
from medshard.loader.selection import ItemLine, MediumLine, Part, Selection
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.values import draw_item_values
from medshard.loader.world import rank_and_world
from medshard.storage.base import Bytes
from medshard.volumes import VolumeReader

__all__ = ["Loader"]

_FETCH_THREADS = 8


@dataclass(frozen=True)
class _Step:
    """One step of this rank."""

    epoch: int
    items: NDArray[np.int64]
    padded: NDArray[np.bool_]
    state: OrderState


@dataclass
class _Read:
    """The bytes of a step, and its geometry, which decides what of a volume is read."""

    lines: list[ItemLine]
    texts: list[ItemText | None]
    plans: list[PixelPlan | LoaderError]
    pictures: list[Bytes | MedshardError | None]
    masks: list[Bytes | MedshardError | None]
    picture_planes: list[NDArray[np.generic] | MedshardError | None]
    mask_planes: list[NDArray[np.generic] | MedshardError | None]
    problems: dict[int, str]
    factors: list[int]


@dataclass
class _Begun:
    """A step that the engine works on."""

    step: _Step
    read: _Read
    pixels: dict[str, BegunPixels | BegunPatches] = field(default_factory=dict)


class Loader(IterableDataset[Batch]):  # type: ignore[misc]  # torch is not read by mypy, being gigabytes
    """Streams a corpus, or a selection of one.

    Each iteration is one epoch in which every item comes exactly once over all ranks. It works by itself (threads, no
    worker processes needed) and inside ``torch.utils.data.DataLoader(loader, batch_size=None, num_workers=n)``; there,
    call ``set_epoch`` before each epoch, since workers start from a copy of the loader.

    Args:
        corpus: from ``medshard.open``.
        batch_size: items a step on this rank, as in torch; or
        global_batch_size: items a step over all ranks.
        transform: operations of ``medshard.augment``; needed when items have pictures and the family has no rule for
            them.
        shuffle: False for the order of the index.
        seed: of order and augmentation.
        remainder: what becomes of items that do not fill the last step of an epoch: ``short``, ``pad`` or ``drop``.
        window: items that are mixed with one another; None mixes all with all, at the price of scattered reads.
        threads: of the native engine; as many as cores by default, one in a DataLoader's worker.
        device: ``cpu``.
        on_error: ``raise``, or ``skip`` to deliver ``valid = False`` in the sample's place and count it.
        by: ``item`` for one a conversation, ``sample`` for one a sample, without text.
        image, mask: slots that are delivered; without ``image``, the only picture of each item.
        channels: 1 or 3.
        dtype: of pictures: float32, float16, bfloat16, uint8.
        renditions: read the smallest stored level of a picture that has so many pixels for each of the output, on a
            side: 1 is fastest, 2 stays closer to the picture where it is all noise; None always reads the picture.
        channels_last: pictures keep the shape (B, C, H, W), in the memory format ``torch.channels_last``.
        family: grammar of places and media in text, and what a vision-language model takes of a picture: a name of
            ``medshard.families.FAMILIES`` or a family itself. With a rule for pictures a batch has ``pixel_values``
            instead of ``image``; the rule applies to what the transform makes of a picture. See docs/families.md.
        rank, world_size: of this process; found by themselves under torch.distributed and torchrun.
        prefetch: batches that are ready or in hand before the trainer asks; as many again are being read.
        pin_memory: batches lie in page-locked memory, from which ``batch.to("cuda", non_blocking=True)`` runs aside.

    Raises:
        LoaderError: arguments contradict each other or the corpus.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch_size: int | None = None,
        *,
        global_batch_size: int | None = None,
        transform: Sequence[Operation] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        remainder: Literal["short", "pad", "drop"] = "short",
        window: int | None = 16_384,
        threads: int | None = None,
        device: str = "cpu",
        on_error: Literal["raise", "skip"] = "raise",
        by: Literal["item", "sample"] = "item",
        image: str | None = None,
        mask: str | None = None,
        channels: int = 3,
        dtype: str = "float32",
        renditions: float | None = 1.0,
        channels_last: bool = False,
        family: str | Family = "plain",
        rank: int | None = None,
        world_size: int | None = None,
        prefetch: int = 2,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        _check_choice("remainder", remainder, ("short", "pad", "drop"))
        _check_choice("on_error", on_error, ("raise", "skip"))
        _check_choice("by", by, ("item", "sample"))
        _check_choice("dtype", dtype, tuple(DTYPES))
        if device != "cpu":
            raise LoaderError(f"device={device!r}: batches are made on the CPU; move them with batch.to({device!r})")
        if renditions is not None and not renditions >= 1:
            raise LoaderError(f"renditions is 1 or more pixels for each of the output, or None; not {renditions}")
        if channels not in (1, 3):
            raise LoaderError(f"channels is 1 or 3, not {channels}")
        self.rank, self.world_size = rank_and_world(rank, world_size)
        self.global_batch_size = _global_batch(batch_size, global_batch_size, self.world_size)
        self.corpus, self.seed, self._threads, self._on_error = corpus, seed, threads, on_error
        self._family = FAMILIES.get(family) if isinstance(family, str) else family
        self._selection = Selection(corpus, image=image, mask=mask, by=by)
        self._by, self._prefetch, self._mask_slot = by, max(1, prefetch), mask
        self._channels, self._dtype, self._renditions = channels, dtype, renditions
        self._channels_last = channels_last
        self._compiled = self._compile(transform)
        config = OrderConfig(seed=seed, shuffle=shuffle, remainder=remainder, window_items=window)
        self._order = Order([self._selection.source], config)
        self._next = OrderState()
        self._delivered: OrderState | None = None
        self._stats = Stats()
        self._engine: Engine | None = None
        self._memory = SlotMemory(pin=pin_memory)
        self._running: weakref.ref[Prefetch[_Step, _Read, _Begun, Batch]] | None = None

    def _compile(self, transform: Sequence[Operation] | None) -> Compiled | None:
        rule = self._family.image
        if rule is not None:
            if self._channels != 3 or self._dtype == "uint8" or self._channels_last:
                raise LoaderError(
                    f"the family {self._family.name} sees 3 channels of float32, float16 or bfloat16, channels first"
                )
            if self._mask_slot is not None:
                raise LoaderError(f"masks have one size, and pictures of the family {self._family.name} many")
            compiled = compile_for_rule(transform or (), rule, self._family.name)
            return compiled if self._selection.has_pictures else None
        if transform is not None:
            compiled = compile_operations(transform)
            if self._dtype == "uint8" and not compiled.unit:
                raise LoaderError(
                    "dtype='uint8' holds 0..1 times 255, not what Normalize or ZScoreNormalize give; take a float type"
                )
            for step in (operation for operation in transform if isinstance(operation, Step)):
                if step.channels not in (1, self._channels):
                    raise LoaderError(
                        f"{type(step).__name__} has {step.channels} channels, the loader {self._channels}"
                    )
            return compiled
        if self._selection.has_pictures:
            raise LoaderError(
                "the items have pictures: say transform=[...], such as [Resize((224, 224))] or "
                "[RandomResizedCrop(224), RandomHorizontalFlip()] of medshard.augment"
            )
        return None

    # -- state ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Steps of an epoch on each rank."""
        return self._order.steps(self.global_batch_size)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch, from its start."""
        self._next = OrderState(epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """The state after the last batch that this loader handed out; in workers, use ``batch["state"]``."""
        return self._dump(self._delivered or self._next)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state: the next iteration delivers what follows it.

        Raises:
            LoaderError: the state is of another corpus, selection, seed or order; names the difference.
        """
        self._next = OrderState.load(state, self._order.digest, self._order.parts)
        self._delivered = self._next

    def _dump(self, state: OrderState) -> dict[str, Any]:
        return state.dump(self._order.digest, self._order.parts)

    def stats(self) -> dict[str, Any]:
        """Where the time went, counts, and what could not be delivered; see docs/loader.md."""
        told = self._stats.told()
        told["engine"] = self._engine.counters() if self._engine is not None else {}
        told["memory"] = self._memory.counts()
        return told

    def __getstate__(self) -> dict[str, Any]:
        kept = dict(self.__dict__)
        kept.update(_engine=None, _running=None)
        return kept

    # -- iteration -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Batch]:
        self._end_running()
        start = self._next
        self._next = OrderState(start.epoch + 1, 0)
        worker = get_worker_info()
        every, first = (worker.num_workers, worker.id) if worker is not None else (1, 0)
        if worker is not None and self._memory.pinned:
            raise LoaderError(
                "pin_memory=True is for a loader that is used by itself; a worker process of a DataLoader has no CUDA: "
                "say DataLoader(..., pin_memory=True) instead"
            )
        self.corpus.storage.open()  # where this process cannot read, it says so now, whatever on_error is
        if self._engine is None:
            self._engine = Engine(self._threads or (1 if worker is not None else None))
        executor = ThreadPoolExecutor(_FETCH_THREADS, thread_name_prefix="medshard-fetch")
        stages = Stages(lambda step: self._read(step, executor), self._begin, self._finish, self._drop)
        made = Prefetch(self._steps(start, every, first), stages, depth=self._prefetch)
        self._running = weakref.ref(made)
        try:
            while True:
                self._stats.ask(made.ready)
                with self._stats.timed("wait"):
                    batch = next(made, None)
                if batch is None:
                    return
                self._delivered = OrderState(batch["state"]["epoch"], batch["state"]["offset"])
                yield batch
        finally:
            made.close()
            executor.shutdown(wait=False, cancel_futures=True)

    def _end_running(self) -> None:
        """An iteration that was left ends before the next begins."""
        running = self._running() if self._running is not None else None
        if running is not None:
            running.close()

    def _steps(self, start: OrderState, every: int, first: int) -> Iterator[_Step]:
        """This rank's steps from a place on; of every ``every`` the one numbered ``first``."""
        offset, number = start.offset, 0
        while True:
            plan = self._order.step(start.epoch, offset, self.global_batch_size)
            if plan is None:
                return
            offset = plan.offset
            if number % every == first:
                yield self._step(start.epoch, plan)
            number += 1

    def _step(self, epoch: int, plan: BatchPlan) -> _Step:
        mine = rank_slice(len(plan.items), self.rank, self.world_size)
        after = OrderState(epoch + 1, 0) if plan.last else OrderState(epoch, plan.offset)
        return _Step(epoch, plan.items[mine], plan.padded[mine], after)

    # -- one step ------------------------------------------------------------------------------------------------

    def _read(self, step: _Step, executor: ThreadPoolExecutor) -> _Read:
        lines = self._selection.lines(step.items)
        problems: dict[int, str] = {}
        with self._stats.timed("read text"):
            texts = self._texts(lines, executor, problems)
        pictures, masks = [line.picture for line in lines], [line.mask for line in lines]
        with self._stats.timed("read pixels"):
            picture_volumes = open_volumes(self.corpus, pictures, executor)
            mask_volumes = open_volumes(self.corpus, masks, executor)
        seen = [self._seen(line, volume) for line, volume in zip(lines, picture_volumes, strict=True)]
        plans = draw_items(lines, texts, self._compiled, self.seed, step.epoch, seen)
        if self._family.image is not None:
            plans = [with_views(plan, text, self._family) for plan, text in zip(plans, texts, strict=True)]
        with self._stats.timed("read pixels"):
            parts = self._picture_parts(pictures, plans)
            factors = [part.factor if part is not None else 1 for part in parts]
            parts += [mask.part if mask is not None else None for mask in masks]
            data = self._fetch(parts, executor)
            planes = [plan.planes if isinstance(plan, PixelPlan) else None for plan in plans]
            picture_planes = read_planes(picture_volumes, pictures, planes, executor)
            mask_planes = read_planes(mask_volumes, masks, planes, executor, masks=True)
        count = len(lines)
        return _Read(lines, texts, plans, data[:count], data[count:], picture_planes, mask_planes, problems, factors)

    def _seen(self, line: ItemLine, volume: VolumeReader | MedshardError | None) -> VolumeSeen | MedshardError | None:
        """What the choice of planes may ask of an item's volume."""
        if not isinstance(volume, VolumeReader):
            return volume
        marked = None
        if self._mask_slot is not None and self._compiled is not None and self._compiled.planes is not None:
            if self._compiled.planes.needs_foreground:
                marked = self.corpus.foreground(line.sample, self._mask_slot)
        return VolumeSeen(volume.affine_ijk_to_ras, marked.voxel if marked is not None else None)

    def _picture_parts(
        self, pictures: Sequence[MediumLine | None], plans: Sequence[PixelPlan | LoaderError]
    ) -> list[Part | None]:
        """What is read of each picture, which its geometry decides."""
        parts = []
        for picture, plan in zip(pictures, plans, strict=True):
            if picture is not None and self._renditions is not None and self._family.image is None:
                parts.append(smallest_enough(picture, plan, self._renditions))
            else:
                parts.append(picture.part if picture is not None else None)
        self._stats.add("from renditions", sum(part is not None and part.factor > 1 for part in parts))
        return parts

    def _fetch(self, parts: Sequence[Part | None], executor: ThreadPoolExecutor) -> list[Bytes | MedshardError | None]:
        wanted = [place for place, part in enumerate(parts) if part is not None]
        listed = [part for part in parts if part is not None]
        self._stats.add("bytes", sum(part.size_bytes for part in listed))
        found: list[Bytes | MedshardError | None] = [None] * len(parts)
        for place, data in zip(wanted, fetch_parts(self.corpus, listed, executor), strict=True):
            found[place] = data
        return found

    def _texts(
        self, lines: list[ItemLine], executor: ThreadPoolExecutor, problems: dict[int, str]
    ) -> list[ItemText | None]:
        """The conversation of each item; None where its record could not be read."""
        if self._by == "sample":
            return [no_text()] * len(lines)
        texts: list[ItemText | None] = []
        records = self._fetch([line.record for line in lines], executor)
        newer = self.corpus.text_lines([line.sample for line in lines])
        for place, (line, data) in enumerate(zip(lines, records, strict=True)):
            if isinstance(data, MedshardError) or data is None:
                problems[place] = str(data)
                texts.append(None)
                continue
            line_text = newer[place] if newer is not None else None
            texts.append(read_item_text(bytes(data), line_text, line.id) if line.id else no_text())
        return texts

    def _begin(self, step: _Step, read: _Read) -> _Begun:
        begun = _Begun(step, read)
        if self._compiled is not None:
            try:
                with self._stats.timed("jobs"):
                    self._begin_pixels(begun, self._compiled)
            except BaseException:
                self._drop(begun)
                raise
        return begun

    def _drop(self, begun: _Begun) -> None:
        assert self._engine is not None
        for pixels in begun.pixels.values():
            self._engine.cancel(pixels.ticket)

    def _begin_pixels(self, begun: _Begun, compiled: Compiled) -> None:
        assert self._engine is not None
        read = begun.read
        pictures = [line.picture for line in read.lines]
        values = [
            draw_item_values(
                read.lines, read.texts, read.plans, compiled, self._channels, self.seed, begun.step.epoch, view
            )
            for view in range(len(compiled.views))
        ]
        if self._family.image is not None:
            rules = {"image": self._family.image, "video": self._family.video}
            as_video = compiled.planes is not None and compiled.planes.as_video
            for kind, rule in rules.items():
                if rule is not None and (kind == "image" or as_video):
                    begun.pixels[kind] = begin_patches(
                        self._engine,
                        self._memory,
                        pictures,
                        read.plans,
                        read.pictures,
                        read.picture_planes,
                        rule,
                        self._dtype,
                        compiled,
                        values[0],
                        video=kind == "video",
                    )
            return
        assert compiled.size is not None
        height, width = compiled.size
        normalize = compiled.normalize
        layout = BatchLayout(
            height,
            width,
            self._channels,
            self._dtype,
            mean=tuple(normalize.mean) if normalize is not None else (),
            deviation=tuple(normalize.std) if normalize is not None else (),
            channels_last=self._channels_last,
            steps=values[0].steps,
            reduce=1 if compiled.whole else 2,  # else statistics would depend on how far the crop reduces
        )
        begun.pixels["image"] = begin_views(
            self._engine,
            self._memory,
            pictures,
            read.plans,
            read.pictures,
            read.picture_planes,
            layout,
            compiled,
            read.factors,
            values,
        )
        if self._mask_slot is not None:
            masks = [line.mask for line in read.lines]
            layout = BatchLayout(height, width, 1, "int32", mask=True)
            begun.pixels["mask"] = begin_views(
                self._engine, self._memory, masks, read.plans, read.masks, read.mask_planes, layout, compiled
            )

    def _finish(self, begun: _Begun) -> Batch:
        assert self._engine is not None
        step, read = begun.step, begun.read
        failed = dict(read.problems)
        batch = Batch()
        with self._stats.timed("decode"):
            for pixels in begun.pixels.values():
                failed.update(pixels.finish(self._engine))
        with self._stats.timed("collate"):
            for name, pixels in begun.pixels.items():
                batch.update(pixels.fields(name))
            if self._compiled is not None:
                batch.update(told_geometry(read.plans, self._compiled))
                if self._compiled.planes is not None:
                    batch.update(told_planes(read.plans))
            batch["text"] = [self._render(place, read, failed) for place in range(len(read.lines))]
            batch["key"] = [line.key for line in read.lines]
            batch["item"] = [f"{line.key}/{line.id}" if line.id else line.key for line in read.lines]
            batch["valid"] = torch.tensor([place not in failed for place in range(len(read.lines))], dtype=torch.bool)
            batch["padded"] = torch.from_numpy(step.padded.copy())
            batch["state"] = self._dump(step.state)
        self._account(read, failed)
        return batch

    def _render(self, place: int, read: _Read, failed: dict[int, str]) -> list[dict[str, str]]:
        text, plan = read.texts[place], read.plans[place]
        if text is None or text.conversation is None or place in failed or isinstance(plan, LoaderError):
            return []
        delivered = {}
        if plan.geometry is not None:
            delivered = dict.fromkeys(text.conversation.slots, plan.delivered())
        return text.render(self._family, delivered)

    def _account(self, read: _Read, failed: dict[int, str]) -> None:
        self._stats.add("delivered", len(read.lines) - len(failed))
        for place, reason in sorted(failed.items()):
            line = read.lines[place]
            number, _ = self.corpus.place_of(line.sample)
            shard = self.corpus.manifest.shards[number]
            if self._on_error == "raise":
                raise LoaderError(f"{line.key} in {shard.path} cannot be delivered: {reason}")
            self._stats.fail(shard.dataset, line.key, reason)


def _check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise LoaderError(f"{name}={value!r}; allowed: {', '.join(allowed)}")


def _global_batch(batch_size: int | None, global_batch_size: int | None, world_size: int) -> int:
    if (batch_size is None) == (global_batch_size is None):
        raise LoaderError("give batch_size (a rank) or global_batch_size (over all ranks), one of the two")
    total = batch_size * world_size if batch_size is not None else global_batch_size
    if total is None or total < 1:
        raise LoaderError(f"a batch has at least one item, not {batch_size or global_batch_size}")
    return total
