"""Tables of implementations, loaded at first use and open to entry points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from medshard.errors import MedshardError, MissingExtraError, nearest

__all__ = ["Entry", "Registry"]

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """Where an implementation lives.

    Attributes:
        target: ``package.module:name``.
        extra: the extra of medshard that installs what the module imports, or an empty string.
    """

    target: str
    extra: str = ""


class Registry(Generic[T]):
    """The implementations of one extension point, by name.

    Other packages add to it with an entry point in the group ``medshard.<point>``.

    Args:
        point: what the entries are, in the singular (``reader``, ``storage``).
        entries: the implementations that medshard itself ships.
    """

    def __init__(self, point: str, entries: Mapping[str, Entry]) -> None:
        self.point = point
        self._entries = dict(entries)
        self._loaded: dict[str, T] = {}
        self._scanned = False

    def _scan(self) -> None:
        if not self._scanned:
            self._scanned = True
            for found in entry_points(group=f"medshard.{self.point}"):
                self._entries.setdefault(found.name, Entry(found.value))

    def names(self) -> list[str]:
        """All names, sorted."""
        self._scan()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def get(self, name: str) -> T:
        """The implementation of that name; its module is imported at the first call.

        Raises:
            MedshardError: no entry has that name.
            MissingExtraError: the module needs a package that is not installed.
        """
        if name not in self._loaded:
            self._scan()
            if name not in self._entries:
                guess = nearest(name, self.names())
                hint = f" Did you mean {guess!r}?" if guess else ""
                raise MedshardError(f"No {self.point} is called {name!r}.{hint} Known: {', '.join(self.names())}.")
            entry = self._entries[name]
            module, _, attribute = entry.target.partition(":")
            try:
                self._loaded[name] = cast("T", getattr(import_module(module), attribute))
            except ModuleNotFoundError as error:
                if not entry.extra or (error.name or "").startswith("medshard"):
                    raise
                raise MissingExtraError(f"The {self.point} {name!r}", error.name or module, entry.extra) from error
        return self._loaded[name]
