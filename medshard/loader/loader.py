"""The loader: a corpus as batches, in an order that is a pure function of (seed, position)."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from medshard.augment import Operation
from medshard.augment.volume import is_volume_transform
from medshard.corpus.corpus import Corpus
from medshard.engine import Engine
from medshard.errors import LoaderError, MedshardError
from medshard.families import FAMILIES, Family
from medshard.loader.arguments import check_choice, check_pictures, order_config, total_batch
from medshard.loader.batch import Batch
from medshard.loader.conversation import ItemText, no_text, read_item_text
from medshard.loader.delivery import Delivery, StepItems, StepPixels
from medshard.loader.fetch import fetch_there
from medshard.loader.order import BatchPlan, Order, OrderState, rank_slice
from medshard.loader.pictures import PictureOptions, deliver_pictures
from medshard.loader.pixels import DTYPES
from medshard.loader.prefetch import Prefetch, Stages
from medshard.loader.selection import ItemLine, Selection
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.volumes.delivery import VolumeCrops
from medshard.loader.volumes.options import VolumeOptions, compile_crops
from medshard.loader.world import rank_and_world

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
class _Made:
    """A step whose pixels are being made, and why some of its items cannot be delivered, by place."""

    step: _Step
    items: StepItems
    pixels: StepPixels
    problems: dict[int, str]


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
        window: items (or crops) that are mixed with one another; None mixes all with all, at the price of scattered
            reads. ``auto`` is 16,384 items, or the crops of 16 volumes.
        threads: of the native engine; as many as cores by default, one in a DataLoader's worker.
        device: ``cpu``.
        on_error: ``raise``, or ``skip`` to deliver ``valid = False`` in the sample's place and count it.
        by: ``item`` for one a conversation, ``sample`` for one a sample, without text.
        image, mask: slots that are delivered; without ``image``, the only picture of each item. Several slots, such as
            the sequences of an MR, are the channels of a crop of volumes, see docs/volumes.md.
        channels: 1 or 3, of pictures; volumes have their own.
        crops_per_volume: with a crop in 3D, how often an epoch has each item; each is drawn anew.
        dtype: of pictures: float32, float16, bfloat16, uint8.
        renditions: read the smallest stored level of a picture that has so many pixels for each of the output, on a
            side: 1 is fastest, 2 stays closer to the picture where it is all noise; None always reads the picture. The
            same holds of levels of a volume, for crops in 3D.
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
        window: int | Literal["auto"] | None = "auto",
        threads: int | None = None,
        device: str = "cpu",
        on_error: Literal["raise", "skip"] = "raise",
        by: Literal["item", "sample"] = "item",
        image: str | Sequence[str] | None = None,
        mask: str | None = None,
        crops_per_volume: int = 1,
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
        check_choice("remainder", remainder, ("short", "pad", "drop"))
        check_choice("on_error", on_error, ("raise", "skip"))
        check_choice("by", by, ("item", "sample"))
        check_choice("dtype", dtype, tuple(DTYPES))
        if device != "cpu":
            raise LoaderError(f"device={device!r}: batches are made on the CPU; move them with batch.to({device!r})")
        if renditions is not None and not renditions >= 1:
            raise LoaderError(f"renditions is 1 or more pixels for each of the output, or None; not {renditions}")
        if channels not in (1, 3):
            raise LoaderError(f"channels is 1 or 3, not {channels}")
        self.rank, self.world_size = rank_and_world(rank, world_size)
        self.global_batch_size = total_batch(batch_size, global_batch_size, self.world_size)
        self.corpus, self.seed, self._threads, self._on_error = corpus, seed, threads, on_error
        self._family = FAMILIES.get(family) if isinstance(family, str) else family
        self._selection = Selection(corpus, image=image, mask=mask, by=by)
        self._by, self._prefetch = by, max(1, prefetch)
        self._stats, self._memory = Stats(), SlotMemory(pin=pin_memory)
        self._engine: Engine | None = None
        if transform is not None and is_volume_transform(transform):
            crops = VolumeOptions(seed, dtype, renditions, mask, crops_per_volume)
            compiled = compile_crops(transform, crops, self._family, by=by, channels_last=channels_last)
            self._delivery: Delivery = VolumeCrops(self._selection, compiled, crops, self._memory, self._stats)
        else:
            check_pictures(self._selection, crops_per_volume)
            options = PictureOptions(seed, channels, dtype, channels_last, renditions, mask, self._family)
            self._delivery = deliver_pictures(self._selection, transform, options, self._memory, self._stats)
        self._units = self._delivery.units()
        config = order_config(self._units, window)
        self._order = Order([self._units.source], replace(config, seed=seed, shuffle=shuffle, remainder=remainder))
        if remainder == "drop" and len(self) == 0:
            raise LoaderError(
                f"remainder='drop' leaves nothing: the selection fills no step of {self.global_batch_size}; take a "
                "smaller batch, or remainder='short'"
            )
        self._next = OrderState()
        self._delivered: OrderState | None = None
        self._running: weakref.ref[Prefetch[_Step, _Made, _Made, Batch]] | None = None

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

    def _read(self, step: _Step, executor: ThreadPoolExecutor) -> _Made:
        places, crops = self._units.split(step.items)
        lines = self._selection.lines(places)
        problems: dict[int, str] = {}
        with self._stats.timed("read text"):
            texts = self._texts(lines, executor, problems)
        items = StepItems(step.epoch, lines, texts, crops)
        return _Made(step, items, self._delivery.read(items, executor), problems)

    def _texts(
        self, lines: list[ItemLine], executor: ThreadPoolExecutor, problems: dict[int, str]
    ) -> list[ItemText | None]:
        """The conversation of each item; None where its record could not be read."""
        if self._by == "sample":
            return [no_text()] * len(lines)
        texts: list[ItemText | None] = []
        records = fetch_there(self.corpus, [line.record for line in lines], executor, self._stats)
        newer = self.corpus.text_lines([line.sample for line in lines])
        for place, (line, data) in enumerate(zip(lines, records, strict=True)):
            if isinstance(data, MedshardError) or data is None:
                problems[place] = str(data)
                texts.append(None)
                continue
            line_text = newer[place] if newer is not None else None
            texts.append(read_item_text(bytes(data), line_text, line.id) if line.id else no_text())
        return texts

    def _begin(self, step: _Step, made: _Made) -> _Made:
        assert self._engine is not None
        made.pixels.begin(self._engine)
        return made

    def _drop(self, made: _Made) -> None:
        assert self._engine is not None
        made.pixels.cancel(self._engine)

    def _finish(self, made: _Made) -> Batch:
        assert self._engine is not None
        step, lines = made.step, made.items.lines
        failed = dict(made.problems)
        batch = Batch()
        with self._stats.timed("decode"):
            failed.update(made.pixels.finish(self._engine))
        with self._stats.timed("collate"):
            batch.update(made.pixels.fields())
            batch["text"] = [self._render(place, made, failed) for place in range(len(lines))]
            batch["key"] = [line.key for line in lines]
            batch["item"] = [f"{line.key}/{line.id}" if line.id else line.key for line in lines]
            batch["valid"] = torch.tensor([place not in failed for place in range(len(lines))], dtype=torch.bool)
            batch["padded"] = torch.from_numpy(step.padded.copy())
            batch["state"] = self._dump(step.state)
        self._account(lines, failed)
        return batch

    def _render(self, place: int, made: _Made, failed: dict[int, str]) -> list[dict[str, str]]:
        text = made.items.texts[place]
        if text is None or place in failed:
            return []
        delivered = made.pixels.seen(place)
        return text.render(self._family, delivered) if delivered is not None else []

    def _account(self, lines: Sequence[ItemLine], failed: dict[int, str]) -> None:
        self._stats.add("delivered", len(lines) - len(failed))
        for place, reason in sorted(failed.items()):
            line = lines[place]
            number, _ = self.corpus.place_of(line.sample)
            shard = self.corpus.manifest.shards[number]
            if self._on_error == "raise":
                raise LoaderError(f"{line.key} in {shard.path} cannot be delivered: {reason}")
            self._stats.fail(shard.dataset, line.key, reason)
