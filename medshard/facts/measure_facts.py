"""Measures of a mask's regions, as facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from medshard.facts.collect import Collector
from medshard.facts.components import connected_parts
from medshard.facts.mask_labels import MaskLabels, MaskRegion
from medshard.facts.measures import Length, centroid_xyz, shape_of, values_under
from medshard.facts.runs import Runs, runs_by_value
from medshard.readers.base import Volume
from medshard.record.facts import MeasureFact, RegionFact
from medshard.spec.schema.facts import Measure

__all__ = ["HOUNSFIELD", "MeasuredMask"]

HOUNSFIELD = "[hnsf'U]"

_DIGITS = 6  # of a millimetre, an HU: what follows differs between machines and means nothing
_AXES = ("extent_right_left", "extent_front_back", "extent_head_foot")
_LENGTHS = {"longest_diameter", "axial_diameter", "extent"}
_STATISTICS = {
    "mean": "mean_attenuation",
    "sd": "sd_attenuation",
    "least": "least_attenuation",
    "p05": "p05_attenuation",
    "median": "median_attenuation",
    "p95": "p95_attenuation",
    "greatest": "greatest_attenuation",
}


@dataclass
class MeasuredMask:
    """A mask, and what its regions are measured with.

    Attributes:
        mask: the mask.
        chosen: the measures that are made.
        spacing_mm: of the mask's axes of space, for areas; None when unknown.
        spacing_region_px: x0, y0, x1, y1 of the part in which the spacing holds; None where it holds everywhere.
        image: the image on the mask's grid whose values are Hounsfield units; None where there is none.
    """

    mask: MaskLabels
    chosen: Sequence[Measure]
    spacing_mm: tuple[float, ...] | None = None
    spacing_region_px: Sequence[int] | None = None
    image: Volume | None = None

    @cached_property
    def _runs(self) -> dict[int, Runs] | None:
        return runs_by_value(self.mask.labels)

    def _runs_of(self, value: int) -> Runs | None:
        if value != 0:
            return self._runs[value] if self._runs is not None else None
        found = runs_by_value(self.mask.region(0).astype(np.uint8))  # where another value is the background
        return found[1] if found is not None else None

    def add(self, region: MaskRegion, shape: RegionFact, out: Collector) -> None:
        """The measures of a region: of lengths and volumes only where the grid has a scale.

        Args:
            shape: the fact that says where the region is.
        """
        for concept, value, unit, resolution, rule in self._measures(region, shape, out):
            out.add(
                MeasureFact,
                concept=f"quantity/{concept}",
                of=shape.id,
                slots=list(shape.slots),
                value=value,
                unit=unit,
                resolution=resolution,
                by="derived",
                from_=[shape.id],
                rule=rule,
            )

    def _measures(
        self, region: MaskRegion, shape: RegionFact, out: Collector
    ) -> Iterator[tuple[str, float, str | None, float, str]]:
        mask = self.mask
        if mask.space == 2:
            if self.spacing_mm is not None and "area" in self.chosen and self._in_region(region):
                step = self.spacing_mm[0] * self.spacing_mm[1]
                yield "area", region.size_px * step, "mm2", step, "mask_extent@1"
            return
        if mask.affine_ijk_to_ras is not None and "volume" in self.chosen:
            step = abs(float(np.linalg.det(mask.affine_ijk_to_ras[:3, :3]))) / 1000.0  # of a sheared grid too
            yield "volume", region.size_px * step, "mL", step, "mask_extent@1"
        if ({"parts", "centroid"} | _LENGTHS) & set(self.chosen):
            yield from self._shape(region, shape, out)
        if self.image is not None and "attenuation" in self.chosen and region.box is not None:
            values = values_under(self.image.voxels, mask.labels, region.value, region.box, self.image.padding)
            if values is not None:
                for name, concept in _STATISTICS.items():
                    yield concept, round(getattr(values, name), _DIGITS), HOUNSFIELD, 1.0, "values_under_mask@1"

    def _in_region(self, region: MaskRegion) -> bool:
        """Whether the spacing holds where a region lies."""
        if self.spacing_region_px is None or region.box is None:
            return self.spacing_region_px is None
        x0, y0, x1, y1 = self.spacing_region_px
        (top, left), (bottom, right) = region.box
        return x0 <= left and right <= x1 and y0 <= top and bottom <= y1

    def _shape(
        self, region: MaskRegion, shape: RegionFact, out: Collector
    ) -> Iterator[tuple[str, float, str | None, float, str]]:
        runs = self._runs_of(region.value)
        if runs is None:
            note = "a mask is too fragmented to be measured; it has areas or volumes only"
            if note not in out.notes:
                out.notes.append(note)
            return
        part = connected_parts(runs)
        if "parts" in self.chosen:
            yield "parts", float(part.max()) + 1, None, 1.0, "connected_parts@1"
        if "centroid" in self.chosen:
            x, y, z = centroid_xyz(runs)
            _add_point(shape, "px", (x + 0.5, y + 0.5, z + 0.5), out)
            if self.mask.affine_ijk_to_ras is not None:
                _add_point(shape, "ras_mm", (self.mask.affine_ijk_to_ras @ [x, y, z, 1.0])[:3], out)
        if self.mask.affine_ijk_to_ras is None or not _LENGTHS & set(self.chosen):
            return
        found = shape_of(runs, part, self.mask.affine_ijk_to_ras)
        lengths: list[tuple[str, str, Length | None]] = [
            ("longest_diameter", "longest_diameter", found.longest_diameter),
            ("axial_diameter", "axial_diameter", found.axial_diameter),
            ("axial_diameter", "across_diameter", found.across_diameter),
            *(("extent", name, length) for name, length in zip(_AXES, found.extent_ras, strict=True)),
        ]
        for measure, concept, length in lengths:
            if length is not None and measure in self.chosen:
                step_mm = round(length.step_mm, _DIGITS)
                yield concept, round(length.mm, _DIGITS), "mm", step_mm, "mask_diameters@1"


def _add_point(shape: RegionFact, frame: Literal["px", "ras_mm"], place: Iterable[float], out: Collector) -> None:
    out.add(
        RegionFact,
        concept=shape.concept,
        of=shape.of,
        slots=list(shape.slots),
        shape="point",
        frame=frame,
        coords=[round(float(number), _DIGITS) for number in place],
        instance=shape.instance,
        by="derived",
        from_=[shape.id],
        rule="mask_centroid@1",
    )
