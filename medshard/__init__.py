"""medshard: public medical datasets as sharded corpora, and a loader that streams them to trainers."""

from __future__ import annotations

__version__ = "0.1.0"
