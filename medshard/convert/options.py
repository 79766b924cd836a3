"""What the user chooses of a build."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from medshard.plan.plan import SplitPolicy
from medshard.plan.units import UnitLimits
from medshard.privacy.remap import PUBLIC_KEY
from medshard.spec.schema.media import Renditions
from medshard.tasks.write import TextOptions

__all__ = ["BuildOptions", "default_workers"]


def default_workers() -> int:
    """As many as this process may use of the machine's cores."""
    return max(1, len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class BuildOptions:
    """Options of ``medshard build``.

    Attributes:
        workers: processes; the bytes do not depend on their number.
        split_policy: what is done with groups that stand in several splits.
        partial: the data are known to be a part of the release.
        max_failures: samples that may fail to be read before the build stops; None for any number.
        max_failure_share: the same as a share of the planned samples.
        limits: how large a unit may be.
        text: which text to write.
        id_key: key of the identity tokens; the public one only suits data that are public already.
        renditions: smaller levels of pictures of slots whose spec says nothing of them; None for none.
        start_method: how worker processes start.
    """

    workers: int = field(default_factory=default_workers)
    split_policy: SplitPolicy = "official"
    partial: bool = False
    max_failures: int | None = None
    max_failure_share: float | None = None
    limits: UnitLimits = UnitLimits()
    text: TextOptions = TextOptions()
    id_key: bytes = PUBLIC_KEY
    renditions: Renditions | None = None
    start_method: str = "forkserver"
