"""Makes the samples of a small source that a test writes, through plan and ``make_sample`` as a build's unit does."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from planning import write_tree

from medshard.convert.context import BuildContext
from medshard.convert.sample import make_sample
from medshard.plan.plan import PlanOptions
from medshard.plan.planner import make_plan
from medshard.plan.row import PlannedSample
from medshard.privacy.remap import Remapper
from medshard.record.facts import LabelFact, MeasureFact, RegionFact
from medshard.record.sample import Sample
from medshard.source.read import read_sources
from medshard.source.root import DataRoot
from medshard.spec.catalog import specs_root
from medshard.spec.load import load_spec_text
from medshard.spec.schema.facts import BoxFact, ClassFact, FlagFact, MaskClassFact
from medshard.spec.taxonomy import load_taxonomy
from medshard.tasks.write import TextOptions

HEAD = """\
spec: 1
name: small
about: {title: A small source, modality: MODALITY, anatomy: ANATOMY}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
"""

KEY = b"0123456789abcdef"


@dataclass
class Source:
    """A planned source: ``sample(key)`` makes one, ``key`` without the dataset's name before it."""

    context: BuildContext
    planned: dict[str, PlannedSample]

    def sample(self, key: str, text: TextOptions | None = None) -> Sample:
        context = self.context if text is None else replace(self.context, text=text)
        return make_sample(context, self.planned[key]).sample


def read_source(
    root: Path,
    body: str,
    files: Mapping[str, str | bytes],
    *,
    modality: str = "xray",
    anatomy: str = "chest",
    text: TextOptions | None = None,
) -> Source:
    """Write the files, and plan the spec over them."""
    write_tree(root, dict(files))
    head = HEAD.replace("MODALITY", modality).replace("ANATOMY", anatomy)
    (loaded,) = load_spec_text(head + body, "small.yaml")
    tables, _ = read_sources(loaded, DataRoot(root))
    plan = make_plan(loaded, tables, load_taxonomy(), PlanOptions(Remapper(KEY)))
    planned = {sample.key.removeprefix("small-"): sample for sample in plan.samples()}
    seen: dict[str, list[str]] = {}
    for name, fact in loaded.spec.facts.items():
        if isinstance(fact, FlagFact):
            seen[name] = list(fact.columns)
        elif isinstance(fact, (ClassFact, BoxFact)) and fact.value is not None:
            cells = {row.cells[0] for sample in planned.values() for row in sample.facts if row.fact == name}
            seen[name] = sorted(cell for cell in cells if cell)
        elif isinstance(fact, MaskClassFact):
            layers = {ref.layer for sample in planned.values() for ref in sample.media if ref.slot == fact.of}
            seen[name] = sorted(layer for layer in layers if layer)
    chosen = text or TextOptions()
    out = root.parent / "out"
    taxonomy = specs_root() / "taxonomy"
    context = BuildContext(loaded, root, out, out / "plan.parquet", KEY, seen, {}, chosen, taxonomy)
    return Source(context, planned)


def png(pixels: NDArray[Any]) -> bytes:
    """The bytes of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def blank(width: int, height: int) -> bytes:
    """A grey picture of that size."""
    return png(np.full((height, width), 90, np.uint8))


def table(columns: str, rows: Sequence[Sequence[object]]) -> str:
    """A CSV file; no cell may need quotes."""
    return "\n".join([columns, *(",".join(str(cell) for cell in row) for row in rows)]) + "\n"


def boxes(sample: Sample, *, derived: bool = False) -> list[tuple[str, tuple[float, ...]]]:
    """(concept, x0 y0 x1 y1) of each box that the source gives, or that was derived."""
    return [
        (fact.concept or "", tuple(float(edge) for edge in fact.coords))  # type: ignore[union-attr, arg-type]
        for fact in sample.facts
        if isinstance(fact, RegionFact) and fact.shape == "box" and (fact.by == "derived") == derived
    ]


def states(sample: Sample, *categories: str) -> dict[str, str]:
    """Concept → state of the labels, of some categories or of all."""
    return {
        fact.concept or "": fact.state
        for fact in sample.facts
        if isinstance(fact, LabelFact) and (not categories or (fact.concept or "").split("/")[0] in categories)
    }


def measures(sample: Sample, quantity: str) -> list[tuple[str, float]]:
    """(concept of the thing measured, value) of one quantity."""
    by_id = {fact.id: fact for fact in sample.facts}
    return [
        (by_id[fact.of or ""].concept or "", fact.value)
        for fact in sample.facts
        if isinstance(fact, MeasureFact) and fact.concept == f"quantity/{quantity}"
    ]


def looked_for(sample: Sample, of: str = "presence") -> list[tuple[tuple[str, ...], str]]:
    """(slots, concepts) of the complete scopes."""
    return [(tuple(scope.slots), scope.concepts) for scope in sample.scopes if scope.of == of and scope.complete]
