"""What all parts of the record share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Axes", "Language", "Part", "SourceRow", "State"]

Language = Literal["en", "zh"]
State = Literal["present", "absent", "uncertain"]


class Part(BaseModel):
    """Base of every model of the record: unknown fields are refused, so that nothing is lost in silence."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, allow_inf_nan=False)


class Axes(Part):
    """Where a sample stands in the taxonomy.

    Attributes:
        modality: concept names such as ``ct``; several when the sample mixes them.
        anatomy: concept names such as ``chest``.
        department: concept names such as ``radiology``.
    """

    modality: list[str] = []
    anatomy: list[str] = []
    department: list[str] = []


class SourceRow(Part):
    """One row of the source that the sample was made from.

    Attributes:
        id: name within the sample (``r1``), cited by facts.
        file: path below the dataset's root, ``/``-separated, ``!/`` into an archive.
        row: 1-based row, element or record in that file; null when the file as a whole is meant.
        digest: ``sha256:`` and the digest of the file's bytes; null when it was not read for this sample.
    """

    id: str
    file: str
    row: int | None = None
    digest: str | None = None
