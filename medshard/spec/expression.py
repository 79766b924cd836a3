"""Expressions: what may stand in one, decided on the parsed tree.

DuckDB parses the text; the tree must consist of the classes, functions and types listed here. Whatever reads files,
settings, the clock or chance, or whose result depends on the order of rows, is not on the list, so new functions of a
new DuckDB are refused until they are put here.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

import duckdb

from medshard.errors import nearest

__all__ = ["AGGREGATES", "FUNCTIONS", "Expression", "ExpressionError", "parse_expression"]

FUNCTIONS = frozenset(
    [
        "lower",
        "upper",
        "trim",
        "ltrim",
        "rtrim",
        "replace",
        "translate",
        "concat",
        "substr",
        "substring",
        "left",
        "right",
        "length",
        "strlen",
        "strip_accents",
        "starts_with",
        "ends_with",
        "prefix",
        "suffix",
        "contains",
        "lpad",
        "rpad",
        "reverse",
        "repeat",
        "split_part",
        "string_split",
        "regexp_extract",
        "regexp_replace",
        "regexp_matches",
        "regexp_full_match",
        "instr",
        "position",
        "ascii",
        "chr",
        "abs",
        "round",
        "floor",
        "ceil",
        "ceiling",
        "trunc",
        "sign",
        "sqrt",
        "power",
        "pow",
        "ln",
        "log10",
        "greatest",
        "least",
        "coalesce",
        "nullif",
        "ifnull",
        "if",
        "json_extract_string",
        "json_array_length",
        "json_keys",
        "json_contains",
        "list_value",
        "list_contains",
        "list_extract",
        "len",
        "array_length",
        "array_to_string",
        "date_diff",
        "strptime",
        "try_strptime",
        "year",
        "month",
        "day",
        "remap_uid",
        "||",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "^",
        "~~",
        "!~~",
        "~~*",
        "!~~*",
        "~~~",
        "between",
        "in",
    ]
)
"""Scalar functions and operators, by DuckDB's name; ``remap_uid`` is medshard's own."""

AGGREGATES = frozenset({"count", "count_star", "min", "max", "bool_and", "bool_or"})
"""Aggregates whose result does not depend on the order of rows; a sum of doubles does, so there is none."""

_TYPES = frozenset(
    [
        "INTEGER",
        "INT",
        "INT4",
        "SIGNED",
        "BIGINT",
        "INT8",
        "LONG",
        "SMALLINT",
        "INT2",
        "TINYINT",
        "HUGEINT",
        "UBIGINT",
        "UINTEGER",
        "DOUBLE",
        "FLOAT8",
        "FLOAT",
        "REAL",
        "NUMERIC",
        "DECIMAL",
        "VARCHAR",
        "TEXT",
        "STRING",
        "BOOLEAN",
        "BOOL",
        "DATE",
        "TIMESTAMP",
    ]
)

_OPERATORS = frozenset(
    [
        "OPERATOR_CAST",
        "OPERATOR_NOT",
        "OPERATOR_IS_NULL",
        "OPERATOR_IS_NOT_NULL",
        "OPERATOR_COALESCE",
        "OPERATOR_NULLIF",
        "OPERATOR_TRY",
        "COMPARE_IN",
        "COMPARE_NOT_IN",
        "COMPARE_EQUAL",
        "COMPARE_NOTEQUAL",
        "COMPARE_LESSTHAN",
        "COMPARE_GREATERTHAN",
        "COMPARE_LESSTHANOREQUALTO",
        "COMPARE_GREATERTHANOREQUALTO",
        "COMPARE_DISTINCT_FROM",
        "COMPARE_NOT_DISTINCT_FROM",
        "COMPARE_BETWEEN",
        "COMPARE_NOT_BETWEEN",
        "CONJUNCTION_AND",
        "CONJUNCTION_OR",
        "ARRAY_EXTRACT",
        "CASE_EXPR",
    ]
)

_PROPERTIES = frozenset({"CONSTANT", "COLUMN_REF"})


class ExpressionError(ValueError):
    """An expression is not well formed or uses what is not allowed; the message says which and what may stand."""


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes:
        text: as written.
        columns: the columns it names: (column,) or (source, column).
        aggregate: whether it reduces the rows of a group to one value.
    """

    text: str
    columns: tuple[tuple[str, ...], ...]
    aggregate: bool


_QUOTES = "; a column whose name is a word of SQL, or has spaces or signs in it, stands in double quotes"

_parser = threading.local()


def _serialize(text: str) -> dict[str, Any]:
    # One parser a thread: a DuckDB connection is not for concurrent use. It has no access to files at all.
    connection = getattr(_parser, "connection", None)
    if connection is None:
        connection = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
        _parser.connection = connection
    row = connection.execute("SELECT json_serialize_sql(?)", [f"SELECT ({text}\n)"]).fetchall()[0]
    tree: dict[str, Any] = json.loads(row[0])
    return tree


