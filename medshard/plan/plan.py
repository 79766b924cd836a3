"""The plan of one dataset, and the options that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from medshard.errors import Problem
from medshard.plan.row import PlannedSample
from medshard.privacy.remap import Remapper
from medshard.source.base import LeftOut
from medshard.spec.load import LoadedSpec

if TYPE_CHECKING:
    from medshard.readers.dicom import SeriesAccount

__all__ = ["Plan", "PlanOptions", "SplitPolicy"]

SplitPolicy = Literal["official", "official_strict", "by_patient"]


@dataclass(frozen=True)
class PlanOptions:
    """What the user chose.

    Attributes:
        remapper: turns identities into tokens.
        split_policy: ``official`` keeps the source's split; ``official_strict`` takes from training what touches
            test or validation; ``by_patient`` moves all samples of a split group into its most protected split.
        partial: the data are known to be a part of the release, so values never seen are no error.
    """

    remapper: Remapper
    split_policy: SplitPolicy = "official"
    partial: bool = False


@dataclass
class Plan:
    """One row a sample, and the account of everything else.

    Attributes:
        table: ``PLAN_SCHEMA``, ordered by key.
        left_out: source rows and files that are in no sample, each with its reason.
        warnings: problems that do not stop the build.
        unchecked: what could not be checked because a source could not be listed.
        base_rows: rows of the samples' own source.
        member_rows: rows of it that are in samples; ``base_rows`` = ``member_rows`` + those left out.
        source_rows, source_files: rows and files of each source.
        layer_files: files of each layer, by ``source.layer``.
        joins: for each join, how many rows of ``from`` had none, one, or more partners.
        series: for each ``dicom`` source, what became of its series by their headers.
        split_conflicts: groups that stand in several splits: count, and the splits they join.
    """

    loaded: LoadedSpec
    table: pa.Table
    left_out: list[LeftOut]
    warnings: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    base_rows: int = 0
    member_rows: int = 0
    source_rows: dict[str, int] = field(default_factory=dict)
    source_files: dict[str, int] = field(default_factory=dict)
    layer_files: dict[str, int] = field(default_factory=dict)
    joins: dict[str, dict[str, int]] = field(default_factory=dict)
    series: dict[str, SeriesAccount] = field(default_factory=dict)
    split_conflicts: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def samples(self) -> Iterator[PlannedSample]:
        """All planned samples, in the order of their keys."""
        for batch in self.table.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                yield PlannedSample.from_row(row)

    @property
    def digest(self) -> str:
        """sha256 over the spec's digest and every planned row."""
        state = hashlib.sha256(self.loaded.digest.encode())
        for batch in self.table.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                state.update(repr(row).encode())
        return state.hexdigest()

    def splits(self) -> dict[str, int]:
        """Samples a split."""
        counted: list[dict[str, Any]] = self.table.group_by("split").aggregate([([], "count_all")]).to_pylist()
        return {str(row["split"]): int(row["count_all"]) for row in sorted(counted, key=lambda row: str(row["split"]))}
