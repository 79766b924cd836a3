"""What a list of geometry operations says before any picture is known: sizes, border, views, whether it can be done."""

from __future__ import annotations

from collections.abc import Sequence

from medshard.augment.crops import MultiCrop
from medshard.augment.spatial import Border, Size, Spatial
from medshard.augment.turns import RandomRot90, Rot90
from medshard.augment.warps import ElasticTransform, RandomAffine, RandomRotation
from medshard.errors import LoaderError

__all__ = ["border_of", "check_geometry", "elastic_of", "output_size", "views_of"]


def output_size(operations: Sequence[Spatial]) -> Size | None:
    """(height, width) of every output; None when it depends on the picture."""
    size: Size | None = None
    for operation in operations:
        size = operation.output_size(size)
    return size


def border_of(operations: Sequence[Spatial]) -> Border:
    """The border of a list; black where none is said."""
    borders = [border for operation in operations if (border := operation.border()) is not None]
    return borders[0] if borders else Border()


def elastic_of(operations: Sequence[Spatial]) -> tuple[int, ElasticTransform] | None:
    """The elastic displacement of a list, with its place."""
    for place, operation in enumerate(operations):
        if isinstance(operation, ElasticTransform):
            return place, operation
    return None


def views_of(operations: Sequence[Spatial]) -> tuple[tuple[Spatial, ...], ...]:
    """The list of each view; one, unless there is a MultiCrop."""
    for place, operation in enumerate(operations):
        if isinstance(operation, MultiCrop):
            before, after = tuple(operations[:place]), tuple(operations[place + 1 :])
            return tuple((*before, crop, *after) for crop in operation.views)
    return (tuple(operations),)


def check_geometry(operations: Sequence[Spatial], *, one_size: bool = True) -> Size | None:
    """The size of every output, of the first view; None when it depends on the picture.

    Args:
        one_size: outputs must have one size.

    Raises:
        LoaderError: two resamplings, borders of two kinds, an order that is not one map, or outputs of different sizes.
    """
    resamplings = [operation for operation in operations if operation.resamples]
    if len(resamplings) > 1:
        names = " and ".join(type(operation).__name__ for operation in resamplings)
        raise LoaderError(f"{names} would resample twice; a picture is resampled once, so keep one of them")
    bordered = [operation for operation in operations if operation.border() is not None]
    if len({operation.border() for operation in bordered}) > 1:
        names = " and ".join(type(operation).__name__ for operation in bordered)
        raise LoaderError(
            f"{names} differ in fill, padding_mode or mask_fill; a picture has one border, so say the same"
        )
    elastic = elastic_of(operations)
    if elastic is not None:
        for operation in operations[elastic[0] + 1 :]:
            if isinstance(operation, (RandomRotation, RandomAffine, ElasticTransform)):
                name = type(operation).__name__
                raise LoaderError(
                    f"{name} cannot follow ElasticTransform"
                    + ("; one is enough" if name == "ElasticTransform" else f"; put {name} before it")
                )
    sizes = [output_size(view) for view in views_of(operations)]
    if one_size and None in sizes:
        turned = any(isinstance(operation, (Rot90, RandomRot90)) for operation in operations)
        raise LoaderError(
            "pictures of a batch have one size: use Resize((height, width)), RandomResizedCrop(size), or Resize(edge) "
            "with CenterCrop(size)" + (", with equal height and width where quarter turns follow" if turned else "")
        )
    return sizes[0]
