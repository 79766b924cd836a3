"""Compiles a list of operations into stages, or says which order works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from medshard.augment.operations import Normalize, Operation, TakeSlice, Window
from medshard.augment.spatial import Spatial
from medshard.augment.views import check_geometry, views_of
from medshard.errors import LoaderError

__all__ = ["Compiled", "compile_operations"]

T = TypeVar("T", bound=Operation)

_STAGES = ("volume", "geometry", "pointwise")


@dataclass(frozen=True)
class Compiled:
    """Operations by stage.

    Attributes:
        take_slice: how volumes become pictures; None when they may not occur.
        geometry: crops, resizes, turns and warps, in order.
        window: values that become 0 to 1; None for each file's own.
        normalize: mean and deviation; None for none.
        size: (height, width) of every output; of the first view, where there are several.
        views: the geometry of each view; one, unless MultiCrop is in it.
    """

    take_slice: TakeSlice | None
    geometry: tuple[Spatial, ...]
    window: Window | None
    normalize: Normalize | None
    size: tuple[int, int]
    views: tuple[tuple[Spatial, ...], ...]


def compile_operations(operations: Sequence[Operation]) -> Compiled:
    """Put operations into the order volume → geometry → pointwise.

    A pointwise operation that stands before a geometric one gives another result there (values are clipped before they
    are averaged), so such a list is refused with the order that works.

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
    geometry = tuple(operation for operation in operations if isinstance(operation, Spatial))
    size = check_geometry(geometry)
    return Compiled(
        take_slice=_single(operations, TakeSlice),
        geometry=geometry,
        window=_single(operations, Window),
        normalize=_single(operations, Normalize),
        size=size,
        views=views_of(geometry),
    )


def _single(operations: Sequence[Operation], kind: type[T]) -> T | None:
    found = [operation for operation in operations if isinstance(operation, kind)]
    if len(found) > 1:
        raise LoaderError(f"{kind.__name__} stands twice; once is enough")
    return found[0] if found else None
