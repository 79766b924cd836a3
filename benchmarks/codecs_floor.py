"""The floor: whole pictures decoded by one thread from memory, and nothing else done to them.

Contestants take turns in one process; what is told is megapixels a second.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from figures import Spread, spread
from workloads import Workload

__all__ = ["floors"]

Decoder = Callable[[bytes], Any]


def _decoders(extension: str) -> dict[str, Decoder]:
    import cv2
    import imagecodecs
    import simplejpeg
    from PIL import Image

    from medshard.engine import decode_image

    cv2.setNumThreads(0)

    def pillow(stream: bytes, half: bool = False) -> Any:
        image = Image.open(io.BytesIO(stream))
        if half:
            image.draft(None, (image.width // 2, image.height // 2))  # type: ignore[arg-type]
        image.load()

    def opencv(stream: bytes, flag: int = cv2.IMREAD_UNCHANGED) -> Any:
        return cv2.imdecode(np.frombuffer(stream, np.uint8), flag)

    def simple_half(stream: bytes) -> Any:
        height, _, colour, _ = simplejpeg.decode_jpeg_header(stream)
        return simplejpeg.decode_jpeg(stream, colour if colour == "GRAY" else "RGB", min_height=-(-height // 2))

    def simple(stream: bytes) -> Any:
        colour = simplejpeg.decode_jpeg_header(stream)[2]
        return simplejpeg.decode_jpeg(stream, colour if colour == "GRAY" else "RGB")

    if extension == "png":
        return {
            "medshard": decode_image,
            "Pillow": pillow,
            "OpenCV": opencv,
            "imagecodecs": imagecodecs.png_decode,
        }
    return {
        "medshard": decode_image,
        "Pillow": pillow,
        "OpenCV": opencv,
        "simplejpeg": simple,
        "imagecodecs": imagecodecs.jpeg8_decode,
        "medshard, half": lambda stream: decode_image(stream, reduce=2),
        "Pillow draft, half": lambda stream: pillow(stream, half=True),
        "simplejpeg, half": simple_half,
    }


def floors(workload: Workload, streams: Sequence[bytes], rounds: int) -> dict[str, Spread]:
    """Megapixels of the stored picture a second, of each decoder."""
    from PIL import Image

    pixels = sum(image.width * image.height for image in (Image.open(io.BytesIO(data)) for data in streams))
    decoders = _decoders(workload.extension)
    rates: dict[str, list[float]] = {name: [] for name in decoders}
    names = list(decoders)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            for stream in streams:
                decoders[name](stream)
            if number:  # the first round warms up
                rates[name].append(pixels / (time.perf_counter() - began) / 1e6)
    return {name: spread(values) for name, values in rates.items()}
