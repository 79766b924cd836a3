"""The common result of all oracles. Conventions are written in README.md beside this file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

__all__ = ["Expected", "ExpectedSample", "Geometry", "Label", "MaskArea", "Pixels", "label", "pick"]

Matrix = tuple[tuple[float, ...], ...]
Box = tuple[str, float, float, float, float]


class Label(NamedTuple):
    """One raw class value. State: 'given', 'empty' (blank), 'null' (JSON null) or 'missing' (no row)."""

    raw: str
    state: str = "given"


class Pixels(NamedTuple):
    """Digest of a decoded array: sha256 of its C-contiguous bytes in little-endian order."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str

    @classmethod
    def of(cls, array: np.ndarray) -> Pixels:
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        return cls(tuple(array.shape), array.dtype.name, hashlib.sha256(little.tobytes()).hexdigest())


class MaskArea(NamedTuple):
    """Count of pixels, and the tight box (x0, y0, x1, y1) or (i0, j0, k0, i1, j1, k1), None if empty."""

    area: int
    box: tuple[int, ...] | None

    @classmethod
    def of(cls, mask: np.ndarray) -> MaskArea:
        """Measure a boolean array in (row, column) or (k, j, i) order; the box is in the reversed order."""
        spans = []
        for axis in reversed(range(mask.ndim)):
            others = tuple(a for a in range(mask.ndim) if a != axis)
            hit = np.flatnonzero(mask.any(axis=others))
            if not hit.size:
                return cls(0, None)
            spans.append((int(hit[0]), int(hit[-1]) + 1))
        return cls(int(np.count_nonzero(mask)), tuple(s[0] for s in spans) + tuple(s[1] for s in spans))


@dataclass
class Geometry:
    """A volume's grid: (i, j, k, 1) to RAS millimetres; some voxel values keyed (k, j, i) or (t, k, j, i)."""

    affine_ijk_to_ras: Matrix
    shape_kji: tuple[int, int, int]
    frames: int = 1
    voxels: dict[tuple[int, ...], float] = field(default_factory=dict)


@dataclass
class ExpectedSample:
    """What one sample must contain; a field that does not apply keeps its empty default."""

    split: str = ""
    group: str = ""
    labels: dict[str, Label] = field(default_factory=dict)
    terms: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    masks: dict[str, MaskArea] = field(default_factory=dict)
    points: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    grid_difference: dict[str, float] = field(default_factory=dict)
    pixels: Pixels | None = None
    qa: list[tuple[str, str]] = field(default_factory=list)
    qa_types: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    refs: list[str] = field(default_factory=list)
    geometry: Geometry | None = None


@dataclass
class Expected:
    """Samples by source path, named counts, left out (reason: count), refused files (path: reason)."""

    samples: dict[str, ExpectedSample] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def label(value: str | None) -> Label:
    """A cell of a table as a label: None means that the row or field is not there."""
    if value is None:
        return Label("", "missing")
    return Label(value) if value.strip() else Label(value, "empty")


def pick(names: Iterable[str]) -> Sequence[str]:
    """About five names: first, the quarters, last, in sorted order."""
    ordered = sorted(names)
    last = len(ordered) - 1
    return [ordered[i] for i in sorted({last * quarter // 4 for quarter in range(5)})] if ordered else []
