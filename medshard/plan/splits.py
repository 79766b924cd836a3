"""Splits: the source's claim, and what is done where it is contradicted."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from medshard.errors import Problem, nearest
from medshard.plan.plan import PlanOptions
from medshard.plan.session import quote
from medshard.source.base import LeftOut
from medshard.spec.load import LoadedSpec
from medshard.spec.schema.samples import SplitFolds, SplitMap, SplitRandom

__all__ = ["SPLITS", "apply_split_policy", "split_expression"]

SPLITS = ("train", "validation", "test", "none")
"""The names of splits; ``none`` where the source has none."""

_MOST_PROTECTED_FIRST = ("test", "validation", "train", "none")


def split_expression(
    loaded: LoadedSpec, known: set[str], problems: list[Problem]
) -> dict[str, tuple[tuple[str | int, ...], str]]:
    """The expressions that give ``split`` (and ``fold``), by name."""
    split = loaded.spec.samples.split
    path = ("samples", "split")
    if isinstance(split, SplitMap):
        return {"split": ((*path, "value"), split.value)}
    if isinstance(split, SplitFolds):
        return {"split": (path, "'train'"), "fold": ((*path, "folds"), split.folds)}
    if isinstance(split, SplitRandom):
        if loaded.spec.samples.patient == "unknown":
            message = "random shares need the patient, since one patient must not be in two splits; it is unknown."
            problems.append(loaded.problem("random-split", path, message))
        return {"split": (path, "'none'")}
    if split is None:
        if "split" in known:
            return {"split": (path, quote("split"))}
        message = "needs split: an expression, a map, or one of train, validation, test, none."
        problems.append(loaded.problem("no-split", ("samples",), message))
        return {}
    return {"split": (path, f"'{split}'" if split in SPLITS else split)}


def apply_split_policy(
    loaded: LoadedSpec, table: pa.Table, options: PlanOptions, problems: list[Problem], *, listed: bool = True
) -> tuple[pa.Table, dict[str, int], list[LeftOut]]:
    """Map raw splits, count the groups that stand in several, and act by policy.

    Args:
        listed: whether the split's columns could be listed; all is ``none`` otherwise.

    Returns:
        The table, conflicts by the splits they join (``test+train``: number of groups), and what was left out.
    """
    raw = table["split"].to_pylist()
    splits = _named(loaded, raw, problems) if listed else ["none"] * len(raw)
    groups = table["group"].to_pylist()
    if isinstance(loaded.spec.samples.split, SplitRandom):
        splits = [
            _share(loaded.spec.samples.split, group or key)
            for group, key in zip(groups, table["key"].to_pylist(), strict=True)
        ]
    of_group: dict[str, set[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        if group is not None:
            of_group.setdefault(group, set()).add(split)
    conflicts: dict[str, int] = {}
    for found in of_group.values():
        if len(found) > 1:
            name = "+".join(sorted(found))
            conflicts[name] = conflicts.get(name, 0) + 1
    left_out: list[LeftOut] = []
    keep = [True] * len(splits)
    if options.split_policy != "official":
        if loaded.spec.samples.patient == "unknown":
            message = f"the policy {options.split_policy} needs the patient, which is unknown here."
            problems.append(loaded.problem("split-policy", ("samples", "patient"), message))
        files, rows = table["file"].to_pylist(), table["row"].to_pylist()
        for place, group in enumerate(groups):
            others = of_group.get(group, set()) if group is not None else set()
            if len(others) < 2:
                continue
            if options.split_policy == "by_patient":
                splits[place] = next(split for split in _MOST_PROTECTED_FIRST if split in others)
            elif splits[place] == "train":
                keep[place] = False
                message = "the same patient or image is also in the test or validation set"
                source = loaded.spec.samples.from_
                left_out.append(LeftOut(source, files[place], rows[place], "plan", "split_leak", message))
    index = table.column_names.index("split")
    table = table.set_column(index, "split", pa.array(splits, pa.string()))
    return table.filter(pa.array(keep, pa.bool_())), conflicts, left_out


def _named(loaded: LoadedSpec, raw: list[str | None], problems: list[Problem]) -> list[str]:
    split = loaded.spec.samples.split
    table = split.map if isinstance(split, SplitMap) else {name: name for name in SPLITS}
    path = ("samples", "split", "map") if isinstance(split, SplitMap) else ("samples", "split")
    for value in sorted({value or "" for value in raw} - set(table)):
        count = sum(1 for other in raw if (other or "") == value)
        message = f"{count} samples have the split {value!r}; map it: split: {{value: ..., map: {{{value}: ...}}}}."
        guess = nearest(value, SPLITS)
        problems.append(loaded.problem("split-value", path, message, found=value, allowed=tuple(table), nearest=guess))
    for value, name in table.items():
        if name not in SPLITS:
            message = f"{name!r} is no split."
            problems.append(
                loaded.problem("split-value", (*path, value), message, allowed=SPLITS, nearest=nearest(name, SPLITS))
            )
    return [table.get(value or "", "none") for value in raw]


def _share(split: SplitRandom, unit: str) -> str:
    """The share that a patient falls into, by hash: the same in every build, whatever else is in the data."""
    place = int.from_bytes(hashlib.sha256(f"split/{unit}".encode()).digest()[:8], "big") / 2**64
    total = sum(split.random.values())
    reached = 0.0
    for name, share in split.random.items():
        reached += share / total
        if place < reached:
            return name
    return list(split.random)[-1]
