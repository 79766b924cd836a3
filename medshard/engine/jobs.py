"""What is asked of the engine: a record for each sample, and what all samples of a batch share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.engine.codecs import Reduce

__all__ = [
    "BORDERS",
    "CODECS",
    "FILTERS",
    "JOB",
    "OUTPUTS",
    "STEPS",
    "STEP_KINDS",
    "BatchLayout",
    "Patches",
    "StepParams",
    "displace",
]

JOB = np.dtype(
    {
        "names": [
            *("address", "size", "out", "box", "bounds", "raw", "height", "width"),
            *("scale", "bias", "codec", "flip_x", "flip_y", "params", "noise_seed"),
            *("extent", "inner", "grid", "map", "before"),
            *("elastic_seed", "elastic_spacing", "elastic_amplitude", "fill", "border", "transpose", "canvas"),
        ],
        "formats": [
            *("<u8", "<u8", "<u8", ("<f8", 4), ("<i4", 4), ("<i4", 3), "<i4", "<i4"),
            *("<f4", "<f4", "u1", "u1", "u1", "<u8", "<u8"),
            *(("<i4", 4), ("<i4", 4), ("<i4", 2), ("<f8", 6), ("<f8", 6)),
            *("<u8", ("<f8", 2), ("<f8", 2), "<f4", "u1", "u1", ("<i4", 4)),
        ],
        "offsets": [
            *(0, 8, 16, 24, 56, 72, 84, 88, 92, 96, 100, 101, 102, 104, 112),
            *(120, 136, 152, 160, 208, 256, 264, 280, 296, 300, 301, 304),
        ],
        "itemsize": 320,
    }
)
"""What is done to one sample (csrc/pipeline/job.hpp).

address, size: of the compressed stream, or of raw samples. out: bytes from the batch's first to the sample's slot. box:
x0 y0 x1 y1 of the stored picture, continuous pixels, which fills the output. bounds: x0 y0 x1 y1, whole pixels outside
of which nothing is read. raw: height, width, channels of raw samples. height, width: of the output. scale, bias:
value = stored * scale + bias. codec: see ``CODECS``. params: address of the float32 parameters of the batch's steps.
noise_seed: of the numbers that steps draw for each value (csrc/augment/noise.inl).

