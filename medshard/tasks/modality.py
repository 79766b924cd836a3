"""Which kind of imaging is this?"""

from __future__ import annotations

from medshard.tasks.axis_label import axis_drafts
from medshard.tasks.base import Draft, View

__all__ = ["TASK"]


class ModalityTask:
    """Asks for the modality, where a fact says it."""

    name = "modality"
    family = "recognition"
    trivial = True

    def drafts(self, view: View) -> list[Draft]:
        """At most one."""
        return axis_drafts(view, self.name, "modality")


TASK = ModalityTask()
