"""A family that sees pictures by its own rule, and writes places as the plain grammar does."""

from __future__ import annotations

from medshard.families.image_rule import ImageRule
from medshard.families.plain import PlainFamily
from medshard.record.conversation import MediaBlock

__all__ = ["VisionFamily"]


class VisionFamily(PlainFamily):
    """Pictures by a rule.

    Args:
        name: of the family.
        image: its rule.
    """

    def __init__(self, name: str, image: ImageRule) -> None:
        self.name, self.image = name, image
        self._marker = image.marker

    def media(self, block: MediaBlock) -> str:
        """The marker that the family's processor expands; also of a volume, of which a plane is delivered."""
        return self._marker
