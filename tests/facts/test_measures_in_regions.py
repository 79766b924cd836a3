"""Areas of ultrasound: only where the calibrated region holds the whole mask."""

from __future__ import annotations

import numpy as np
import pytest

from medshard.facts.mask_labels import label_map
from medshard.facts.measure_facts import MeasuredMask
from medshard.record.facts import MeasureFact, RegionFact


class _Collector:
    def __init__(self) -> None:
        self.facts: list[dict[str, object]] = []
        self.notes: list[str] = []

    def add(self, kind: type, **values: object) -> None:
        assert kind is MeasureFact
        self.facts.append(values)


@pytest.mark.parametrize(
    ("region_px", "measured"),
    [(None, True), ((2, 1, 9, 8), True), ((2, 1, 8, 8), False), ((3, 1, 9, 8), False), ((2, 2, 9, 8), False)],
)
def test_areas_are_measured_inside_the_calibrated_region(region_px: tuple[int, ...] | None, measured: bool) -> None:
    labels = np.zeros((10, 12), np.uint8)
    labels[1:4, 2:9] = 1
    mask = label_map(labels, "mask.png", space=2)
    out = _Collector()
    shape = RegionFact(id="f1", concept="finding/nodule", shape="mask", frame="px", coords=[], by="expert")
    (region,) = (region for region in mask.regions if region.value == 1)
    MeasuredMask(mask, ("area",), (0.5, 0.2), region_px).add(region, shape, out)  # type: ignore[arg-type]
    assert [fact["value"] for fact in out.facts] == ([pytest.approx(21 * 0.1)] if measured else [])
