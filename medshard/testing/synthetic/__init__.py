"""Synthetic scanners: small datasets in real layouts, painted so that their truth is known.

Every function writes below ``root`` and returns the ground truth as it was painted, never as read back. Pictures look
like anatomy and are asymmetric, so a lost flip, a swapped axis or a shifted box shows. Everything is a pure function
of the arguments: no clock, no machine name, no random UID; equal versions of numpy, Pillow and pydicom on
one kind of processor give equal bytes. Nothing comes from a person.

``canary`` plants a text in every metadata field that the written formats have, for tests of privacy.
"""

from __future__ import annotations

from medshard.testing.synthetic.abdomen import AbdomenCase, abdominal_ct
from medshard.testing.synthetic.breast import breast_ultrasound
from medshard.testing.synthetic.canary import MAX_CANARY_CHARACTERS
from medshard.testing.synthetic.chest import FINDING_COLUMNS, chest_xray
from medshard.testing.synthetic.shapes import ShapesVolume, ToyShape, toy_shapes
from medshard.testing.synthetic.truth import (
    BreastImage,
    BreastTruth,
    ChestImage,
    ChestTruth,
    Lesion,
    PaintedFinding,
)

__all__ = [
    "FINDING_COLUMNS",
    "MAX_CANARY_CHARACTERS",
    "AbdomenCase",
    "BreastImage",
    "BreastTruth",
    "ChestImage",
    "ChestTruth",
    "Lesion",
    "PaintedFinding",
    "ShapesVolume",
    "ToyShape",
    "abdominal_ct",
    "breast_ultrasound",
    "chest_xray",
    "toy_shapes",
]
