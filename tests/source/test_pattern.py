"""Path patterns: everything is literal but captures and stars."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshard.source.pattern import PatternError, compile_pattern


def match(pattern: str, *paths: str) -> list[dict[str, object]]:
    return compile_pattern(pattern).match(0, pa.array(paths, pa.string())).to_pylist()


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        ("{label}/{id}.tif", "ADI/x 1.tif", {"label": "ADI", "id": "x 1"}),
        ("a (1) [b]+%&.png", "a (1) [b]+%&.png", {}),
        ("**/x/{id}.png", "x/1.png", {"id": "1"}),
        ("**/x/{id}.png", "p/q/x/1.png", {"id": "1"}),
        ("p/**", "p/q/r.txt", {}),
        ("v1.0{_}/{id}", "v1.0/7", {"id": "7"}),
        ("v1.0{_}/{id}", "v1.0-small/7", {"id": "7"}),
        ("{id:\\d{4}}_*.jpg", "0012_left.jpg", {"id": "0012"}),
        ("{id}/{id}_{seq:t1|t1ce}.nii.gz", "B1/B1_t1ce.nii.gz", {"id": "B1", "seq": "t1ce"}),
        ("{id:(a|b)(c)}.x", "bc.x", {"id": "bc"}),
        ("数据/{id}.png", "数据/图1.png", {"id": "图1"}),
    ],
)
def test_matches(pattern: str, path: str, captures: dict[str, str]) -> None:
    (row,) = match(pattern, path)
    assert {name: value for name, value in row.items() if name != "index"} == captures


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{id}.png", "a/b.png"),
        ("{id}.png", "b.PNG"),
        ("{id}/{id}.png", "a/b.png"),
        ("*.png", "a/b.png"),
        ("a.png", "axpng"),
        ("{id:\\d+}.png", "1x.png"),
    ],
)
def test_does_not_match(pattern: str, path: str) -> None:
    assert match(pattern, path) == []


@pytest.mark.parametrize(
    "pattern", ["{id", "id}", "{1x}.png", "/a/b", "a/", "a!/", "!/b", "{id:[}.png", "{id:(?P<x>a)}{x}"]
)
def test_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_archives_split_and_share_captures() -> None:
    pattern = compile_pattern("{id}/P.zip!/**/{id}_{slice:\\d+}")
    assert pattern.captures == ("id", "slice")
    assert len(pattern.segments) == 2
    inner = pattern.match(1, pa.array(["x/a_1", "x/b_2"])).to_pylist()
    assert [(row["id"], row["slice"]) for row in inner] == [("a", "1"), ("b", "2")]


@given(st.text(alphabet=st.characters(blacklist_characters="{}*!/\n\r\0", blacklist_categories=("Cs",)), min_size=1))
def test_any_text_matches_itself(text: str) -> None:
    assert len(match(f"{text}/x", f"{text}/x")) == 1


def test_a_hostile_regex_stays_linear() -> None:
    assert match("{id:(a+)+b}", "a" * 5000) == []
