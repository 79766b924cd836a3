"""Where a stream stands: a few integers, and what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medshard.errors import LoaderError

__all__ = ["OrderState"]

_VERSION = 1


@dataclass(frozen=True)
class OrderState:
    """A place in a stream.

    Attributes:
        epoch: the running one.
        offset: units of it that were delivered.
    """

    epoch: int = 0
    offset: int = 0

    def dump(self, digest: str, parts: dict[str, Any]) -> dict[str, Any]:
        """As plain types, with the order that it belongs to.

        Args:
            digest: of the order.
            parts: what went into the digest, so that a refusal can say what differs.
        """
        return {"version": _VERSION, "epoch": self.epoch, "offset": self.offset, "digest": digest, "order": parts}

    @classmethod
    def load(cls, state: dict[str, Any], digest: str, parts: dict[str, Any]) -> OrderState:
        """From ``dump``.

        Raises:
            LoaderError: it belongs to another order; names the difference.
        """
        try:
            version, epoch, offset, found = (state[name] for name in ("version", "epoch", "offset", "digest"))
        except (KeyError, TypeError) as error:
            raise LoaderError(f"this is no state of a medshard loader: {error}") from error
        if version != _VERSION:
            raise LoaderError(f"the state has version {version}; this medshard reads {_VERSION}")
        if found != digest:
            theirs = state.get("order", {})
            changed = [
                f"{name} was {theirs.get(name)!r} and is {parts.get(name)!r}"
                for name in sorted({*theirs, *parts})
                if theirs.get(name) != parts.get(name)
            ]
            raise LoaderError(f"the state is of another stream: {'; '.join(changed) or 'the digests differ'}")
        if not (isinstance(epoch, int) and isinstance(offset, int) and epoch >= 0 and offset >= 0):
            raise LoaderError(f"the state's epoch {epoch!r} and offset {offset!r} are no places in a stream")
        return cls(epoch, offset)
