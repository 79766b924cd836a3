"""Small volumes whose every voxel says where it is, as a source that ``medshard build`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import nibabel
import numpy as np
from mixed_tree import LIMITS, Quiet
from numpy.typing import NDArray

from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.spec.load import load_spec_text
from medshard.storage import Storage
from medshard.storage.base import Bytes, Entry

SEQUENCES = ("t1", "t1c", "t2", "flair")

SPEC = """\
spec: 1
name: brain
about: {title: Painted sequences, modality: mr, anatomy: brain}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  cases: {json: cases.json, rows: "$[*]"}
  t1: {files: "t1/{id}.nii.gz"}
  t1c: {files: "t1c/{id}.nii.gz"}
  t2: {files: "t2/{id}.nii.gz"}
  flair: {files: "flair/{id}.nii.gz"}
  tumour: {files: "tumour/{id}.nii.gz"}
samples: {from: cases, key: id, patient: unknown, split: train}
media:
  t1: {from: t1, using: [id], kind: volume, no_file: missing}
  t1c: {from: t1c, using: [id], kind: volume, no_file: missing}
  t2: {from: t2, using: [id], kind: volume, no_file: missing}
  flair: {from: flair, using: [id], kind: volume, no_file: missing}
  tumour: {from: tumour, using: [id], kind: mask, like: flair, no_file: missing}
facts:
  parts: {kind: mask_classes, of: tumour, covers: all, map: {1: mass, 2: edema}}
"""


def oblique(spacing_mm: Sequence[float], degrees: float = 20.0) -> NDArray[np.float64]:
    """An affine with three spacings, turned about two axes, away from the origin."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing_mm)
    affine[:3, 3] = (-40.0, 25.0, 7.0)
    return affine


def painted(shape_ijk: Sequence[int], seed: int) -> NDArray[np.int16]:
    """Values of -1000 to 1999 that look like noise and are a function of the place."""
    i, j, k = np.indices(tuple(shape_ijk))
    return (((i * 7919 + j * 104_729 + k * 1_299_709 + seed * 15_485_863) % 3000) - 1000).astype(np.int16)


def ball(shape_ijk: Sequence[int], centre_ijk: Sequence[float], radius: float) -> NDArray[np.bool_]:
    """The voxels within a radius."""
    grid = np.indices(tuple(shape_ijk)).astype(np.float64)
    away = grid - np.array(centre_ijk, np.float64)[:, None, None, None]
    return np.asarray((away**2).sum(0) <= radius**2)


def taken(
    stored: NDArray[np.generic], geometry: NDArray[np.float64], size_zyx: Sequence[int], outside: float
) -> NDArray[np.float64]:
    """What a crop shows of (Z, Y, X) by the batch's geometry, voxel by voxel: the nearest, exact for whole steps."""
    back = np.linalg.inv(np.vstack([geometry, [0, 0, 0, 1]]))
    d, h, w = np.indices(tuple(size_zyx))
    ijk = np.stack([w, h, d, np.ones_like(d)], -1) @ back.T
    i, j, k = (np.rint(ijk[..., axis]).astype(int) for axis in range(3))
    inside = (i >= 0) & (j >= 0) & (k >= 0)
    inside &= (k < stored.shape[0]) & (j < stored.shape[1]) & (i < stored.shape[2])
    found = np.full(tuple(size_zyx), outside, np.float64)
    found[inside] = stored[k[inside], j[inside], i[inside]]
    return found


