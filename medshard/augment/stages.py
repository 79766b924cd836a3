"""Compiles a list of operations into stages, or says which order works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from medshard.augment.geometry import output_size
from medshard.augment.operations import Normalize, Operation, RandomResizedCrop, Resize, TakeSlice, Window
from medshard.errors import LoaderError

__all__ = ["Compiled", "compile_operations"]

T = TypeVar("T", bound=Operation)

_STAGES = ("volume", "geometry", "pointwise")


@dataclass(frozen=True)
class Compiled:
    """Operations by stage.

    Attributes:
        take_slice: how volumes become pictures; None when they may not occur.
        geometry: crops, resizes and flips, in order.
        window: values that become 0 to 1; None for each file's own.
        normalize: mean and deviation; None for none.
        size: (height, width) of every output; None when it depends on the picture.
    """

    take_slice: TakeSlice | None
    geometry: tuple[Operation, ...]
    window: Window | None
    normalize: Normalize | None
    size: tuple[int, int] | None


def compile_operations(operations: Sequence[Operation], *, one_size: bool = True) -> Compiled:
    """Put operations into the order volume → geometry → pointwise.

    A pointwise operation that stands before a geometric one gives another result there (values are clipped before they
    are averaged), so such a list is refused with the order that works.

    Args:
        one_size: outputs must have one size, as those that are stacked must.

    Raises:
        LoaderError: an unknown operation, a wrong order, two resamplings, or outputs of different sizes.
    """
    for operation in operations:
        if not isinstance(operation, Operation):
            raise LoaderError(f"{operation!r} is no operation of medshard.augment; see medshard.augment.__all__")
    stages = [_STAGES.index(operation.stage) for operation in operations]
    if stages != sorted(stages):
        working = sorted(operations, key=lambda operation: _STAGES.index(operation.stage))
        names = ", ".join(type(operation).__name__ for operation in working)
        raise LoaderError(f"operations are in an order that cannot be fused; this one works: {names}")
    geometry = tuple(operation for operation in operations if operation.stage == "geometry")
    resamplings = [op for op in geometry if isinstance(op, (Resize, RandomResizedCrop))]
    if len(resamplings) > 1:
        names = " and ".join(type(operation).__name__ for operation in resamplings)
        raise LoaderError(f"{names} would resample twice; a picture is resampled once, so keep one of them")
    size = output_size(geometry)
    if size is None and one_size:
        raise LoaderError(
            "pictures of a batch have one size: use Resize((height, width)), RandomResizedCrop(size), or Resize(edge) "
            "with CenterCrop(size)"
        )
    return Compiled(
        take_slice=_single(operations, TakeSlice),
        geometry=geometry,
        window=_single(operations, Window),
        normalize=_single(operations, Normalize),
        size=size,
    )


def _single(operations: Sequence[Operation], kind: type[T]) -> T | None:
    found = [operation for operation in operations if isinstance(operation, kind)]
    if len(found) > 1:
        raise LoaderError(f"{kind.__name__} stands twice; once is enough")
    return found[0] if found else None
