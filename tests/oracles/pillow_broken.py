"""Pillow's odd images: one sample per file whose first frame Pillow decodes; key: the file.

Pixels are Pillow's, in the mode of `labels['mode']`: palette indices for P, bool for 1, TIFF already rotated,
16-bit RGB(A) reduced by Pillow to 8 bits (see README.md).
"""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image

from .decode import decode_image
from .expected import Expected, ExpectedSample, Label, Pixels

ERRORS = (OSError, SyntaxError, TypeError, ValueError, NotImplementedError, Image.DecompressionBombError)


def expected(root: Path) -> Expected:
    samples, refused = {}, {}
    for path in sorted(p for p in (root / "images").rglob("*") if p.is_file()):
        key = path.relative_to(root).as_posix()
        try:
            array = decode_image(path)
        except ERRORS as error:
            refused[key] = type(error).__name__
            continue
        sample = samples[key] = ExpectedSample(pixels=Pixels.of(array))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                frames = str(getattr(image, "n_frames", 1))
                turn = image.getexif().get(0x0112)
                sample.labels = {
                    "format": Label(image.format),
                    "mode": Label(image.mode),
                    "frames": Label(frames),
                }
                sample.labels["orientation"] = Label(str(turn)) if turn else Label("", "missing")
    counts = {
        "readable": len(samples),
        "frames_several": sum(s.labels["frames"].raw != "1" for s in samples.values()),
    }
    counts["orientation_not_1"] = sum(s.labels["orientation"].raw not in ("", "1") for s in samples.values())
    return Expected(samples, counts, {"unreadable": len(refused)}, refused)