Zeros in what follows mean none of it. extent: x0 y0 x1 y1, the picture with what is added around it: beyond ``bounds``
it is made by the border. inner: x0 y0 x1 y1 of the output before flips and transposition; the border makes the rest.
grid: height, width of the reduced picture that a warp reads; the box then fills it. map: output point to grid point, a
row for x and one for y; with an elastic displacement, output point through ``before``, displaced, then through ``map``.
elastic_seed, elastic_spacing, elastic_amplitude: of the displacement, x and y in pixels. fill: of a constant border,
after scale and bias; of masks the label. border: see ``BORDERS``. transpose: rows become columns after the flips.
canvas: with ``Patches``, its height and width, and the row and column on it of the output's first pixel; what the
output does not cover is black.
"""

CODECS = {"compressed": 0, "uint8": 1, "uint16": 2, "int16": 3, "float32": 4}
"""``compressed`` is told apart by its first bytes; the others are raw samples of that type. Of a DICOM file the first
number of ``raw`` is the frame. Its stored values are sampled, colours as RGB; signed ones as value + 32768, as they
lie in a PNG part, which ``bias`` takes back."""

BORDERS = {"constant": 0, "edge": 1, "reflect": 2}
"""What lies outside a picture: a value, the nearest pixel, or the picture mirrored about its outermost pixels."""

STEPS: dict[str, bool] = {str(name): bool(simd) for name, simd in _engine.step_features()}
"""Steps that the engine does on a sampled crop → whether their loops are compiled for every SIMD level."""

STEP_KINDS = {name: kind for kind, name in enumerate(STEPS)}
OUTPUTS = {"float32": 0, "float16": 1, "bfloat16": 2, "uint8": 3, "int16": 4, "int32": 5}
_OUTPUT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1, "int16": 2, "int32": 4}
_IMAGE_OUTPUTS = ("float32", "float16", "bfloat16", "uint8")
FILTERS = {"bilinear": 0, "bicubic": 1}
_MASK_OUTPUTS = ("uint8", "int16", "int32")
if JOB.itemsize != _engine.JOB_BYTES:
    raise ImportError(
        "medshard/engine/jobs.py and the built engine are of different versions; build again: pip install -e ."
    )


@dataclass(frozen=True)
class StepParams:
    """A step of a batch, and where its parameters lie among those of a job (csrc/pipeline/program.hpp).

    Attributes:
        kind: one of ``STEPS``.
        first, count: its float32 numbers; the first of them is 0 where the step is not applied.
        place: keeps the noise of two steps of a batch apart.
    """

    kind: str
    first: int
    count: int
    place: int


@dataclass(frozen=True)
class Patches:
    """How a resized picture is cut into the squares that a vision-language model takes (csrc/pipeline/patches.hpp).

    Attributes:
        edge: of a square, pixels.
        merge: squares lie in blocks of merge x merge, block by block; 1 for row by row.
        repeat: frames that a still picture becomes.

    A square is (channels, repeat, edge, edge).
    """

    edge: int
    merge: int = 1
    repeat: int = 1

    def __post_init__(self) -> None:
        if min(self.edge, self.merge, self.repeat) < 1:
            raise ValueError(f"edge, merge and repeat of patches are at least 1; found {self}")


@dataclass(frozen=True)
class BatchLayout:
    """How a batch lies in memory, and what values become.

    Attributes:
        height, width: of a slot; the jobs of a batch with samples of several sizes say their own.
        channels: of every sample. Grey is repeated for three channels; RGB becomes BT.601 luma for one;
            alpha is dropped.
        dtype: pictures: float32, float16, bfloat16 or uint8 (0..1 times 255); masks: uint8, int16 or int32.
        channels_last: (N, H, W, C) instead of (N, C, H, W).
        mask: stored values by the nearest pixel, without mapping; channels that the mask lacks are 0. An item with a
            value that does not fit ``dtype`` fails.
        clamp: values are clipped to 0..1 after scale and bias.
        mean, deviation: then (value - mean) / deviation; one number, or one a channel; of float types only.
        reduce: a JPEG of which the output needs at most every other pixel is decoded at half size, and with 4 at a
            quarter where it needs at most every fourth; 1 always decodes the full size.
        steps: what is done to each sampled crop, in order. When there are any, they do all mapping: ``clamp``, ``mean``
            and ``deviation`` are not used, save for the black around a picture on its canvas.
        filter: of resizing: bilinear (the triangle), or bicubic (Keys 1981, a = -1/2), both antialiased.
        patches: pictures are cut into squares, each job onto its canvas. 8-bit pictures are then resized in whole
            levels, equal to Pillow's ``Image.resize``; not with steps, warps, or constant borders, which take floats.
    """

    height: int
    width: int
    channels: int = 3
    dtype: str = "float32"
    channels_last: bool = False
    mask: bool = False
    clamp: bool = True
    mean: Sequence[float] = ()
    deviation: Sequence[float] = ()
    reduce: Reduce = 2
    steps: Sequence[StepParams] = ()
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    patches: Patches | None = None

    def __post_init__(self) -> None:
        allowed = _MASK_OUTPUTS if self.mask else _IMAGE_OUTPUTS
        if self.dtype not in allowed:
            raise ValueError(f"dtype {self.dtype!r}; allowed for {'masks' if self.mask else 'pictures'}: {allowed}")
        if not self.mask and self.channels not in (1, 3):
            raise ValueError(f"pictures have 1 or 3 channels, not {self.channels}")
        if min(self.height, self.width, self.channels) < 1:
            raise ValueError("height, width and channels are at least 1")
        if len(self.mean) != len(self.deviation) or len(self.mean) not in (0, 1, self.channels):
            raise ValueError(
                f"mean and deviation have one number, or one a channel ({self.channels}); "
                f"they have {len(self.mean)} and {len(self.deviation)}"
            )
        if any(not deviation > 0 for deviation in self.deviation):
            raise ValueError(f"deviation is above 0; found {tuple(self.deviation)}")
        if self.mean and self.dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"dtype {self.dtype!r} cannot hold values after mean and deviation; take a float type")
        if self.filter not in FILTERS:
            raise ValueError(f"filter {self.filter!r}; allowed: {', '.join(FILTERS)}")
        if self.patches is not None and (self.mask or self.channels_last or self.channels != 3):
            raise ValueError("patches are of pictures of 3 channels, channels first")
        if self.patches is not None and self.dtype == "uint8":
            raise ValueError("patches are float32, float16 or bfloat16")

    @property
    def slot_bytes(self) -> int:
        """Of a slot of ``height`` x ``width``."""
        return self.slot_bytes_of((self.height, self.width))

    def slot_bytes_of(self, size_hw: tuple[int, int]) -> int:
        """Of a slot of another size."""
        return self.channels * size_hw[0] * size_hw[1] * _OUTPUT_BYTES[self.dtype]


def displace(
    points_xy: NDArray[np.float64], seed: int, spacing_xy: tuple[float, float], amplitude_xy: tuple[float, float]
) -> NDArray[np.float64]:
    """Points moved by an elastic displacement, as the engine moves them.

    Args:
        points_xy: (..., 2) in pixels of the plane on which it works.
        seed: 64 bits.
        spacing_xy, amplitude_xy: of its lattice, pixels.
    """
    points = np.array(points_xy, np.float64, copy=True, order="C")
    _engine.displace(points.reshape(-1), seed, *spacing_xy, *amplitude_xy)
    return points
