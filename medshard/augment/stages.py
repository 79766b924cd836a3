"""Compiles a list of operations into a sampling and the steps after it, or says which order works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from medshard.augment.operations import Operation
from medshard.augment.planes import Planes
from medshard.augment.pointwise import Normalize, Window, ZScoreNormalize
from medshard.augment.spatial import Spatial
from medshard.augment.steps import Role, Step
from medshard.augment.turns import RandomHorizontalFlip, RandomVerticalFlip
from medshard.augment.views import check_geometry, views_of
from medshard.augment.windows import MultiWindow
from medshard.errors import LoaderError

__all__ = ["Compiled", "FileWindow", "PlacedStep", "compile_operations"]

T = TypeVar("T", bound=Operation)

_FLIPS = (RandomHorizontalFlip, RandomVerticalFlip)


@dataclass(frozen=True)
class FileWindow(Step):
    """The mapping to 0..1 of a list without ``Window``: each file's own."""

    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "window"
    refused: ClassVar[Literal["never"]] = "never"

    @property
    def role(self) -> Role:
        """Maps stored values to 0..1."""
        return "maps"


@dataclass(frozen=True)
class PlacedStep:
    """A step and its place in the list of operations, which its random numbers depend on."""

    place: int
    step: Step


@dataclass(frozen=True)
class Compiled:
    """Operations by what does them.

    Attributes:
        planes: how volumes become pictures; None when they may not occur.
        geometry: crops, resizes, turns and warps, in order.
        window: values that become 0 to 1, of all channels together; None for each file's own.
        window_place: of ``window`` in the list of operations.
        normalize: mean and deviation; None for none.
        size: (height, width) of every output; of the first view, where there are several; None when it depends on the
            picture.
        views: the geometry of each view; one, unless MultiCrop is in it.
        steps: what is done to the sampled crop, in order, window and normalize among it; empty when there is nothing
            but those two, which then happen while the crop is stored.
        unit: values end within 0 to 1.
        whole: a step asks for statistics of the whole stored picture.
    """

    planes: Planes | None
    geometry: tuple[Spatial, ...]
    window: Window | MultiWindow | None
    normalize: Normalize | None
    size: tuple[int, int] | None
    views: tuple[tuple[Spatial, ...], ...]
    window_place: int = 0
    steps: tuple[PlacedStep, ...] = ()
    unit: bool = True
    whole: bool = False


def compile_operations(operations: Sequence[Operation], *, one_size: bool = True) -> Compiled:
    """Put operations into the order volume → geometry → steps on values.

    Steps are done in the order of the list. A flip that stands after steps which do not care for it is done before
    them. All other geometry gives another result there (values are clipped before they are averaged), so such a list is
    refused with the order that works.

    Args:
        one_size: outputs must have one size, as those that are stacked must.

    Raises:
        LoaderError: an unknown operation, a wrong order, two resamplings, or outputs of different sizes.
    """
    for operation in operations:
        if not isinstance(operation, Operation):
            raise LoaderError(f"{operation!r} is no operation of medshard.augment; see medshard.augment.__all__")
    _check_order(operations)
    geometry = tuple(operation for operation in operations if isinstance(operation, Spatial))
    size = check_geometry(geometry, one_size=one_size)
    window: Window | MultiWindow | None = _single(operations, Window) or _single(operations, MultiWindow)
    normalize = _single(operations, Normalize)
    steps = _steps(operations)
    kinds = {type(placed.step) for placed in steps}
    return Compiled(
        planes=_single(operations, Planes),
        geometry=geometry,
        window=window,
        normalize=normalize,
        size=size,
        views=views_of(geometry),
        window_place=operations.index(window) if window is not None else 0,
        steps=() if kinds <= {Window, FileWindow, Normalize} else steps,
        unit=not any(placed.step.role == "ends" for placed in steps),
        whole=any(placed.step.whole for placed in steps),
    )


def _rank(operation: Operation) -> int:
    return ("volume", "geometry").index(operation.stage) if operation.stage in ("volume", "geometry") else 2


def _check_order(operations: Sequence[Operation]) -> None:
    """Volume before geometry before steps; a flip may come later where the steps before it are the same mirrored."""
    highest = 0
    mirrors = True
    for operation in operations:
        rank = _rank(operation)
        late_flip = rank == 1 and highest == 2 and isinstance(operation, _FLIPS) and mirrors
        if rank < highest and not late_flip:
            working = sorted(operations, key=_rank)
            names = ", ".join(type(operation).__name__ for operation in working)
            raise LoaderError(f"operations are in an order that cannot be fused; this one works: {names}")
        highest = max(highest, rank)
        if isinstance(operation, Step):
            mirrors = mirrors and operation.mirrors


def _steps(operations: Sequence[Operation]) -> tuple[PlacedStep, ...]:
    """The steps in order, with the mapping to 0..1 where it belongs.

    Raises:
        LoaderError: a step stands where values are not in the range that it works on.
    """
    placed = [PlacedStep(place, step) for place, step in enumerate(operations) if isinstance(step, Step)]
    for ending in (Normalize, ZScoreNormalize):
        _single(operations, ending)
    maps = [entry for entry in placed if entry.step.role == "maps"]
    ends = [entry for entry in placed if entry.step.role == "ends"]
    for found, why in ((maps, "brings values to 0..1"), (ends, "gives them their last range")):
        if len(found) > 1:
            names = " and ".join(type(entry.step).__name__ for entry in found)
            raise LoaderError(f"{names} stand in one list; one operation {why}, so keep one of them")
    if maps and ends and maps[0].place > ends[0].place:  # a last range means values from 0 to 1 before it
        placed.remove(maps[0])
        placed.insert(placed.index(ends[0]), maps[0])
    needs_unit = any(entry.step.role == "unit" or isinstance(entry.step, Normalize) for entry in placed)
    if not maps and (needs_unit or not ends):
        placed.insert(0, PlacedStep(len(operations), FileWindow()))
    _check_ranges(placed)
    return tuple(placed)


def _check_ranges(placed: Sequence[PlacedStep]) -> None:
    ranks = {"maps": 0, "unit": 1, "any": 1, "ends": 2}
    state = "stored"
    for place, entry in enumerate(placed):
        role = entry.step.role
        if entry.step.whole and place > 0:
            raise LoaderError(
                f"{type(entry.step).__name__} with statistics='file' takes those of stored values, so it is the first "
                f"step after geometry; {type(placed[place - 1].step).__name__} stands before it"
            )
        if role == "unit" and state != "unit":
            working = sorted(placed, key=lambda entry: ranks[entry.step.role])
            names = ", ".join(type(other.step).__name__ for other in working if not isinstance(other.step, FileWindow))
            raise LoaderError(
                f"{type(entry.step).__name__} works on values from 0 to 1, which they are between Window and "
                f"Normalize; this order works: {names}"
            )
        state = {"maps": "unit", "ends": "ended"}.get(role, state)


def _single(operations: Sequence[Operation], kind: type[T]) -> T | None:
    found = [operation for operation in operations if isinstance(operation, kind)]
    if len(found) > 1:
        names = [type(operation).__name__ for operation in found]
        if len(set(names)) > 1:
            raise LoaderError(f"{' and '.join(names)} stand in one list; keep one of them")
        raise LoaderError(f"{names[0]} stands twice; once is enough")
    return found[0] if found else None
