"""Which ranges of a shard to read for the chunks that a box needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOCAL_READS", "REMOTE_READS", "ReadPolicy", "plan_ranges"]


@dataclass(frozen=True)
class ReadPolicy:
    """What a request is worth.

    Attributes:
        gap_bytes: bytes between two ranges that are read in vain rather than asked for apart.
        few: requests up to which no further bytes are given for fewer.
        most_waste: bytes read to bytes needed, up to which larger gaps are read to come down to ``few``.
        request_bytes: length beyond which a range is read in parts, side by side.
    """

    gap_bytes: int
    few: int
    most_waste: float
    request_bytes: int


LOCAL_READS = ReadPolicy(gap_bytes=4096, few=2**31, most_waste=1.0, request_bytes=2**24)
"""A system call costs as much as copying a page or two."""

REMOTE_READS = ReadPolicy(gap_bytes=256 * 1024, few=4, most_waste=2.5, request_bytes=2**24)
"""A request takes tens of milliseconds, in which a connection carries about a MiB; a store bills each."""


def plan_ranges(
    offsets: NDArray[np.int64], sizes: NDArray[np.int64], policy: ReadPolicy
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of ranges that cover chunks, ascending; no chunk lies in two of them.

    Args:
        offsets, sizes: of the chunks, at least one, in any order.
    """
    order = np.argsort(offsets, kind="stable")
    starts = offsets[order]
    ends = np.maximum.accumulate(starts + sizes[order])
    gaps = starts[1:] - ends[:-1]
    apart = gaps > policy.gap_bytes
    surplus = int(apart.sum()) + 1 - policy.few
    if surplus > 0:
        allowed = policy.most_waste * float(sizes.sum()) - float(sizes.sum() + gaps[~apart].clip(0).sum())
        smallest = np.flatnonzero(apart)[np.argsort(gaps[apart], kind="stable")]
        joined = int(np.searchsorted(np.cumsum(gaps[smallest]), allowed, side="right"))
        if joined >= surplus:  # else more requests are the better bargain
            apart[smallest[:surplus]] = False
    first = np.concatenate([[0], np.flatnonzero(apart) + 1])
    if int((np.append(ends[first[1:] - 1], ends[-1]) - starts[first]).max()) > policy.request_bytes:
        run = np.repeat(starts[first], np.diff(np.append(first, len(starts))))
        part = (starts - run) // policy.request_bytes
        touching = starts[1:] >= ends[:-1]
        first = np.concatenate([[0], np.flatnonzero((apart | (part[1:] != part[:-1])) & touching) + 1])
    return starts[first], np.append(ends[first[1:] - 1], ends[-1])
