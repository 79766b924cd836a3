"""Opens the volumes of a corpus, for any thread."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from threading import Lock

from medshard.corpus.manifest import MANIFEST_NAME, Manifest
from medshard.errors import CorpusError
from medshard.storage import Storage
from medshard.storage.local import LocalStorage
from medshard.volumes import VolumeReader
from medshard.volumes.cache import ChunkCache
from medshard.volumes.catalog import CATALOG_NAME, Catalog

__all__ = ["CorpusVolumes"]

_OPEN = 256
_CACHE_BYTES = 512 * 2**20
"""Of compressed chunks from a remote store: crops of one volume come within one window of the loader's order."""


class CorpusVolumes:
    """Readers of volumes and of their label images, with the indexes that the corpus holds.

    A local file has the page cache behind it; from elsewhere, compressed chunks are kept for the next crops.
    """

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self._storage, self._manifest = storage, manifest
        self._cache = None if isinstance(storage, LocalStorage) else ChunkCache(_CACHE_BYTES)
        self._open: OrderedDict[str, VolumeReader] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {line.path: number for number, line in enumerate(self._manifest.volumes)}

    @cached_property
    def catalog(self) -> Catalog | None:
        """Metadata and shard indexes; None in corpora from before there was one.

        Raises:
            CorpusError: it is damaged, or of another corpus.
        """
        if CATALOG_NAME not in self._manifest.index:
            return None
        found = Catalog.open(self._storage)
        if found.volumes != len(self._manifest.volumes):
            raise CorpusError(
                f"{self._storage.url}: {CATALOG_NAME} has {found.volumes} volumes, {MANIFEST_NAME} "
                f"{len(self._manifest.volumes)}; run medshard build again"
            )
        return found

    def reader(self, path: str) -> VolumeReader:
        """A volume, or one of its ``labels/NAME``.

        Args:
            path: below the corpus.

        Raises:
            CorpusError: it is not there, or damaged.
        """
        with self._lock:
            found = self._open.get(path)
            if found is not None:
                self._open.move_to_end(path)
                return found
        folder = path.partition("/labels/")[0]
        number = self._numbers.get(folder)
        catalogued = self.catalog.volume(number, folder) if self.catalog is not None and number is not None else None
        opened = VolumeReader(self._storage, path, catalogued=catalogued, cache=self._cache)
        with self._lock:
            self._open[path] = opened
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        return opened
