"""Expressions: an allow-list on the parsed tree."""

from __future__ import annotations

import pytest

from medshard.spec.expression import ExpressionError, parse_expression


@pytest.mark.parametrize(
    ("text", "columns", "aggregate"),
    [
        ("label || '-' || id", {("label",), ("id",)}, False),
        ("case when id::int <= 40 then 'train' else 'test' end", {("id",)}, False),
        ("coalesce(nullif(\"AP/PA\", ''), labels.projection)", {("AP/PA",), ("labels", "projection")}, False),
        ("trim(upper(answer_type)) = 'CLOSED' and x not in ('a', 'b')", {("answer_type",), ("x",)}, False),
        ("count(*) > 1 or min(a) = max(a)", {("a",)}, True),
        ("x between 1 and 2 and y is not null and not z", {("x",), ("y",), ("z",)}, False),
        ("remap_uid(SeriesInstanceUID)", {("SeriesInstanceUID",)}, False),
        ("try_cast(a as double) * -1.5 % 2", {("a",)}, False),
        ("json_extract_string(x, '$.a')[1]", {("x",)}, False),
    ],
)
def test_allowed(text: str, columns: set[tuple[str, ...]], aggregate: bool) -> None:
    expression = parse_expression(text)
    assert set(expression.columns) == columns
    assert expression.aggregate is aggregate


@pytest.mark.parametrize(
    "text",
    [
        "(select 1)",
        "exists (select 1)",
        "x in (select 1)",
        "now()",
        "random()",
        "gen_random_uuid()",
        "current_setting('x')",
        "getenv('HOME')",
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "getvariable('x')",
        "nextval('s')",
        "hash(x)",
        "list_transform(x, y -> y + 1)",
        "[y for y in x]",
        "row_number() over ()",
        "sum(x) over (order by y)",
        "first(x)",
        "any_value(x)",
        "list(x)",
        "string_agg(x, ',')",
        "sum(x)",
        "min(x order by y)",
        "count(min(x))",
        "*",
        "COLUMNS(*)",
        "$1",
        "?",
        "1; drop table t",
        "1) from duckdb_tables() where (1=1",
        "1), (2",
        "1 from t",
        "1 limit 1",
        "x::json",
        "x::struct(a int)",
        "{a: 1}",
        "other.upper(x)",
        "a.b.c",
        "uper(x)",
        "",
        "1 +",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text)


def test_a_comment_does_not_swallow_the_frame() -> None:
    assert parse_expression("1 -- nothing").columns == ()


def test_the_nearest_function_is_named() -> None:
    with pytest.raises(ExpressionError, match="Did you mean 'upper'"):
        parse_expression("uper(x)")
