"""Where a stream stands: a few integers, and what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from medshard.errors import LoaderError

__all__ = ["OrderState"]

_VERSION = 1
_NAMED = 3  # differing sources in a message


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
            theirs = state.get("order")
            theirs = theirs if isinstance(theirs, dict) else {}
            names = [name for name in sorted({*theirs, *parts}) if theirs.get(name) != parts.get(name)]
            changed = [_difference(name, theirs.get(name), parts.get(name)) for name in names]
            raise LoaderError(f"the state is of another stream: {'; '.join(changed) or 'the digests differ'}")
        if not (isinstance(epoch, int) and isinstance(offset, int) and epoch >= 0 and offset >= 0):
            raise LoaderError(f"the state's epoch {epoch!r} and offset {offset!r} are no places in a stream")
        if offset > parts["items"]:
            raise LoaderError(
                f"the state's offset {offset} is behind the epoch's {parts['items']} items; it is damaged"
            )
        return cls(epoch, offset)


def _difference(name: str, then: Any, now: Any) -> str:
    if name != "sources" or not isinstance(then, list) or not isinstance(now, list):
        return f"{name} was {then!r} and is {now!r}"
    pairs = [(left, right) for left, right in zip_longest(then, now) if left != right]
    told = "; ".join(f"{left or 'none'} then, {right or 'none'} now" for left, right in pairs[:_NAMED])
    return f"sources differ ({told}{f'; and {len(pairs) - _NAMED} more' if len(pairs) > _NAMED else ''})"
