"""What can go wrong, as types.

Every message says where, what was found, what is allowed, and what to do. Values of patients (names, ids,
dates) never enter a message: a DICOM element is named by its keyword, a table cell by file, row and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

__all__ = [
    "CorpusError",
    "DecodeError",
    "GeometryError",
    "LoaderError",
    "MedshardError",
    "MissingExtraError",
    "PlanError",
    "Problem",
    "ReadError",
    "SpecError",
    "StorageError",
    "nearest",
]


class MedshardError(Exception):
    """Base of all errors that medshard raises on purpose."""


class StorageError(MedshardError):
    """Bytes could not be listed or read."""


class ReadError(MedshardError):
    """A source file cannot become an image, volume or table; the build quarantines it.

    The text goes into ``quarantine.parquet``, so it must never quote metadata of the file.
    """

    def __init__(self, reason: str, *, error_class: str = "unreadable") -> None:
        super().__init__(reason)
        self.reason = reason
        self.error_class = error_class


class DecodeError(ReadError):
    """Compressed pixels are damaged, truncated or of an unsupported kind."""


class GeometryError(ReadError):
    """Positions, orientation or spacing contradict each other or are missing where they are needed."""

    def __init__(self, reason: str, *, error_class: str = "geometry") -> None:
        super().__init__(reason, error_class=error_class)


class CorpusError(MedshardError):
    """A corpus on disk is not what its index says."""


class LoaderError(MedshardError):
    """The loader was asked for something that it cannot do, or a sample could not be delivered."""


class MissingExtraError(MedshardError, ImportError):
    """An optional package is needed and not installed.

    Args:
        what: the thing that needs it, for the message.
        package: the import name that failed.
        extra: the extra of medshard that installs it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs the package {package!r}: pip install 'medshard[{extra}]'")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a spec or with the data that it describes.

    Attributes:
        code: stable identifier, such as ``unknown-field``.
        message: one sentence.
        file: the spec's path as given by the user.
        line: 1-based line in ``file``, 0 when the problem belongs to no line.
        field: path inside the document, such as ``facts.tissue.map.ADI``.
        found: what stands there, as text.
        allowed: what may stand there.
        nearest: the nearest valid name, if one is close.
        severity: ``error`` stops a build, ``warning`` is only reported.
    """

    code: str
    message: str
    file: str = ""
    line: int = 0
    field: str = ""
    found: str = ""
    allowed: tuple[str, ...] = ()
    nearest: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        head = " ".join(part for part in (where, self.field) if part)
        text = f"{head}: {self.message}" if head else self.message
        if self.nearest:
            text += f" Did you mean {self.nearest!r}?"
        if self.allowed:
            shown = list(self.allowed[:12])
            more = len(self.allowed) - len(shown)
            text += f" Allowed: {', '.join(shown)}{f' and {more} more' if more else ''}."
        return text

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for ``--json``."""
        data = asdict(self)
        data["allowed"] = list(self.allowed)
        return data


class SpecError(MedshardError):
    """A spec cannot be used. Holds every problem found, not the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        lines = "\n".join(str(problem) for problem in self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the spec:\n{lines}")

    def __reduce__(self) -> tuple[type[SpecError], tuple[list[Problem]]]:
        return (SpecError, (self.problems,))


class PlanError(SpecError):
    """The spec is well formed, but the data under the root contradict it."""


def nearest(word: str, allowed: Sequence[str]) -> str:
    """The entry of ``allowed`` that a typing mistake most likely meant, or an empty string."""
    found = get_close_matches(word, allowed, n=1, cutoff=0.6)
    return found[0] if found else ""
