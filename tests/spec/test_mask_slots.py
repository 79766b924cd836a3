"""What the language says of mask slots, and what it refuses of them."""

from __future__ import annotations

import pytest

from medshard.errors import SpecError
from medshard.spec.check import check_spec
from medshard.spec.load import load_spec_text
from medshard.spec.schema.facts import ConceptRef
from medshard.spec.taxonomy import load_taxonomy
from medshard.spec.value_map import UnmappedValueError, ValueMap

SPEC = """\
spec: 1
name: small
about: {title: Small, modality: ct}
licence: {id: MIT, evidence: page}
sources: {a: {files: "{id}/{slice}.png"}, b: {files: "m/{id}/{slice}.png"}}
samples: {from: a, group: [id], patient: unknown, split: none}
media:
  image: {from: a, IMAGE}
  mask: {from: b, using: [id], MASK}
"""


def problems(mask: str, image: str = "kind: volume, slices: {of: slice}") -> str:
    try:
        (loaded,) = load_spec_text(SPEC.replace("MASK", mask).replace("IMAGE", image), "small.yaml")
    except SpecError as error:
        return str(error)
    return "\n".join(str(problem) for problem in check_spec(loaded, load_taxonomy()))


def test_slices_of_both_are_fine() -> None:
    mask = "kind: mask, like: image, grid: resample, slices: {of: b.slice, no_file: absent}"
    assert problems(mask) == ""
    assert problems("kind: mask, like: image, contours: {off_plane: nearest}") == ""


@pytest.mark.parametrize(
    ("mask", "image", "said"),
    [
        ("kind: mask, like: image, slices: {of: slice}", "kind: volume", "'image' needs slices: as well"),
        ("kind: mask, slices: {of: slice}", "kind: volume", "slices of a mask are paired with those of its image"),
        ("kind: mask, grid: resample", "kind: volume", "grid: says how the mask comes onto the grid of its image"),
        (
            "kind: mask, like: image, grid: resample",
            "kind: image",
            "masks are resampled onto volumes",
        ),
        ("kind: mask, like: image, grid: maybe", "kind: volume", "Allowed: refuse, resample"),
        ("kind: mask", "kind: image, slices: {of: slice}", "slices: for kind: volume and kind: mask"),
        ("kind: mask", "kind: volume, contours: {outside: leave_out}", "contours: only for kind: mask"),
        (
            "kind: mask, like: image, instances: file, slices: {of: slice}",
            "kind: volume",
            "slices and instances exclude",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(mask: str, image: str, said: str) -> None:
    assert said in problems(mask, image)


def test_a_side_may_be_a_group_of_a_pattern() -> None:
    target = ConceptRef(concept="kidney_region", side="{1}", side_frame="patient")
    values = ValueMap({}, {"kidney_(left|right|up)": target}, {}, load_taxonomy())
    assert (values("kidney_left").side, values("kidney_right").side) == ("left", "right")
    assert values("kidney_left").concept == "structure/kidney_region"
    with pytest.raises(UnmappedValueError, match="gives the side 'up', which is none"):
        values("kidney_up")
    with pytest.raises(KeyError, match="only a line of match has"):
        ValueMap({"1": target}, {}, {}, load_taxonomy())
