"""What becomes of a build whose left is not left."""

from __future__ import annotations

from collections.abc import Sequence

from medshard.convert.unit import UnitResult
from medshard.errors import PlanError, Problem
from medshard.spec.load import LoadedSpec
from medshard.spec.schema.facts import MaskClassFact

__all__ = ["check_sides"]

_SHOWN = 3


def check_sides(loaded: LoadedSpec, results: Sequence[UnitResult]) -> None:
    """Compare the samples in which left lies at the patient's right with what the spec allows.

    Args:
        results: of the units that are finished; more may follow.

    Raises:
        PlanError: there are more than allowed. Names the first samples and what their regions are called.
    """
    problems: list[Problem] = []
    for name, fact in loaded.spec.facts.items():
        if not isinstance(fact, MaskClassFact):
            continue
        swapped = [row for result in results for row in result.swapped_sides if row["slot"] == fact.of]
        keys = list(dict.fromkeys(str(row["key"]) for row in swapped))
        allowed = fact.left_is_left.at_most if fact.left_is_left is not None else 0
        if len(keys) <= allowed:
            continue
        compared = sum(result.counts.get("sides", {}).get(f"{fact.of} compared", 0) for result in results)
        shown = "; ".join(f"sample {row['key']}, {row['concept']}: {row['said']}" for row in swapped[:_SHOWN])
        message = (
            f"left is not left in {len(keys)} of {compared} samples of {fact.of} that have both sides, {allowed} may: "
            f"{shown}. Is the map the wrong way round, or the affine? Where such patients are known, say "
            f"left_is_left: {{at_most: {len(keys)}, reason: ...}}."
        )
        problems.append(loaded.problem("left-is-left", ("facts", name), message))
    if problems:
        raise PlanError(problems)
