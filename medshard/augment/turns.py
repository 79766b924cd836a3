"""Mirrors and quarter turns, which move pixels and change none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medshard.augment.frames import Frames
from medshard.augment.spatial import Draw, Size, Spatial, check_probability
from medshard.errors import LoaderError

__all__ = ["RandomHorizontalFlip", "RandomRot90", "RandomVerticalFlip", "Rot90"]


@dataclass(frozen=True)
class RandomHorizontalFlip(Spatial):
    """Left becomes right, with probability ``p``; never where an item's text says that it refuses.

    Args:
        p: 0 to 1.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomHorizontalFlip", self.p)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Mirrors some of the frames."""
        frames.flip_horizontal(draw.fixed(1)[:, 0] < self.p)

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """Itself, where mirroring is allowed."""
        return self if mirror else None


@dataclass(frozen=True)
class RandomVerticalFlip(Spatial):
    """Top becomes bottom, with probability ``p``; never where an item's text says that it refuses.

    Args:
        p: 0 to 1.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomVerticalFlip", self.p)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Mirrors some of the frames."""
        frames.flip_vertical(draw.fixed(1)[:, 0] < self.p)

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """Itself, where mirroring is allowed."""
        return self if mirror else None


@dataclass(frozen=True)
class Rot90(Spatial):
    """Quarter turns counter-clockwise, as ``torch.rot90``; never where an item's text refuses turning.

    Args:
        turns: 0 to 3.
    """

    turns: int = 1

    def __post_init__(self) -> None:
        if self.turns not in (0, 1, 2, 3):
            raise LoaderError(f"Rot90: turns is 0, 1, 2 or 3; found {self.turns!r}")

    def output_size(self, size: Size | None) -> Size | None:
        """That of a square, or with an even number of turns: a text may refuse them, and sizes stay the same."""
        return size if size is None or size[0] == size[1] or self.turns % 2 == 0 else None

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Turns the frames."""
        for _ in range(self.turns):
            frames.turn(np.ones(len(frames.height), np.bool_))

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """Itself, where turning is allowed."""
        return self if turn else None


@dataclass(frozen=True)
class RandomRot90(Spatial):
    """A random number of quarter turns counter-clockwise, as ``torch.rot90``; never where an item's text refuses it.

    Args:
        turns: the numbers that are drawn from, each as likely.
    """

    turns: Sequence[int] = (0, 1, 2, 3)

    def __post_init__(self) -> None:
        allowed = isinstance(self.turns, (list, tuple)) and all(turn in (0, 1, 2, 3) for turn in self.turns)
        if not allowed or not self.turns:
            raise LoaderError(f"RandomRot90: turns lists numbers from 0 to 3; found {self.turns!r}")

    def output_size(self, size: Size | None) -> Size | None:
        """That of a square, or with even numbers of turns alone."""
        known = size is not None and (size[0] == size[1] or all(turn % 2 == 0 for turn in self.turns))
        return size if known else None

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Turns the frames."""
        chosen = np.array(self.turns)[(draw.fixed(1)[:, 0] * len(self.turns)).astype(np.int64)]
        for least in (1, 2, 3):
            frames.turn(chosen >= least)

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """Itself, where turning is allowed."""
        return self if turn else None
