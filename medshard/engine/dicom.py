"""DICOM files: what they say of their pixels, and their frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from medshard import _engine
from medshard.engine.codecs import Bytes

__all__ = ["MAX_DICOM_BYTES", "DicomHeader", "read_dicom_frames", "read_dicom_header"]

MAX_DICOM_BYTES = 8 * 2**30
"""Unpacked bytes of a DICOM file's frames beyond which they are refused."""


@dataclass(frozen=True)
class DicomHeader:
    """What a DICOM file says of its pixels at its top level (PS3.3 C.7.6.3, C.11.1, C.11.2).

    Attributes:
        coding: of the pixels; ``features()["dicom"]`` says which are decoded.
        samples: per pixel.
        planar: PlanarConfiguration is 1.
        photometric: PhotometricInterpretation.
        rescale: slope and intercept; None when the file has neither.
        window: the first centre and width; None unless it has both.
    """

    coding: Literal["native", "rle", "jpeg", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k", "other"]
    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    planar: bool
    photometric: str
    has_palette: bool
    rescale: tuple[float, float] | None
    window: tuple[float, float] | None


def read_dicom_header(data: Bytes) -> DicomHeader:
    """What a DICOM file says of its pixels. Sequences are passed over, and no other attribute is looked at.

    Raises:
        DecodeError: without the prefix of PS3.10 7.1, damaged, without pixels, or of a transfer syntax that is not
            known. The message holds no value of the data set.
    """
    return DicomHeader(**_engine.read_dicom_header(data))


def read_dicom_frames(
    data: Bytes,
    frames: Sequence[int] | None = None,
    *,
    rescale: bool = False,
    as_rgb: bool = True,
    max_bytes: int = MAX_DICOM_BYTES,
) -> NDArray[Any]:
    """Decode frames of a DICOM file, with the interpreter free.

    Grey is not turned over for MONOCHROME1 and palette indices stay indices: both are the reader's to do.

    Args:
        data: the whole file.
        frames: which ones, in this order; all by default.
        rescale: apply slope and intercept to grey values, so that a CT gives Hounsfield units.
        as_rgb: YBR_FULL and YBR_FULL_422 become RGB.
        max_bytes: of the result.

    Returns:
        (F, H, W) or (F, H, W, 3), C-contiguous, machine's byte order, planar configuration 0. Stored values: uint8,
        int8, uint16 or int16 by BitsAllocated and PixelRepresentation, without what lies in unused bits. Rescaled:
        int16 where every value of BitsStored fits it, else int32; float32 where slope or intercept are fractions; the
        stored type where the file has neither.

    Raises:
        DecodeError: damaged, against its header, too large, or of a kind that is left to pydicom (see docs/codecs.md).
    """
    wanted = None if frames is None else [int(frame) for frame in frames]
    array: NDArray[Any] = _engine.read_dicom_frames(data, wanted, rescale, as_rgb, max_bytes)
    return array
