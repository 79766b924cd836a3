"""Opens a corpus and answers what is in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from medshard.corpus.foreground import FOREGROUND_NAME, ForegroundIndex
from medshard.corpus.manifest import MANIFEST_NAME, Manifest
from medshard.corpus.sample import CorpusSample
from medshard.corpus.select import select_rows
from medshard.corpus.volumes import CorpusVolumes
from medshard.engine import crc32c
from medshard.errors import CorpusError, StorageError
from medshard.shards.locator import PART, Locator
from medshard.storage import Storage, open_storage
from medshard.volumes import VolumeReader
from medshard.volumes.foreground import Foreground

__all__ = ["Corpus", "open_corpus"]


class Corpus:
    """A corpus, or a selection of one.

    Length, indexing and iteration are over samples. What is indexed is read when it is looked at; nothing but the
    manifest is read at opening.

    Args:
        storage: where it lies.
        manifest: its ``corpus.json``.
        rows: rows of the index that belong to the selection; None for all.
        item_rows: items that belong to it; None for all items of its samples.
    """

    def __init__(
        self,
        storage: Storage,
        manifest: Manifest,
        rows: NDArray[np.int64] | None = None,
        item_rows: NDArray[np.int64] | None = None,
    ) -> None:
        self.storage, self.manifest = storage, manifest
        self._rows, self._item_rows = rows, item_rows

    def __repr__(self) -> str:
        return f"<corpus {self.storage.url}: {len(self)} samples, {len(self.item_rows)} items>"

    def __getstate__(self) -> dict[str, Any]:
        # Tables are read again in another process: they are cheaper to read than to send.
        return {name: self.__dict__[name] for name in ("storage", "manifest", "_rows", "_item_rows")}

    def _table(self, name: str) -> pa.Table:
        # From memory that is Arrow's own: its threads may still hold it when the interpreter ends, and letting go of
        # Python's there aborts the process.
        owned = pa.BufferOutputStream()
        owned.write(self.storage.read(f"{name}.parquet"))
        try:
            table = pq.ParquetFile(pa.BufferReader(owned.getvalue()), pre_buffer=False).read()
        except (pa.ArrowException, OSError) as error:
            raise self._other_index(f"{name}.parquet", "cannot be read, being damaged or cut off") from error
        counted = self.manifest.counts[name.rpartition("/")[2]]
        if len(table) != counted:
            raise self._other_index(f"{name}.parquet", f"has {len(table)} rows, {MANIFEST_NAME} counts {counted}")
        return table

    def _other_index(self, name: str, found: str) -> CorpusError:
        return CorpusError(
            f"{self.storage.url}: {name} {found}; a build was interrupted, or files of two corpora are mixed: run "
            "medshard build again"
        )

    @cached_property
    def samples(self) -> pa.Table:
        """``samples.parquet`` of the whole corpus, one row a sample in the order of shards."""
        return self._table("samples")

    @cached_property
    def items(self) -> pa.Table:
        """``items.parquet`` of the whole corpus, with ``sample``, the item's row in ``samples``."""
        text = self.manifest.text.path
        table = self._table("items" if text is None else f"{text}/items")
        starts = np.array([0, *np.cumsum([shard.samples for shard in self.manifest.shards])], np.int64)
        rows = starts[table["shard"].to_numpy()] + table["row"].to_numpy()
        return table.append_column("sample", pa.array(rows, pa.int64()))

    @cached_property
    def facts(self) -> pa.Table:
        """``facts.parquet`` of the whole corpus."""
        return self._table("facts")

    @cached_property
    def locator(self) -> Locator:
        """Byte ranges of all parts."""
        found = self._open_locator("locator.bin")
        if found.blocks["samples"].tolist() != [shard.samples for shard in self.manifest.shards]:
            raise self._other_index("locator.bin", f"has {found.samples} samples in {len(found.blocks)} shards")
        return found

    def _open_locator(self, name: str) -> Locator:
        root = getattr(self.storage, "root", None)
        return Locator.open(Path(root) / name) if root is not None else Locator(bytes(self.storage.read(name)))

    @cached_property
    def rendition_locator(self) -> Locator:
        """Byte ranges of the parts of renditions, whose shards are numbered through those of the manifest."""
        found = self._open_locator("renditions.bin")
        counted = [shard.samples for shard in self.manifest.shards for _ in shard.renditions]
        if found.blocks["samples"].tolist() != counted:
            raise self._other_index("renditions.bin", f"has {found.samples} samples in {len(found.blocks)} shards")
        return found

    @cached_property
    def _first_rendition(self) -> list[int]:
        """Of each shard, the number of its first sibling."""
        return [0, *itertools.accumulate(len(shard.renditions) for shard in self.manifest.shards)]

    def rendition_place(self, shard: int, row: int, level: int, part: int) -> tuple[int, int, int]:
        """Offset, size and CRC-32C of a part in the shard's sibling of that place in ``renditions``."""
        return self.rendition_locator.place(self._first_rendition[shard] + level, row, part)

    def path_of(self, shard: int, factor: int = 1) -> str:
        """Path of a shard, or of its sibling whose pictures are smaller by a factor."""
        line = self.manifest.shards[shard]
        return line.path if factor == 1 else next(level.path for level in line.renditions if level.factor == factor)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of ``samples`` that belong to the selection, ascending."""
        return self._rows if self._rows is not None else np.arange(len(self), dtype=np.int64)

    @cached_property
    def item_rows(self) -> NDArray[np.int64]:
        """Rows of ``items`` that belong to the selection, ascending."""
        if self._item_rows is not None:
            return self._item_rows
        if self._rows is None:
            return np.arange(len(self.items), dtype=np.int64)
        chosen = np.zeros(len(self.samples), bool)
        chosen[self._rows] = True
        return np.flatnonzero(chosen[self.items["sample"].to_numpy()])

    def __len__(self) -> int:
        return len(self._rows) if self._rows is not None else sum(shard.samples for shard in self.manifest.shards)

    def __getitem__(self, place: int) -> CorpusSample:
        if not -len(self) <= place < len(self):
            raise IndexError(f"sample {place} of {len(self)}")
        return CorpusSample(self, int(self.rows[place]))

    def __iter__(self) -> Iterator[CorpusSample]:
        return (CorpusSample(self, int(row)) for row in self.rows)

    @cached_property
    def _by_key(self) -> dict[str, int]:
        return {str(key): row for row, key in enumerate(self.samples["key"].to_pylist())}

    def sample(self, key: str) -> CorpusSample:
        """The sample of a key.

        Raises:
            CorpusError: there is none; names the nearest.
        """
        if key not in self._by_key:
            from medshard.errors import nearest

            guess = nearest(key, list(self._by_key)[:20_000])
            raise CorpusError(f"no sample has the key {key!r}." + (f" Did you mean {guess!r}?" if guess else ""))
        return CorpusSample(self, self._by_key[key])

    def select(self, condition: str) -> Corpus:
        """The samples (or, by columns of items, the items and their samples) for which a condition is true.

        Args:
            condition: SQL over the index, such as ``"modality = 'ct' and split = 'train'"`` or ``"task = 'vqa'"``.

        Raises:
            CorpusError: the condition is not allowed or names an unknown column.
        """
        rows, items = select_rows(condition, self.samples, self.items)
        if items is not None:
            items = np.intersect1d(items, self.item_rows)
            samples = np.unique(self.items["sample"].to_numpy()[items])
            return Corpus(self.storage, self.manifest, samples, items)
        assert rows is not None
        rows = np.intersect1d(rows, self.rows)
        chosen = np.zeros(len(self.samples), bool)
        chosen[rows] = True
        kept = self.item_rows[chosen[self.items["sample"].to_numpy()[self.item_rows]]]
        return Corpus(self.storage, self.manifest, rows, kept)

    def place_of(self, row: int) -> tuple[int, int]:
        """Shard and place in the shard of a sample."""
        return int(self.samples["shard"][row].as_py()), int(self.samples["row"][row].as_py())

    def folder_of(self, row: int) -> str:
        """The build folder of a sample's dataset, below the corpus."""
        shard, _ = self.place_of(row)
        return self.manifest.shards[shard].path.rsplit("/shards/", 1)[0]

    @cached_property
    def _foreground(self) -> ForegroundIndex | None:
        return ForegroundIndex(self.storage) if FOREGROUND_NAME in self.manifest.index else None

    def foreground(self, row: int, slot: str) -> Foreground | None:
        """What a 3D mask marks, without a look at it; None for other slots, and in corpora built before there was one.

        Args:
            row: of ``samples``.

        Raises:
            CorpusError: the index is damaged.
        """
        if self._foreground is None:
            return None
        return self._foreground.find(str(self.samples["key"][row].as_py()), slot)

    @cached_property
    def volumes(self) -> CorpusVolumes:
        """Readers of the corpus's volumes."""
        return CorpusVolumes(self.storage, self.manifest)

    def volume(self, path: str) -> VolumeReader:
        """A volume or one of its ``labels/NAME``, by its path below the corpus; any thread may read it.

        Raises:
            CorpusError: it is not there, or damaged.
        """
        return self.volumes.reader(path)

    def read_part(self, row: int, extension: str) -> bytes | memoryview:
        """One part of a sample, its checksum compared.

        Raises:
            CorpusError: there is no such part, or it is damaged.
        """
        number, place = self.place_of(row)
        shard = self.manifest.shards[number]
        if extension not in shard.parts:
            raise CorpusError(f"{shard.path} has no part {extension!r}; parts: {', '.join(shard.parts)}")
        offset, size, checksum = self.locator.place(number, place, shard.parts.index(extension))
        try:
            data = self.storage.read(shard.path, offset, size)
        except StorageError as error:
            raise CorpusError(f"{shard.path}: sample {place}, part {extension!r}: {error}") from error
        if crc32c(data) != checksum:
            place_text = f"{shard.path}: part {extension!r} of sample {place} (bytes {offset}-{offset + size - 1})"
            raise CorpusError(f"{place_text} fails its checksum; the file is damaged or truncated")
        return data

    @cached_property
    def _text_places(self) -> NDArray[np.void] | None:
        path = self.manifest.text.path
        if path is None:
            return None
        return np.frombuffer(bytes(self.storage.read(f"{path}/conversations.locator")), PART)

    def text_lines(self, rows: Sequence[int]) -> list[bytes] | None:
        """Conversations of samples in the current text set, as JSON; None when that is the one in the shards.

        Raises:
            CorpusError: the set is damaged.
        """
        places, folder = self._text_places, self.manifest.text.path
        if places is None:
            return None
        entries = [places[row] for row in rows]
        ranges = [(int(entry["offset"]), int(entry["size"])) for entry in entries]
        found = []
        lines = self.storage.read_ranges(f"{folder}/conversations.jsonl", ranges)
        for row, entry, data in zip(rows, entries, lines, strict=True):
            if crc32c(data) != int(entry["crc32c"]):
                raise CorpusError(f"{folder}/conversations.jsonl: the line of sample {row} fails its checksum")
            found.append(bytes(data))
        return found


def open_corpus(url: str | Path, **options: Any) -> Corpus:
    """Open a corpus.

    Args:
        url: a folder, or ``s3://bucket/prefix``.
        options: of the storage, such as ``endpoint=``.

    Raises:
        CorpusError: there is no corpus, or it is of another version.
    """
    storage = open_storage(url, **options)
    try:
        data = bytes(storage.read(MANIFEST_NAME))
    except StorageError as error:
        raise CorpusError(f"{url}: there is no corpus here ({MANIFEST_NAME} cannot be read: {error})") from error
    return Corpus(storage, Manifest.parse(data, str(url)))
