"""What one file may cost. In one place, so that they can be read together."""

from __future__ import annotations

from medshard.errors import ReadError

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_FRAMES",
    "MAX_PLANE_PIXELS",
    "MAX_VOLUME_BYTES",
    "check_plane",
    "check_volume",
]

MAX_FILE_BYTES = 8 * 2**30
"""Bytes of a source file that is read whole."""

MAX_PLANE_PIXELS = 256 * 2**20
"""Pixels of a 2D picture; larger ones are slides and have a reader of their own."""

MAX_VOLUME_BYTES = 8 * 2**30
"""Unpacked bytes of a volume."""

MAX_FRAMES = 20_000
"""Frames of one file, slices of one series."""


def check_plane(width: int, height: int) -> None:
    """Refuse a picture before its pixels are unpacked.

    Raises:
        ReadError: it has more pixels than allowed.
    """
    if width < 1 or height < 1:
        raise ReadError(f"has {width} x {height} pixels", error_class="empty_image")
    if width * height > MAX_PLANE_PIXELS:
        raise ReadError(f"has {width} x {height} pixels, more than {MAX_PLANE_PIXELS}", error_class="too_large")


def check_volume(shape: tuple[int, ...], bytes_per_voxel: int) -> None:
    """Refuse a volume before its voxels are unpacked.

    Raises:
        ReadError: it is empty or larger than allowed.
    """
    size = bytes_per_voxel
    for length in shape:
        if length < 1:
            raise ReadError(f"has the shape {list(shape)}", error_class="empty_image")
        size *= length
    if size > MAX_VOLUME_BYTES:
        raise ReadError(f"unpacks to {size} bytes, more than {MAX_VOLUME_BYTES}", error_class="too_large")
