"""What a loader asks of the pixels of a step, whatever they are: pictures, patches of a family, crops of volumes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.engine import Engine
from medshard.families.base import Delivered
from medshard.loader.conversation import ItemText
from medshard.loader.selection import ItemLine, Selection
from medshard.loader.units import Units

__all__ = ["Delivery", "NoPixels", "StepItems", "StepPixels"]


@dataclass(frozen=True)
class StepItems:
    """The items of one step of this rank.

    Attributes:
        texts: of each item; None where its record could not be read.
        crops: (B,) which crop of its item each is.
    """

    epoch: int
    lines: Sequence[ItemLine]
    texts: Sequence[ItemText | None]
    crops: NDArray[np.int64]


class Delivery(ABC):
    """How the pixels of any step come to be; one object for all steps, used by several threads."""

    selection: Selection

    def units(self) -> Units:
        """What is ordered and counted."""
        return Units.items(self.selection)

    @abstractmethod
    def read(self, items: StepItems, executor: Executor) -> StepPixels:
        """Draw the geometry of a step and read what it needs; several steps side by side.

        What cannot be read fails its item when the step is finished, not the step.
        """


class StepPixels(ABC):
    """The pixels of one step, once they are read; used by one thread after another."""

    @abstractmethod
    def begin(self, engine: Engine) -> None:
        """Have them decoded and sampled, and return at once."""

    @abstractmethod
    def cancel(self, engine: Engine) -> None:
        """Give up what was begun, or some of it, so that ``finish`` returns or raises soon."""

    @abstractmethod
    def finish(self, engine: Engine) -> dict[int, str]:
        """Wait; gives why items failed, by place.

        Raises:
            BatchCancelled: the step was given up.
        """

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """Of the batch, once it is finished."""

    @abstractmethod
    def seen(self, place: int) -> Mapping[str, Delivered] | None:
        """How each slot of an item's text is delivered; None where its text cannot be shown."""


class NoPixels(Delivery, StepPixels):
    """Of a loader of text alone."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def read(self, items: StepItems, executor: Executor) -> NoPixels:
        return self

    def begin(self, engine: Engine) -> None:
        pass

    def cancel(self, engine: Engine) -> None:
        pass

    def finish(self, engine: Engine) -> dict[int, str]:
        return {}

    def fields(self) -> dict[str, Any]:
        return {}

    def seen(self, place: int) -> Mapping[str, Delivered] | None:
        return {}
