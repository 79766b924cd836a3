"""Boxes of the source become continuous pixels: x0 y0 x1 y1, (0, 0) the outer corner of the first pixel.

The oracle paints the pixels that the source's convention names into an array, one by one, and reads the edges back.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_source import Source, blank, boxes, looked_for, measures, read_source, states, table

from medshard.errors import ReadError
from medshard.facts.boxes import box_in_pixels
from medshard.record.facts import MeasureFact, RegionFact
from medshard.spec.schema.facts import BoxFact

WIDTH, HEIGHT = 40, 30

BODY = """\
sources:
  images: {files: "{id}.png"}
  objects: {csv: objects.csv}
samples: {from: images, join: {objects: {using: [id], need: any}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
  finding:
    kind: boxes
    of: objects
    value: label
    FORM
    frame: pixel_xy
    covers: all
    by: expert
    map: {n: nodule, m: mass}
"""

VOC = 'corners: ["a::int", "b::int", "c::int", "d::int"]\n    origin: 1\n    inclusive: "yes"'
COCO = 'corner_size: ["a::double", "b::double", "c::double", "d::double"]\n    origin: 0\n    inclusive: "no"'
HALF_OPEN = 'corners: ["a::double", "b::double", "c::double", "d::double"]\n    origin: 0\n    inclusive: "no"'
ZERO_BASED_LAST = 'corners: ["a::int", "b::int", "c::int", "d::int"]\n    origin: 0\n    inclusive: "yes"'
CENTRE = 'centre_size: ["a::double", "b::double", "c::double", "d::double"]\n    origin: 0\n    inclusive: "no"'


def source(root: Path, form: str, rows: list[tuple[object, ...]], body: str = BODY) -> Source:
    """Two pictures: ``one`` has the rows, ``two`` one of each class, so that the map is closed."""
    rest = [("two", label, 10, 10, 12, 14) for label in "nm"]
    listed = table("id,label,a,b,c,d", [("one", *row) for row in rows] + rest)
    files = {"one.png": blank(WIDTH, HEIGHT), "two.png": blank(WIDTH, HEIGHT), "objects.csv": listed}
    return read_source(root / "data", body.replace("FORM", form), files)


def edges_of_pixels(columns: range, rows: range) -> tuple[float, ...]:
    """The outer edges of a block of zero-based pixels: pixel i spans [i, i + 1]."""
    return (float(min(columns)), float(min(rows)), float(max(columns) + 1), float(max(rows) + 1))


@pytest.mark.parametrize(
    ("form", "cells", "columns", "rows"),
    [
        # VOC counts from 1 and names the last pixel inside: 1..40 is the whole width.
        (VOC, (1, 1, 40, 30), range(40), range(30)),
        (VOC, (5, 6, 5, 6), range(4, 5), range(5, 6)),
        (ZERO_BASED_LAST, (0, 0, 39, 29), range(40), range(30)),
        (ZERO_BASED_LAST, (5, 6, 8, 6), range(5, 9), range(6, 7)),
        # COCO: corner and size from 0.
        (COCO, (0, 0, 40, 30), range(40), range(30)),
        (COCO, (4, 5, 1, 1), range(4, 5), range(5, 6)),
        (HALF_OPEN, (4, 5, 9, 7), range(4, 9), range(5, 7)),
        (CENTRE, (6.5, 6, 5, 2), range(4, 9), range(5, 7)),
    ],
)
def test_each_convention_names_the_same_pixels(
    tmp_path: Path, form: str, cells: tuple[float, ...], columns: range, rows: range
) -> None:
    sample = source(tmp_path, form, [("n", *cells)]).sample("one")
    assert boxes(sample) == [("finding/nodule", edges_of_pixels(columns, rows))]


@given(
    x0=st.integers(0, 38), y0=st.integers(0, 28), width=st.integers(1, 20), height=st.integers(1, 20)
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_all_conventions_agree(x0: int, y0: int, width: int, height: int) -> None:
    def fact(**form: object) -> BoxFact:
        shared = {"kind": "boxes", "value": "label", "frame": "pixel_xy", "covers": "all", "map": {"n": "nodule"}}
        return BoxFact.model_validate({**shared, **form})

    expressions = ["a", "b", "c", "d"]
    expected = edges_of_pixels(range(x0, x0 + width), range(y0, y0 + height))
    for form, origin, inclusive, numbers in (
        ("corners", "1", "yes", (x0 + 1, y0 + 1, x0 + width, y0 + height)),
        ("corners", "0", "yes", (x0, y0, x0 + width - 1, y0 + height - 1)),
        ("corners", "0", "no", (x0, y0, x0 + width, y0 + height)),
        ("corner_size", "0", "no", (x0, y0, width, height)),
        ("corner_size", "1", "no", (x0 + 1, y0 + 1, width, height)),
        ("centre_size", "0", "no", (x0 + width / 2, y0 + height / 2, width, height)),
    ):
        stated = fact(**{form: expressions, "origin": origin, "inclusive": inclusive})
        assert box_in_pixels(stated, tuple(float(number) for number in numbers)) == expected  # type: ignore[arg-type]


def test_fractions_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    sample = source(tmp_path, COCO, [("n", 3.14159, 2.71828, 10.1, 5.2)]).sample("one")
    ((_, box),) = boxes(sample)
    assert box == pytest.approx((3.14159, 2.71828, 13.24159, 7.91828), abs=1e-12)


def test_a_box_says_label_region_count_and_scope(tmp_path: Path) -> None:
    sample = source(tmp_path, VOC, [("n", 2, 2, 5, 5), ("n", 9, 9, 12, 12), ("m", 20, 20, 30, 25)]).sample("one")
    assert states(sample, "finding") == {"finding/nodule": "present", "finding/mass": "present"}
    assert measures(sample, "count") == [("finding/nodule", 2.0), ("finding/mass", 1.0)]
    regions = [fact for fact in sample.facts if isinstance(fact, RegionFact)]
    assert [(fact.concept, fact.instance) for fact in regions] == [
        ("finding/nodule", 1),
        ("finding/nodule", 2),
        ("finding/mass", 1),
    ]
    assert [fact.source[0].raw for fact in regions] == ["n 2 2 5 5", "n 9 9 12 12", "m 20 20 30 25"]
    rows = {row.id: row for row in sample.source}
    assert [rows[fact.source[0].id].row for fact in regions] == [1, 2, 3]
    counts = [fact for fact in sample.facts if isinstance(fact, MeasureFact)]
    assert [sorted(fact.from_) for fact in counts] == [[regions[0].id, regions[1].id], [regions[2].id]]
    assert looked_for(sample) == [(("image",), "set:small/finding")]
    assert looked_for(sample, "instances") == [(("image",), "set:small/finding")]


def test_a_picture_without_boxes_was_looked_at_all_the_same(tmp_path: Path) -> None:
    sample = source(tmp_path, VOC, []).sample("one")
    assert boxes(sample) == []
    assert states(sample, "finding") == {}
    assert looked_for(sample, "instances") == [(("image",), "set:small/finding")]


def test_boxes_that_were_only_named_claim_nothing_of_others(tmp_path: Path) -> None:
    body = BODY.replace("covers: all", "covers: named_only")
    sample = source(tmp_path, VOC, [("n", 2, 2, 5, 5)], body).sample("one")
    assert len(boxes(sample)) == 1
    assert sample.scopes == []
    assert measures(sample, "count") == []


@pytest.mark.parametrize(
    ("form", "cells", "expected"),
    [
        # One-based tools often write 0 for the first column; half a pixel is rounding, a whole one is another frame.
        (HALF_OPEN, (-0.4, 0, 10, 10), (0.0, 0.0, 10.0, 10.0)),
        (HALF_OPEN, (30, 20, 40.4, 30.5), (30.0, 20.0, 40.0, 30.0)),
        (HALF_OPEN, (0, 0, 40, 30), (0.0, 0.0, 40.0, 30.0)),
    ],
)
def test_touching_and_nearly_touching_the_border(
    tmp_path: Path, form: str, cells: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    assert boxes(source(tmp_path, form, [("n", *cells)]).sample("one")) == [("finding/nodule", expected)]


@pytest.mark.parametrize("cells", [(0, 5, 10, 10), (5, 5, 41, 10), (5, 5, 10, 31), (1, 0, 40, 30)])
def test_crossing_the_border_is_refused_unless_said(tmp_path: Path, cells: tuple[int, ...]) -> None:
    with pytest.raises(ReadError, match="outside its picture; say outside: clip"):
        source(tmp_path, VOC, [("n", *cells)]).sample("one")
    clipped = source(tmp_path, VOC + "\n    outside: clip", [("n", *cells)]).sample("one")
    ((_, (x0, y0, x1, y1)),) = boxes(clipped)
    assert (x0, y0) == (max(cells[0] - 1, 0), max(cells[1] - 1, 0))
    assert (x1, y1) == (min(cells[2], WIDTH), min(cells[3], HEIGHT))


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        (VOC, (10, 10, 9, 12)),  # the last pixel before the first
        (COCO, (10, 10, 0, 5)),
        (COCO, (50, 10, 5, 5)),  # wholly outside
        (VOC + "\n    outside: clip", (41, 1, 45, 5)),
    ],
)
def test_empty_boxes_are_refused(tmp_path: Path, form: str, cells: tuple[int, ...]) -> None:
    with pytest.raises(ReadError, match="empty or lies wholly outside"):
        source(tmp_path, form, [("n", *cells)]).sample("one")


@pytest.mark.parametrize("cell", ["", "nan", "inf"])
def test_a_coordinate_that_is_no_number_is_refused(tmp_path: Path, cell: str) -> None:
    body = BODY.replace("a::double", "nullif(a, '')::double")
    form = COCO.replace("a::double", "nullif(a, '')::double")
    with pytest.raises(ReadError, match="coordinate that is no number"):
        source(tmp_path, form, [("n", cell, 1, 5, 5)], body).sample("one")


def test_text_in_place_of_a_coordinate_is_a_reason_not_a_defect(tmp_path: Path) -> None:
    form = COCO.replace('"a::double"', "a")
    with pytest.raises(ReadError, match="coordinate that is no number"):
        source(tmp_path, form, [("n", "wide", 1, 5, 5)]).sample("one")


def test_one_concept_for_every_box(tmp_path: Path) -> None:
    body = BODY.replace("    value: label\n", "    concept: nucleus\n").replace("    map: {n: nodule, m: mass}\n", "")
    sample = source(tmp_path, COCO, [("n", 1, 1, 5, 5), ("m", 9, 9, 5, 5)], body).sample("one")
    assert [concept for concept, _ in boxes(sample)] == ["cell/nucleus", "cell/nucleus"]
    assert measures(sample, "count") == [("cell/nucleus", 2.0)]


def test_left_and_right_are_labels_of_their_own_and_counted_together(tmp_path: Path) -> None:
    sided = (
        "map: {n: {concept: kidney_region, side: left, side_frame: patient}, "
        "m: {concept: kidney_region, side: right, side_frame: patient}}"
    )
    body = BODY.replace("map: {n: nodule, m: mass}", sided)
    sample = source(tmp_path, COCO, [("n", 1, 1, 5, 5), ("m", 20, 1, 5, 5)], body).sample("one")
    by_id = {fact.id: fact for fact in sample.facts}
    regions = [fact for fact in sample.facts if isinstance(fact, RegionFact)]
    assert [by_id[region.of or ""].side for region in regions] == ["left", "right"]  # type: ignore[union-attr]
    (count,) = [fact for fact in sample.facts if isinstance(fact, MeasureFact)]
    assert count.value == 2.0
    counted = by_id[count.of or ""]
    assert counted.side is None, "a count of both sides is not a count of the left"  # type: ignore[union-attr]
