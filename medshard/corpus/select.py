"""Selections: a condition over the index, by the same allow-list as a spec's expressions."""

from __future__ import annotations

import threading

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medshard.errors import CorpusError, nearest
from medshard.spec.expression import ExpressionError, parse_expression

__all__ = ["select_rows"]

_MEMORY_LIMIT = "2GB"
_TIMEOUT_S = 120.0

_ITEM_COLUMNS = (
    "id",
    "task",
    "lang",
    "twin",
    "slots",
    "asked",
    "answer_type",
    "difficulty",
    "weight",
    "question_chars",
    "answer_chars",
)
"""Columns that only items have; ``asked`` is the item's ``concepts``, the sample's own being ``concepts``."""


def select_rows(
    condition: str, samples: pa.Table, items: pa.Table
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Rows for which a condition is true.

    Args:
        condition: over the columns of samples and items, such as ``modality = 'ct' and task = 'vqa'``.

    Returns:
        Rows of ``samples``, or, when the condition names a column of items, rows of ``items``; the other is None.

    Raises:
        CorpusError: the condition is not allowed, or names a column that is not there.
    """
    try:
        expression = parse_expression(condition)
    except ExpressionError as error:
        raise CorpusError(f"select: {condition!r} {error}") from error
    if expression.aggregate:
        raise CorpusError(f"select: {condition!r} has an aggregate; a condition is over one row")
    named = {names[-1] for names in expression.columns}
    known = set(samples.column_names) | set(_ITEM_COLUMNS)
    for column in sorted(named - known):
        guess = nearest(column, sorted(known))
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise CorpusError(f"select: there is no column {column!r}.{hint} Columns: {', '.join(sorted(known))}.")
    by_item = bool(named & set(_ITEM_COLUMNS))
    config = {"enable_external_access": "false", "threads": "2", "memory_limit": _MEMORY_LIMIT}
    connection = duckdb.connect(":memory:", config=config)
    timer = threading.Timer(_TIMEOUT_S, connection.interrupt)
    timer.start()
    # As the argument of a function nothing but an expression can be parsed, whatever its parentheses close.
    true = f"coalesce(({condition}\n)::BOOLEAN, false)"
    try:
        place = pa.array(np.arange(len(samples)), pa.int64())
        connection.register("samples", samples.append_column("_row", place))
        if by_item:
            item_place = pa.array(np.arange(len(items)), pa.int64())
            columns = [name for name in _ITEM_COLUMNS if name in items.column_names]
            narrow = items.select([*columns, "sample"]).append_column("asked", items["concepts"])
            connection.register("items", narrow.append_column("_item", item_place))
            sql = f"SELECT _item FROM items JOIN samples ON items.sample = samples._row WHERE {true} ORDER BY 1"
        else:
            sql = f"SELECT _row FROM samples WHERE {true} ORDER BY 1"
        rows = connection.sql(sql).to_arrow_table()[0].to_numpy()
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        raise CorpusError(f"select: {condition!r} cannot be evaluated: {reason}") from error
    finally:
        timer.cancel()
        connection.close()
    found = np.asarray(rows, np.int64)
    return (None, found) if by_item else (found, None)
