"""YAML scalars stay text; lines are known; features that hide the truth are refused."""

from __future__ import annotations

import pytest

from medshard.errors import SpecError
from medshard.spec.yaml_text import parse_yaml


def test_scalars_are_text_as_written() -> None:
    document = parse_yaml("a: NO\nb: on\nc: 012\nd: 1e3\ne: 2020-01-01\nf: ~\ng: 1.0\nh: ''\ni: 'x'\n", "f.yaml")
    assert document.tree == {
        "a": "NO", "b": "on", "c": "012", "d": "1e3", "e": "2020-01-01", "f": "~", "g": "1.0", "h": "", "i": "x",
    }  # fmt: skip


def test_lines_are_kept_for_keys_lists_and_flow_style() -> None:
    document = parse_yaml("a:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n", "f.yaml")
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "c", 0)) == 4
    assert document.line(("a", "c", 1, "e")) == 6
    assert document.line(("a", "c", 1, "nowhere")) == 5


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: &x 1\nb: *x\n", 1, "anchor"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag"),
        ("%YAML 1.1\n---\na: 1\n", 1, "directive"),
        ("a: 1\na: 2\n", 2, "stands twice in one mapping, first on line 1"),
        ("a: 1\nb:\n", 2, "has no value"),
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
    ],
)
def test_refused(text: str, line: int, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f.yaml")
    problem = caught.value.problems[0]
    assert problem.line == line
    assert what in problem.message


def test_all_refusals_come_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml("a: &x 1\nb: !t 2\nc: *x\n", "f.yaml")
    assert len(caught.value.problems) == 3


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    with pytest.raises(SpecError):
        parse_yaml("a: " + "[" * 5000 + "]" * 5000, "f.yaml")
