"""Which part of the body is this?"""

from __future__ import annotations

from medshard.tasks.axis_label import axis_drafts
from medshard.tasks.base import Draft, View

__all__ = ["TASK"]


class AnatomyTask:
    """Asks for the part of the body, where a fact says it."""

    name = "anatomy"
    family = "recognition"
    trivial = True

    def drafts(self, view: View) -> list[Draft]:
        """At most one."""
        return axis_drafts(view, self.name, "anatomy")


TASK = AnatomyTask()
