"""bccd (VOC, one-based and inclusive) and rbc_coco (COCO): boxes, splits and pixels against the original files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from corpora import Built, close, labels, measures, regions
from oracles import bccd, rbc_coco
from oracles.decode import decode_image
from oracles.expected import Expected

Get = Callable[[str], Built]
CONCEPTS = {
    "WBC": "cell/white_blood_cell",
    "RBC": "cell/red_blood_cell",
    "Platelets": "cell/platelet",
    "rbc": "cell/red_blood_cell",
    "wbc": "cell/white_blood_cell",
}
SPLITS = {"train": "train", "val": "validation", "valid": "validation", "test": "test"}


@pytest.fixture(scope="module", params=["bccd", "rbc-coco"])
def pair(request: pytest.FixtureRequest, built: Get) -> tuple[Built, Expected]:
    made = built(request.param)
    oracle = bccd if request.param == "bccd" else rbc_coco
    return made, oracle.expected(made.data)


def test_every_image_is_one_sample(pair: tuple[Built, Expected]) -> None:
    made, expected = pair
    assert len(made.corpus) == len(expected.samples)
    assert {file for file in made.by_file if file.endswith(".jpg")} == set(expected.samples)


def test_splits_are_those_of_the_lists(pair: tuple[Built, Expected]) -> None:
    made, expected = pair
    found = {file: made.of(file).record.split for file in expected.samples}
    assert found == {file: SPLITS[sample.split] for file, sample in expected.samples.items()}
    assert made.build.split_conflicts == {}


def test_boxes_are_equal(pair: tuple[Built, Expected]) -> None:
    made, expected = pair
    for file, sample in expected.samples.items():
        found = [(fact.concept, *fact.coords) for fact in regions(made.of(file), "box")]
        wanted = [(CONCEPTS[name], *edges) for name, *edges in sample.boxes]
        assert [box[0] for box in sorted(found)] == [box[0] for box in sorted(wanted)], file
        pairs = zip(sorted(found), sorted(wanted), strict=True)
        assert all(close(ours[1:], theirs[1:], 1e-9) for ours, theirs in pairs), file


def test_box_totals(pair: tuple[Built, Expected]) -> None:
    made, expected = pair
    counted = Counter(fact.concept for sample in made.corpus for fact in regions(sample, "box"))
    wanted = Counter(CONCEPTS[name] for sample in expected.samples.values() for name, *_ in sample.boxes)
    assert counted == wanted


def test_classes_and_counts_of_each_sample(pair: tuple[Built, Expected]) -> None:
    made, expected = pair
    for file, sample in expected.samples.items():
        wanted = Counter(CONCEPTS[name] for name, *_ in sample.boxes)
        ours = made.of(file)
        assert {f"cell/{name}" for name in labels(ours, "cell")} == set(wanted), file
        by_label = {fact.id: fact.concept for fact in ours.record.facts}
        assert {by_label[fact.of]: fact.value for fact in measures(ours, "count")} == wanted, file


def test_pixels_are_those_of_the_file(pair: tuple[Built, Expected]) -> None:
    made, expected = pair
    for file in [file for file, sample in expected.samples.items() if sample.pixels is not None]:
        ours = made.of(file).array("image")
        theirs = decode_image(made.data / file)
        assert ours.shape == theirs.shape
        # Both decode the same coefficients; libjpeg builds differ by a grey level where they round chroma apart.
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2, file


def test_box_of_a_single_pixel_keeps_its_area(built: Get) -> None:
    boxes = [fact.coords for fact in regions(built("bccd").of("BCCD/JPEGImages/BloodImage_00343.jpg"), "box")]
    assert [180.0, 328.0, 181.0, 329.0] in boxes


def test_bccd_listed_images_without_a_file_are_named(built: Get) -> None:
    made = built("bccd")
    expected = bccd.expected(made.data)
    assert made.left_out() == {("lists", "orphan"): expected.left_out["listed_without_image"]}
    assert all(line["file"].startswith("BCCD/ImageSets/Main/") and line["row"] for line in made.quarantine)


def test_annotators_home_folder_is_nowhere_in_the_records(built: Get) -> None:
    made = built("bccd")
    path = (made.data / "BCCD/Annotations/BloodImage_00343.xml").read_text()
    assert "<path>/" in path
    secret = path.partition("<path>")[2].partition("</path>")[0].rpartition("/")[0]
    assert len(secret) > 8
    assert all(secret not in sample.record.model_dump_json() for sample in made.corpus)


def test_rbc_copies_of_one_picture_share_a_group(built: Get) -> None:
    made = built("rbc-coco")
    expected = rbc_coco.expected(made.data)
    group_of_stem: dict[str, set[str]] = {}
    for file, sample in expected.samples.items():
        group_of_stem.setdefault(sample.group, set()).add(str(made.of(file).record.group))
    assert len(group_of_stem) == expected.counts["stems"] == 100
    assert all(len(groups) == 1 for groups in group_of_stem.values())
    assert len(set.union(*group_of_stem.values())) == 100
