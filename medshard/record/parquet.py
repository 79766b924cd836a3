"""Arrow schemas generated from pydantic models, so that the index and the record cannot drift apart."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel

__all__ = ["arrow_schema"]

_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """One column a field, in the order of the model; a field is nullable when its type says so.

    Raises:
        TypeError: a field's type has no column type.
    """
    fields = []
    for name, field in model.model_fields.items():
        data_type, nullable = _column(field.annotation)
        fields.append(pa.field(field.alias or name, data_type, nullable))
    return pa.schema(fields)


def _column(annotation: Any) -> tuple[pa.DataType, bool]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        kinds = [argument for argument in arguments if argument is not type(None)]
        if len(kinds) != 1:
            raise TypeError(f"{annotation!r} has no column type")
        return _column(kinds[0])[0], len(kinds) != len(arguments)
    if origin is Literal:
        return pa.string(), False
    if origin is list:
        return pa.list_(_column(arguments[0])[0]), False
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct(list(arrow_schema(annotation))), False
    if annotation in _SCALARS:
        return _SCALARS[annotation], False
    raise TypeError(f"{annotation!r} has no column type")
