"""Blocks become a message of a model family: text as it is, places and times in the family's grammar."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medshard.families import FAMILIES, Delivered
from medshard.families.base import render_blocks
from medshard.record.conversation import (
    Block,
    MediaBlock,
    QuoteBlock,
    RegionBlock,
    SpacingBlock,
    TermBlock,
    TextBlock,
    TimeBlock,
    ValueBlock,
)
from medshard.record.facts import Fact, IntervalFact, LabelFact, MaskRef, RegionFact

PLAIN = FAMILIES.get("plain")


def box(number: int, *edges: float, slot: str = "image") -> RegionFact:
    return RegionFact(
        id=f"b{number}", concept="finding/cyst", slots=[slot], shape="box", frame="px", coords=list(edges)
    )


FACTS: list[Fact] = [
    LabelFact(id="l", concept="finding/cyst", slots=["image"]),
    box(1, 2, 3, 10, 20),
    box(2, 0.5, 1.49, 30.5, 40.0),
    box(3, 1, 1, 4, 4, slot="second"),
    RegionFact(id="m", slots=["image"], shape="mask", frame="px", coords=MaskRef(slot="mask", value=1)),
    RegionFact(id="p", slots=["image"], shape="point", frame="px", coords=[3.0, 4.0]),
    IntervalFact(id="t1", slots=["clip"], start_s=12.0, end_s=95.44),
    IntervalFact(id="t2", slots=["clip"], start_s=100.06, end_s=101.0),
]

SEEN = {"image": Delivered(40, 50), "second": Delivered(8, 8, scale_x=2.0, scale_y=2.0)}


def say(*blocks: Block) -> str:
    return render_blocks(blocks, FACTS, PLAIN, SEEN)


def test_every_kind_of_block() -> None:
    message = say(
        MediaBlock(slot="image"),
        MediaBlock(slot="clip", as_="video"),
        MediaBlock(slot="scan", as_="frames"),
        TextBlock(text="A "),
        TermBlock(concept="finding/cyst", text="cyst", facts=["l"]),
        TextBlock(text=" of "),
        ValueBlock(facts=["l"], text="12.5 mm"),
        TextBlock(text=", said to be "),
        QuoteBlock(facts=["l"], text="“simple” {{ x }}\n"),
        TextBlock(text="at "),
        RegionBlock(facts=["b1"]),
        TextBlock(text=" and "),
        RegionBlock(facts=["m"], as_="mask"),
        TextBlock(text=" from "),
        TimeBlock(facts=["t1"]),
    )
    assert message == (
        "<image>\n<video>\n<video>\nA cyst of 12.5 mm, said to be “simple” {{ x }}\nat [2, 3, 10, 20] and [SEG] "
        "from 12.0s-95.4s"
    )


def test_text_stands_as_it_is_in_any_language() -> None:
    assert say(
        TextBlock(text="图像显示的是"), TermBlock(concept="c/d", text="囊肿", facts=[]), TextBlock(text="。")
    ) == ("图像显示的是囊肿。")
    assert say() == ""


def test_several_places_of_one_block() -> None:
    assert say(RegionBlock(facts=["b1", "b2"])) == "[2, 3, 10, 20], [1, 1, 31, 40]"
    assert say(TimeBlock(facts=["t1", "t2"])) == "12.0s-95.4s, 100.1s-101.0s"


def test_each_place_is_seen_as_its_own_slot_is() -> None:
    assert (
        say(RegionBlock(facts=["b3"]), TextBlock(text=" "), RegionBlock(facts=["b1"])) == "[2, 2, 8, 8] [2, 3, 10, 20]"
    )


@pytest.mark.parametrize("block", [RegionBlock(facts=["l"]), RegionBlock(facts=["p"]), TimeBlock(facts=["b1"])])
def test_what_cannot_be_written_is_an_error_and_not_left_out(block: Block) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        say(block)


def test_a_fact_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        say(RegionBlock(facts=["nowhere"]))
    with pytest.raises(KeyError):
        render_blocks([RegionBlock(facts=["b1"])], FACTS, PLAIN, {})


edges = st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(1, 100), st.integers(1, 100))


@given(edges)
@settings(max_examples=60, deadline=None)
def test_whole_pixels_are_written_to_the_last_digit(place: tuple[int, int, int, int]) -> None:
    x, y, width, height = place
    facts: list[Fact] = [box(1, x, y, x + width, y + height)]
    message = render_blocks([RegionBlock(facts=["b1"])], facts, PLAIN, {"image": Delivered(400, 300)})
    assert message == f"[{x}, {y}, {x + width}, {y + height}]"


@given(
    edges,
    st.floats(0.1, 3), st.floats(-50, 50), st.floats(0.1, 3), st.floats(-50, 50), st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_boxes_follow_the_picture(
    place: tuple[int, int, int, int], scale_x: float, offset_x: float, scale_y: float, offset_y: float, mirror: bool
) -> None:
    """The oracle moves all four corners and takes their extent, then cuts at the picture."""
    x, y, width, height = place
    seen = Delivered(224, 168, -scale_x if mirror else scale_x, offset_x, scale_y, offset_y)
    corners = [
        (cx * seen.scale_x + offset_x, cy * scale_y + offset_y) for cx in (x, x + width) for cy in (y, y + height)
    ]
    xs = [min(max(cx, 0), 224) for cx, _ in corners]
    ys = [min(max(cy, 0), 168) for _, cy in corners]
    expected = (min(xs), min(ys), max(xs), max(ys))
    assert seen.box((x, y, x + width, y + height)) == pytest.approx(expected)
    message = render_blocks([RegionBlock(facts=["b1"])], [box(1, x, y, x + width, y + height)], PLAIN, {"image": seen})
    written = [int(number) for number in re.findall(r"-?\d+", message)]
    assert written == [math.floor(edge + 0.5) for edge in expected]
    assert 0 <= written[0] <= written[2] <= 224
    assert 0 <= written[1] <= written[3] <= 168


def test_a_mirrored_picture_swaps_left_and_right_edges() -> None:
    mirrored = Delivered(40, 50, scale_x=-1.0, offset_x=40.0)
    assert mirrored.box((2, 3, 10, 20)) == (30.0, 3.0, 38.0, 20.0)


@pytest.mark.parametrize(
    ("delivered", "text"),
    [
        (Delivered(40, 50), "0.7 x 0.9 x 5"),  # as it is stored
        (Delivered(80, 25, scale_x=2.0, scale_y=0.5), "0.35 x 1.8 x 5"),
        (Delivered(40, 50, scale_x=-1.0, offset_x=40.0), "0.7 x 0.9 x 5"),
        (Delivered(50, 40, scale_x=0, scale_y=0, shear_x=1.0, shear_y=-1.0), "0.9 x 0.7 x 5"),  # turned by a quarter
        (Delivered(40, 50, spacing_mm=(1.23456, 2.0)), "1.23 x 2"),
    ],
)
def test_spacing_is_that_of_the_delivered_pixels(delivered: Delivered, text: str) -> None:
    blocks: list[Block] = [TextBlock(text="Pixels are "), SpacingBlock(slot="ct", spacing_mm=[5.0, 0.9, 0.7])]
    for name in FAMILIES:
        assert render_blocks(blocks, [], FAMILIES.get(name), {"ct": delivered}) == f"Pixels are {text}"


def test_halves_are_rounded_up_everywhere_alike() -> None:
    facts: list[Fact] = [box(1, 0.5, 1.5, 2.5, 3.5)]
    assert render_blocks([RegionBlock(facts=["b1"])], facts, PLAIN, SEEN) == "[1, 2, 3, 4]"


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_writes_every_kind(name: str) -> None:
    family = FAMILIES.get(name)
    assert family.name == name
    blocks: list[Block] = [MediaBlock(slot="image"), RegionBlock(facts=["b1", "m"]), TimeBlock(facts=["t1"])]
    message = render_blocks(blocks, FACTS, family, SEEN)
    assert message
    assert message == message.replace("None", "").replace("{", "")


def test_an_unknown_family_is_told_with_those_there_are() -> None:
    with pytest.raises(Exception, match="plain"):
        FAMILIES.get("plane")
