"""dsb2018 and lgg_mri: masks as instances and as a class, pixels, patients, against the original files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
import pytest
from corpora import Built, labels, mask_of, measures, regions
from oracles import dsb2018_fixes, lgg_mri
from oracles.decode import decode_image
from oracles.expected import Expected, MaskArea, Pixels

Get = Callable[[str], Built]


@pytest.fixture(scope="module")
def nuclei(built: Get) -> tuple[Built, Expected]:
    made = built("dsb2018")
    return made, dsb2018_fixes.expected(made.data)


@pytest.fixture(scope="module")
def slices(built: Get) -> tuple[Built, Expected]:
    made = built("lgg-mri")
    return made, lgg_mri.expected(made.data)


def test_nuclei_pixels_are_exact_and_lose_only_an_opaque_alpha(nuclei: tuple[Built, Expected]) -> None:
    made, expected = nuclei
    assert len(made.corpus) == len(expected.samples) == 12
    for file in expected.samples:
        original = decode_image(made.data / file)
        assert (original[..., 3] == 255).all()
        np.testing.assert_array_equal(made.of(file).array("image"), original[..., :3], file)


def test_each_nucleus_has_the_area_and_the_box_of_its_file(nuclei: tuple[Built, Expected]) -> None:
    made, expected = nuclei
    for file, sample in expected.samples.items():
        ours = made.of(file)
        source_file = {line.id: line.file for line in ours.record.source}
        found = {}
        for region in regions(ours, "mask"):
            name = PurePosixPath(source_file[region.source[0].id]).stem
            found[name] = MaskArea.of(mask_of(ours, region))
        assert found == sample.masks, file


def test_derived_boxes_are_the_tight_boxes(nuclei: tuple[Built, Expected]) -> None:
    made, expected = nuclei
    for file, sample in expected.samples.items():
        found = sorted(tuple(fact.coords) for fact in regions(made.of(file), "box", given=False))
        assert found == sorted(area.box for area in sample.masks.values()), file


def test_nuclei_are_counted(nuclei: tuple[Built, Expected]) -> None:
    made, expected = nuclei
    assert sum(len(regions(sample, "mask")) for sample in made.corpus) == expected.counts["masks"] == 399
    for file, sample in expected.samples.items():
        assert [fact.value for fact in measures(made.of(file), "count")] == [len(sample.masks)]


def test_slices_pixels_are_exact(slices: tuple[Built, Expected]) -> None:
    made, expected = slices
    assert len(made.corpus) == len(expected.samples) == 24
    for file, sample in expected.samples.items():
        assert Pixels.of(made.of(file).array("image")) == sample.pixels, file


def test_abnormality_has_the_area_of_its_mask_and_an_empty_mask_is_an_absence(slices: tuple[Built, Expected]) -> None:
    made, expected = slices
    empty = 0
    for file, sample in expected.samples.items():
        ours, area = made.of(file), sample.masks["mask"]
        found = [MaskArea.of(mask_of(ours, region)) for region in regions(ours, "mask")]
        assert found == ([area] if area.area else []), file
        assert labels(ours, "finding") == ({"flair_abnormality": "present"} if area.area else {})
        scopes = [scope for scope in ours.record.scopes if scope.of == "presence" and scope.complete]
        assert scopes, "an empty mask was looked at: absence is a statement"
        empty += not area.area
    assert empty == expected.counts["masks_empty"] == 12


def test_component_boxes_cover_the_mask(slices: tuple[Built, Expected]) -> None:
    made, expected = slices
    for file, sample in expected.samples.items():
        boxes = [fact.coords for fact in regions(made.of(file), "box")]
        area = sample.masks["mask"]
        assert bool(boxes) == bool(area.area)
        if boxes:
            low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
            assert (*low, *high) == area.box, file


def test_slices_of_one_patient_share_a_group_without_its_name(slices: tuple[Built, Expected]) -> None:
    made, expected = slices
    groups: dict[str, set[str | None]] = {}
    for file, sample in expected.samples.items():
        groups.setdefault(sample.group, set()).add(made.of(file).record.group)
    assert len(groups) == 2
    assert all(len(found) == 1 and None not in found for found in groups.values())
    assert all(name not in str(found) for name, found in groups.items())


def test_rows_of_patients_that_are_not_here_are_named(slices: tuple[Built, Expected]) -> None:
    made, expected = slices
    assert made.left_out() == {("clinical", "orphan"): expected.left_out["rows_without_folder"]}