def parse_expression(text: str) -> Expression:
    """Parse and check one expression.

    Raises:
        ExpressionError: it cannot be parsed, or uses something outside the allow-list.
    """
    tree = _serialize(text)
    if tree.get("error"):
        raise ExpressionError(f"cannot be parsed: {tree.get('error_message', 'syntax error')}{_QUOTES}")
    statements = tree["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    plain = node.get("type") == "SELECT_NODE" and len(node.get("select_list", ())) == 1
    bare = plain and node["from_table"]["type"] == "EMPTY" and not node["modifiers"] and not node["where_clause"]
    if not bare or node.get("group_expressions") or node.get("having") or node.get("qualify"):
        raise ExpressionError("is more than one scalar expression")
    columns: list[tuple[str, ...]] = []
    state = {"aggregate": False}
    _walk(node["select_list"][0], columns, state, inside_aggregate=False)
    return Expression(text, tuple(dict.fromkeys(columns)), state["aggregate"])


def _walk(
    node: dict[str, Any], columns: list[tuple[str, ...]], state: dict[str, bool], *, inside_aggregate: bool
) -> None:
    kind = str(node["class"])
    if kind in (
        "BOUND_EXPRESSION",
        "SUBQUERY",
        "WINDOW",
        "LAMBDA",
        "STAR",
        "PARAMETER",
        "POSITIONAL_REFERENCE",
    ):
        words = {
            "SUBQUERY": "a subquery",
            "WINDOW": "a window function",
            "LAMBDA": "a lambda",
            "STAR": "a star",
        }
        raise ExpressionError(f"{words.get(kind, kind.lower())} is not allowed in an expression")
    if kind == "COLUMN_REF":
        names = tuple(str(name) for name in node["column_names"])
        if len(names) > 2:
            raise ExpressionError(f"{'.'.join(names)!r} has more parts than source.column")
        columns.append(names)
        return
    if kind == "CONSTANT":
        return
    if kind == "CAST":
        target = _type_name(node)
        if target.upper() not in _TYPES:
            raise ExpressionError(f"a cast to {target} is not allowed; allowed: {', '.join(sorted(_TYPES))}")
        _walk(node["child"], columns, state, inside_aggregate=inside_aggregate)
        return
    if kind == "FUNCTION":
        inside_aggregate = _check_function(node, state, inside_aggregate=inside_aggregate)
    elif kind in ("OPERATOR", "COMPARISON", "CONJUNCTION", "BETWEEN", "CASE"):
        if str(node["type"]) not in _OPERATORS:
            raise ExpressionError(f"the operator {node['type'].lower()} is not allowed")
    else:
        raise ExpressionError(f"{kind.lower()} is not allowed in an expression")
    for child in _children(node):
        _walk(child, columns, state, inside_aggregate=inside_aggregate)


def _check_function(node: dict[str, Any], state: dict[str, bool], *, inside_aggregate: bool) -> bool:
    name = str(node["function_name"]).lower()
    # DuckDB 1.5 itself puts "main" before trim; the session defines nothing there.
    if node.get("schema") not in (None, "", "main") or node.get("catalog"):
        raise ExpressionError(f"{name!r} may not be qualified")
    if name in AGGREGATES:
        if inside_aggregate:
            raise ExpressionError(f"{name} stands inside another aggregate")
        if (node.get("order_bys") or {}).get("orders"):
            raise ExpressionError(f"{name} may not be ordered")
        state["aggregate"] = True
        return True
    if name not in FUNCTIONS:
        known = sorted(word for word in FUNCTIONS | AGGREGATES if word[0].isalpha())
        guess = nearest(name, known)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ExpressionError(f"the function {name!r} is not allowed.{hint} Allowed: {', '.join(known)}")
    return inside_aggregate


def _type_name(node: dict[str, Any]) -> str:
    """The target of a cast; newer DuckDB keeps it as written, older ones as a resolved type."""
    written = node.get("type_expr")
    if written is not None:
        return str(written["type_name"])
    return str(node["cast_type"]["id"])


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    """All sub-expressions of a node, whichever field holds them."""
    found: list[dict[str, Any]] = []
    for key, value in node.items():
        if key in ("order_bys", "type_expr", "cast_type"):
            continue
        found += _expressions_in(value)
    return found


def _expressions_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        if "class" in value and "type" in value:
            return [value]
        return [item for part in value.values() for item in _expressions_in(part)]
    if isinstance(value, list):
        return [item for part in value for item in _expressions_in(part)]
    return []
