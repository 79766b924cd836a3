"""Ways to decode a picture and bring a part of it to size, as recipes for the peers do it.

A kernel takes the compressed bytes, asks where to cut, and returns (size, size, 3) uint8, or (size, size) of 16-bit
grey (uint16, or float32 where its resize has no other type).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from crops import Draw
from numpy.typing import NDArray

__all__ = ["KERNELS", "TITLES", "Kernel", "kernel"]

Kernel: TypeAlias = Callable[[bytes, Draw], NDArray[Any]]

TITLES = {
    "pillow": "Pillow",
    "pillow-draft": "Pillow draft",
    "simd": "Pillow-SIMD",
    "simd-draft": "Pillow-SIMD draft",
    "simplejpeg": "simplejpeg + OpenCV",
    "simplejpeg-scaled": "simplejpeg scaled + OpenCV",
    "opencv-16": "OpenCV",
    "pillow-16": "Pillow",
    "imagecodecs-16": "imagecodecs + OpenCV",
    "own": "its own",
}
"""``simd`` is the code of ``pillow`` in a process that imports Pillow-SIMD."""


def _needed(size: int, stored: int, part: int) -> int:
    """Length of the whole picture's edge at which the part has as many pixels as the output."""
    return -(-size * stored // part)


def pillow(size: int, *, draft: bool) -> Kernel:
    """Full decode, or (draft) libjpeg's at the smallest of 1/1, 1/2, 1/4, 1/8 that leaves enough; then antialiased."""
    from PIL import Image

    def run(stream: bytes, draw: Draw) -> NDArray[Any]:
        image = Image.open(io.BytesIO(stream))
        width, height = image.size
        x, y, w, h = draw(width, height)
        if draft:
            image.draft("RGB", (_needed(size, width, w), _needed(size, height, h)))
        across, down = image.size[0] / width, image.size[1] / height
        box = (x * across, y * down, (x + w) * across, (y + h) * down)
        return np.asarray(image.convert("RGB").resize((size, size), Image.BILINEAR, box=box))

    return run


def simplejpeg(size: int, *, scaled: bool) -> Kernel:
    """Full decode, or at the smallest eighth that leaves enough pixels; then OpenCV's INTER_AREA of whole pixels."""
    import cv2
    import simplejpeg as codec

    cv2.setNumThreads(0)  # workers are given elsewhere, one a picture

    def run(stream: bytes, draw: Draw) -> NDArray[Any]:
        height, width, _, _ = codec.decode_jpeg_header(stream)
        x, y, w, h = draw(width, height)
        if scaled:
            least = {"min_height": _needed(size, height, h), "min_width": _needed(size, width, w), "min_factor": 1}
            pixels = codec.decode_jpeg(stream, "RGB", **least)
        else:
            pixels = codec.decode_jpeg(stream, "RGB")
        across, down = pixels.shape[1] / width, pixels.shape[0] / height
        left, top = int(x * across), int(y * down)
        part = pixels[top : top + max(1, round(h * down)), left : left + max(1, round(w * across))]
        return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA))

    return run


def opencv_16(size: int) -> Kernel:
    """cv2.imdecode as stored, INTER_AREA."""
    import cv2

    cv2.setNumThreads(0)

    def run(stream: bytes, draw: Draw) -> NDArray[Any]:
        pixels = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_UNCHANGED)
        x, y, w, h = draw(pixels.shape[1], pixels.shape[0])
        return np.asarray(cv2.resize(pixels[y : y + h, x : x + w], (size, size), interpolation=cv2.INTER_AREA))

    return run


def imagecodecs_16(size: int) -> Kernel:
    """imagecodecs.png_decode, INTER_AREA."""
    import cv2
    import imagecodecs

    cv2.setNumThreads(0)

    def run(stream: bytes, draw: Draw) -> NDArray[Any]:
        pixels = imagecodecs.png_decode(stream)
        x, y, w, h = draw(pixels.shape[1], pixels.shape[0])
        return np.asarray(cv2.resize(pixels[y : y + h, x : x + w], (size, size), interpolation=cv2.INTER_AREA))

    return run


def pillow_16(size: int) -> Kernel:
    """Pillow, which resizes 16-bit grey only as float."""
    from PIL import Image

    def run(stream: bytes, draw: Draw) -> NDArray[Any]:
        image = Image.open(io.BytesIO(stream))
        x, y, w, h = draw(*image.size)
        part = image.crop((x, y, x + w, y + h)).convert("F")
        return np.asarray(part.resize((size, size), Image.BILINEAR))

    return run


KERNELS: dict[str, Callable[[int], Kernel]] = {
    "pillow": lambda size: pillow(size, draft=False),
    "pillow-draft": lambda size: pillow(size, draft=True),
    "simd": lambda size: pillow(size, draft=False),
    "simd-draft": lambda size: pillow(size, draft=True),
    "simplejpeg": lambda size: simplejpeg(size, scaled=False),
    "simplejpeg-scaled": lambda size: simplejpeg(size, scaled=True),
    "opencv-16": opencv_16,
    "pillow-16": pillow_16,
    "imagecodecs-16": imagecodecs_16,
}


def kernel(name: str, size: int) -> Kernel:
    """The kernel of a name."""
    return KERNELS[name](size)
