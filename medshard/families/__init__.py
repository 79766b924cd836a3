"""Model families: how each wants places, times and media written. One small file a family."""

from __future__ import annotations

from medshard.families.base import Delivered, Family
from medshard.registry import Entry, Registry

__all__ = ["FAMILIES", "Delivered", "Family"]

FAMILIES: Registry[Family] = Registry("family", {"plain": Entry("medshard.families.plain:FAMILY")})
