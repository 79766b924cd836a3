"""Claims of a spec against what was found. A claim that fails is reported; it never changes the data."""

from __future__ import annotations

from collections.abc import Mapping

from medshard.errors import Problem
from medshard.plan.plan import Plan
from medshard.spec.schema import Claim
from medshard.spec.schema.facts import MaskClassFact

__all__ = ["check_claims"]


def check_claims(plan: Plan, counts: Mapping[str, Mapping[str, int]] | None) -> list[Problem]:
    """The claims that do not hold, each with what was found instead.

    Args:
        counts: of a finished build; None before it, when only what the plan knows is compared.
    """
    problems: list[Problem] = []
    for place, claim in enumerate(plan.loaded.spec.expect):
        found = _found(plan, counts, claim)
        for name, expected in _claimed(claim).items():
            if name in found and found[name] != expected:
                evidence = (
                    claim.evidence
                    if isinstance(claim.evidence, str)
                    else claim.evidence.get(name.split(".")[0], "unknown")
                )
                message = f"{name} is claimed to be {expected} (evidence: {evidence}); found {found[name]}."
                path: tuple[str | int, ...] = ("expect", place, *name.split(".", 1))
                problems.append(plan.loaded.problem("claim", path, message, severity="warning"))
    return problems


def _claimed(claim: Claim) -> dict[str, int]:
    named = {"samples": claim.samples} if claim.samples is not None else {}
    for part in ("split", "facts", "files"):
        named.update({f"{part}.{name}": count for name, count in getattr(claim, part).items()})
    return named


def _found(plan: Plan, counts: Mapping[str, Mapping[str, int]] | None, claim: Claim) -> dict[str, int]:
    splits = dict(counts["samples"]) if counts is not None else plan.splits()
    found = {"samples": sum(splits.values())}
    found.update({f"split.{name}": splits.get(name, 0) for name in claim.split})
    for name in claim.files:
        source, _, layer = name.partition(".")
        if layer:
            found[f"files.{name}"] = plan.layer_files.get(name, 0)
        elif source in plan.source_files:
            found[f"files.{name}"] = plan.source_files[source]
    wanted = set(claim.facts)
    if wanted:
        rows: dict[str, int] = dict.fromkeys(wanted, 0)
        for sample in plan.samples():
            for fact in sample.facts:
                if fact.fact in rows:
                    rows[fact.fact] += 1
        for name in wanted:
            # What is made of pixels has no row in the plan; its labels are counted from the build.
            if not isinstance(plan.loaded.spec.facts.get(name), MaskClassFact):
                found[f"facts.{name}"] = rows[name]
    return found