def save_nifti(path: Path, values_ijk: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """A volume as a file, its folder with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values_ijk, affine), path)


def build(spec: str, data: Path, corpus: Path) -> Path:
    """Build a corpus of one spec; its folder."""
    (loaded,) = load_spec_text(spec, "source.yaml")
    build_corpus([(loaded, data)], corpus, BuildOptions(workers=1, limits=LIMITS), Quiet())
    return corpus


class CountingStorage:
    """A storage that is not local to the reader, and remembers what was asked of it: (path, start, length)."""

    def __init__(self, inner: Storage) -> None:
        self.url, self._inner = inner.url, inner
        self.asked: list[tuple[str, int, int]] = []
        self._lock = Lock()

    def open(self) -> None:
        self._inner.open()

    def size(self, path: str) -> int:
        return self._inner.size(path)

    def exists(self, path: str) -> bool:
        return self._inner.exists(path)

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        data = self._inner.read(path, start, length)
        with self._lock:
            self.asked.append((path, start, len(data)))
        return data

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        with self._lock:
            self.asked += [(path, start, length) for start, length in ranges]
        return self._inner.read_ranges(path, ranges)

    def child(self, prefix: str) -> Storage:
        return self._inner.child(prefix)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return self._inner.list(prefix)


class StoredChunks:
    """Where the inner chunks of a volume's finest level lie, read from its files as the Zarr specification says."""

    def __init__(self, folder: Path) -> None:
        array = folder / "0"
        document = json.loads((array / "zarr.json").read_text())
        self.shape = tuple(document["shape"])
        self._shard = document["chunk_grid"]["configuration"]["chunk_shape"]
        self.inner = document["codecs"][0]["configuration"]["chunk_shape"]
        self.where: dict[tuple[int, ...], tuple[str, int, int]] = {}
        counts = [edge // inner for edge, inner in zip(self._shard, self.inner, strict=True)]
        for shard in np.ndindex(*(-(-n // edge) for n, edge in zip(self.shape, self._shard, strict=True))):
            path = array / "c" / "/".join(map(str, shard))
            raw = path.read_bytes()
            index = np.frombuffer(raw[-4 - 16 * int(np.prod(counts)) : -4], "<u8").reshape(*counts, 2)
            for place in np.ndindex(*counts):
                offset, length = (int(n) for n in index[place])
                if offset != 2**64 - 1:
                    chunk = tuple(s * c + p for s, c, p in zip(shard, counts, place, strict=True))
                    self.where[chunk] = (str(path), offset, length)

    def under(self, start: Sequence[int], stop: Sequence[int]) -> set[tuple[int, ...]]:
        """The chunks that hold something of a box."""
        spans = [range(a // edge, -(-b // edge)) for a, b, edge in zip(start, stop, self.inner, strict=True)]
        return {chunk for chunk in self.where if all(n in span for n, span in zip(chunk, spans, strict=True))}

    def bytes_of(self, chunks: set[tuple[int, ...]]) -> int:
        """Of these chunks, as they are stored."""
        return sum(self.where[chunk][2] for chunk in chunks)


class Brain:
    """Cases with any subset of four sequences, and a mask of two values in some; arrays (i, j, k)."""

    def __init__(self) -> None:
        self.affine: dict[str, NDArray[np.float64]] = {}
        self.sequences: dict[str, dict[str, NDArray[np.int16]]] = {}
        self.tumour: dict[str, NDArray[np.uint8]] = {}

    def add(
        self,
        name: str,
        shape_ijk: Sequence[int],
        there: Sequence[str] = SEQUENCES,
        *,
        labelled: bool = True,
        spacing_mm: Sequence[float] = (0.8, 0.9, 2.0),
        values: NDArray[np.int16] | None = None,
    ) -> None:
        """One case; of the given values, or painted."""
        self.affine[name] = oblique(spacing_mm)
        number = len(self.sequences)
        self.sequences[name] = {
            slot: painted(shape_ijk, 10 * number + SEQUENCES.index(slot)) if values is None else values
            for slot in there
        }
        if labelled:
            middle = np.array(shape_ijk) * 0.7
            mask = np.zeros(tuple(shape_ijk), np.uint8)
            mask[ball(shape_ijk, middle, 7)] = 2
            mask[ball(shape_ijk, middle, 4)] = 1
            self.tumour[name] = mask

    def build(self, root: Path) -> Path:
        """Write the source and build a corpus of it; the corpus's folder."""
        data = root / "data"
        data.mkdir(parents=True)
        (data / "cases.json").write_text(json.dumps([{"id": name} for name in self.sequences]))
        for name, sequences in self.sequences.items():
            for slot, values in sequences.items():
                save_nifti(data / slot / f"{name}.nii.gz", values, self.affine[name])
        for name, mask in self.tumour.items():
            save_nifti(data / "tumour" / f"{name}.nii.gz", mask, self.affine[name])
        return build(SPEC, data, root / "corpus")

    def stored(self, key: str, slot: str) -> NDArray[np.generic] | None:
        """(Z, Y, X) of a sample's key; None where it is absent."""
        name = key.removeprefix("brain-")
        values = self.tumour.get(name) if slot == "tumour" else self.sequences[name].get(slot)
        return None if values is None else values.transpose(2, 1, 0)
