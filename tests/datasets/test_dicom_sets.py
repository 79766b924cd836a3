"""Real DICOM sets with nothing said of grouping: the account of their series, as docs/volumes.md has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from corpora import Built

Get = Callable[[str], Built]

SETS = {
    "dicom-structural": ({"series": 1, "stacks": 1}, {"ZYX": 1}, {}),
    "niivue-dicom": ({"series": 1, "stacks": 1}, {"ZYX": 1}, {}),
    "totalsegmentator-dicom": (
        {"series": 1, "stacks": 1, "files without SeriesInstanceUID, taken by folder": 20},
        {"ZYX": 1},
        {},
    ),
    "dcmqi-series": ({"series": 8, "stacks": 8, "files that are there twice": 1}, {"ZYX": 5}, {"where": 4}),
    "nibabel-dicom": (
        {
            "series": 4,
            "stacks": 5,
            "series split by place of the mosaic": 1,
            "files without SeriesInstanceUID, taken by folder": 1,
        },
        {"ZYX": 2},
        {"mosaic": 2, "not_an_image": 1},
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_series_are_split_merged_and_refused_as_the_page_says(name: str, built: Get) -> None:
    series, volumes, refused = SETS[name]
    build = built(name).build
    assert list(build.series.values()) == [series]
    assert build.counts["volumes"] == volumes
    found: Counter[str] = Counter()
    for row in build.left_out:
        found[row["error_class"]] += row["count"]
    assert found == refused


def test_a_series_with_gaps_has_the_distance_of_its_positions(built: Get) -> None:
    """Every twelfth of sagittal slices 2/3 mm apart: 8 mm, whatever SliceThickness says."""
    (sample,) = built("dicom-structural").corpus
    spacing = sample.medium("t1").spacing_mm
    assert spacing is not None
    assert spacing[0] == pytest.approx(8.0, abs=1e-3)
    assert sample.medium("t1").unit is None


def test_a_blanked_ct_is_in_hounsfield_units(built: Get) -> None:
    (sample,) = built("totalsegmentator-dicom").corpus
    medium = sample.medium("ct")
    assert (medium.unit, medium.dtype) == ("[hnsf'U]", "int16")
    assert int(np.min(sample.array("ct"))) >= -1024
    assert medium.spacing_mm == pytest.approx([2.0, 0.9765625, 0.9765625])


def test_an_export_of_oct_has_its_three_distances(built: Get) -> None:
    (sample,) = built("eyepy-heyex").corpus
    medium = sample.medium("oct")
    assert medium.shape == [10, 40, 50], "ten B-scans are described; an eleventh file is not"
    assert medium.spacing_mm == pytest.approx([0.283 / 9, 0.003872, 0.011819])
    assert medium.affine_ijk_to_ras is None
    retina = next(fact for fact in sample.record.facts if fact.concept == "anatomy/retina")
    assert (retina.side, retina.side_frame) == ("right", "patient")  # type: ignore[union-attr]
