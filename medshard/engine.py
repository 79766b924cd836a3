"""The native engine's typed face: checksums, codecs, and the decode-and-sample pass over batches."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.errors import MedshardError

__all__ = [
    "BORDERS",
    "JOB",
    "MAX_PIXELS",
    "STEPS",
    "STRIP_ROWS",
    "BatchCancelled",
    "BatchLayout",
    "BufferRing",
    "DicomHeader",
    "Engine",
    "Header",
    "Patches",
    "StepParams",
    "crc32c",
    "decode_image",
    "displace",
    "encode_png",
    "features",
    "index_jpeg",
    "read_dicom_frames",
    "read_dicom_header",
    "read_header",
]

Bytes: TypeAlias = "bytes | bytearray | memoryview"
Reduce: TypeAlias = Literal[1, 2, 4]

MAX_PIXELS = 512 * 2**20
"""Pixels of a picture beyond which it is refused before memory is taken for it."""

PNG_LEVEL = 3
"""Beyond it, 16-bit pictures become 1 to 2 % smaller and take two to three times as long to write (docs/formats.md)."""

STRIP_ROWS = 64
"""Rows of a picture that can be decoded without the others, in PNGs that are written for reading parts of them."""

_INDEXED_PARTS = 4
"""Segments that an indexed JPEG divides each row of blocks into. Four, with tables of the stream's own, make it 0.2 to
0.6 % smaller than its source, and crops of 5 to 30 % of the picture decode 1.7 to 1.9 times as fast; eight are hardly
faster and 0.3 % larger."""

MAX_DICOM_BYTES = 8 * 2**30
"""Unpacked bytes of a DICOM file's frames beyond which they are refused."""

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

_STEP_KINDS = {name: kind for kind, name in enumerate(STEPS)}

_OUTPUTS = {"float32": 0, "float16": 1, "bfloat16": 2, "uint8": 3, "int16": 4, "int32": 5}
_OUTPUT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1, "int16": 2, "int32": 4}
_IMAGE_OUTPUTS = ("float32", "float16", "bfloat16", "uint8")
_FILTERS = {"bilinear": 0, "bicubic": 1}
_MASK_OUTPUTS = ("uint8", "int16", "int32")

if JOB.itemsize != _engine.JOB_BYTES:
    raise ImportError(
        "medshard/engine.py and the built engine are of different versions; build again: pip install -e ."
    )


class BatchCancelled(MedshardError):
    """A batch that was given up: by ``Engine.cancel``, or as its engine was closed."""


@dataclass(frozen=True)
class Header:
    """What a stream says of itself before it is decoded.

    Attributes:
        channels: as decoded: 1 grey, 3 RGB, 4 RGBA.
        bits: as decoded: 8 or 16.
        progressive: of a JPEG; such a stream is decoded whole whatever part of it is wanted.
        orientation: how EXIF says that a JPEG is to be turned to be seen, 1 to 8 (EXIF 2.32, 4.6.4); 1 where it says
            nothing. Decoding does not turn.
        precision: bits that a sample may use of ``bits``.
        is_signed: samples are stored with a sign; ``decode_image`` gives value + 32768 then.
        frames: of a DICOM file; else 1.
    """

    format: Literal["jpeg", "png", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "dicom"]
    width: int
    height: int
    channels: int
    bits: int
    progressive: bool
    orientation: int = 1
    precision: int = 8
    is_signed: bool = False
    frames: int = 1


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


def crc32c(data: Bytes, value: int = 0) -> int:
    """CRC-32C of bytes, going on from ``value`` (RFC 3720, B.4)."""
    return int(_engine.crc32c(data, value))


def features() -> dict[str, Any]:
    """Codecs with versions, SIMD levels of this machine and the one in use, compiler, whether CUDA is built."""
    return dict(_engine.features())


def read_header(data: Bytes) -> Header:
    """The header of a JPEG, lossless JPEG, JPEG-LS, JPEG 2000 or PNG stream, or of a DICOM file's pixels.

    Raises:
        DecodeError: none of them, damaged, or of a kind that is not decoded.
    """
    return Header(**_engine.read_header(data))


def decode_image(data: Bytes, *, reduce: Reduce = 1, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Decode a JPEG, lossless JPEG, JPEG-LS, JPEG 2000 or PNG stream, or the first frame of a DICOM file.

    Args:
        reduce: decode a JPEG at 1/2 or 1/4 of its size (rounded up) in the DCT domain, JPEG 2000 with fewer levels of
            its wavelet; others are not affected.

    Returns:
        (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16. Grey of fewer than 8 bits is spread to 0..255, palettes become
        colours, grey with alpha becomes RGBA. An animated PNG gives its default image. CMYK becomes RGB as with
        Pillow's ``convert("RGB")``: values are inverted ink, as Adobe writes them. A JPEG of 12 bits (sequential,
        not subsampled) gives uint16 of 0..4095. Signed samples come as
        value + 32768.

    Raises:
        DecodeError: damaged, cut off, larger than ``max_pixels``, or of a kind that is not decoded.
    """
    array: NDArray[Any] = _engine.decode_image(data, reduce, max_pixels)
    return array


def index_jpeg(data: Bytes, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """A JPEG stream rewritten without loss so that a part of it can be decoded without what lies before.

    The coefficients stay; they are written as one sequential scan with restart markers (ITU-T T.81, E.1.4) four times a
    row of blocks and with Huffman tables of their own. Metadata is left out. Any decoder gives the same pixels.

    Raises:
        DecodeError: damaged, cut off, of four components or 12 bits, or larger than ``max_pixels``.
    """
    return bytes(_engine.index_jpeg(data, _INDEXED_PARTS, max_pixels))


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


def encode_png(array: NDArray[Any], *, level: int = PNG_LEVEL, strip_rows: int = 0) -> bytes:
    """A PNG stream without metadata, the same for the same libraries.

    Args:
        array: (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16.
        level: of zlib, 0 to 9.
        strip_rows: rows of an independent strip, so that a part of the picture is decoded without the rest; 0 for
            none. Any reader decodes such a stream; the chunk ``msST`` says where its strips lie (docs/formats.md).
    """
    if strip_rows < 0:
        raise ValueError(f"strip_rows is at least 0, not {strip_rows}")
    return bytes(_engine.encode_png(np.ascontiguousarray(array), level, strip_rows))


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
        if self.filter not in _FILTERS:
            raise ValueError(f"filter {self.filter!r}; allowed: {', '.join(_FILTERS)}")
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


class Engine:
    """Threads that decode and sample. They start at the first batch and belong to the process that starts them.

    Batches are handed over with ``submit`` and may overlap: threads begin with the oldest and go on with the next while
    its last jobs are finished. At exit of the interpreter, or when the engine is let go, jobs that have begun are
    finished, the others are not begun, and the threads are joined.

    Args:
        threads: as many as this process may use of the machine's cores by default.
        in_flight: batches that may be handed over and not finished; a further one waits for room.
    """

    def __init__(self, threads: int | None = None, *, in_flight: int = 8) -> None:
        self.threads = threads if threads is not None else max(1, len(os.sched_getaffinity(0)))
        if self.threads < 1:
            raise ValueError(f"threads is at least 1, not {threads}")
        if in_flight < 1:
            raise ValueError(f"in_flight is at least 1, not {in_flight}")
        self._in_flight = in_flight
        self._engine = _engine.Engine(self.threads, in_flight)
        self._kept: dict[int, object] = {}
        self._cancelled: set[int] = set()
        self._pid = os.getpid()
        self._end = weakref.finalize(self, _end_engine, self._engine, self._kept)

    def __reduce__(self) -> tuple[Callable[[int, int], Engine], tuple[int, int]]:
        return (_engine_of, (self.threads, self._in_flight))

    def submit(
        self,
        jobs: NDArray[np.void],
        out_address: int,
        layout: BatchLayout,
        *,
        keep_alive: object = None,
        max_pixels: int = MAX_PIXELS,
    ) -> int:
        """Hand over a batch; waits while ``in_flight`` batches are not finished.

        Args:
            jobs: of dtype ``JOB``; addresses are trusted.
            out_address: of the first slot; each job says where its own lies from there. A job writes every byte of its
                slot, zeros where it fails; what lies between slots is left alone.
            keep_alive: objects whose memory the jobs name, the output's among them; held until no job needs it.

        Returns:
            A ticket for ``wait`` or ``cancel``.
        """
        if jobs.dtype != JOB:
            raise ValueError(f"jobs are of dtype JOB, not {jobs.dtype}")
        self._sweep()
        ticket = int(
            self._engine.submit(
                np.ascontiguousarray(jobs).view(np.uint8).reshape(-1),
                out_address,
                layout.channels,
                _OUTPUTS[layout.dtype],
                layout.channels_last,
                layout.mask,
                layout.clamp,
                layout.reduce,
                list(layout.mean),
                list(layout.deviation),
                max_pixels,
                [(_STEP_KINDS[step.kind], step.first, step.count, step.place) for step in layout.steps],
                _FILTERS[layout.filter],
                (layout.patches.edge, layout.patches.merge, layout.patches.repeat) if layout.patches else (0, 1, 1),
            )
        )
        self._kept[ticket] = keep_alive
        return ticket

    def wait(self, ticket: int) -> dict[int, str]:
        """Until a batch is finished, with the interpreter free. A signal (Ctrl-C) is seen within a tenth of a second.

        Returns:
            Index of a job → why it failed; its slot is zeros.

        Raises:
            BatchCancelled: ``cancel`` was called before all its jobs had begun, or the engine was closed.
        """
        known = ticket in self._kept
        try:
            cancelled, failed = self._engine.wait(ticket)
        except ValueError:
            if known:  # another thread cancelled it, and a third has swept it up
                raise BatchCancelled("the batch was cancelled") from None
            raise
        except BaseException:
            self.cancel(ticket)
            raise
        self._kept.pop(ticket, None)
        self._cancelled.discard(ticket)
        if cancelled:
            raise BatchCancelled("the batch was cancelled")
        return {int(index): str(reason) for index, reason in failed.items()}

    def cancel(self, ticket: int) -> None:
        """Jobs that have not begun never will. Does not wait; nobody need wait for the batch any more."""
        self._engine.cancel(ticket)
        self._cancelled.add(ticket)

    def run(
        self,
        jobs: NDArray[np.void],
        out_address: int,
        layout: BatchLayout,
        *,
        keep_alive: object = None,
        max_pixels: int = MAX_PIXELS,
    ) -> dict[int, str]:
        """``submit`` and ``wait``."""
        return self.wait(
            self.submit(jobs, out_address, layout, keep_alive=keep_alive, max_pixels=max_pixels),
        )

    def counters(self) -> dict[str, float]:
        """Batches, jobs, batches not finished now, and seconds of all threads together: decode, sample, store, idle."""
        return dict(self._engine.counters())

    def close(self) -> None:
        """Join the threads; batches that are not finished are cancelled. A later ``submit`` starts new ones."""
        _end_engine(self._engine, self._kept)
        self._cancelled.clear()

    def _sweep(self) -> None:
        if self._pid != os.getpid():  # of a parent, whose threads are not here
            self._kept.clear()
            self._cancelled.clear()
            self._pid = os.getpid()
        for ticket in list(self._cancelled):
            if self._engine.forget(ticket):
                self._kept.pop(ticket, None)
                self._cancelled.discard(ticket)


def _engine_of(threads: int, in_flight: int) -> Engine:
    return Engine(threads, in_flight=in_flight)


def _end_engine(engine: Any, kept: dict[int, object]) -> None:
    """Threads end before the memory goes that their jobs name."""
    engine.close()
    kept.clear()


class BufferRing:
    """Memory for batches that is used again once nothing refers to it.

    Fresh memory costs a page fault each 4 KiB (or 2 MiB, which is asked for); memory that was used before costs none.
    Buffers begin at a page, and hold what was in them before.

    Args:
        kept: free buffers that are held; more are given back to the system. Buffers in use are not counted.
    """

    def __init__(self, kept: int = 4) -> None:
        self._kept = kept
        self._ring = _engine.BufferRing(kept)

    def __reduce__(self) -> tuple[type[BufferRing], tuple[int]]:
        return (BufferRing, (self._kept,))

    def take(self, size_bytes: int) -> NDArray[np.uint8]:
        """(size_bytes,), which goes back to the ring when the last array or tensor that shares its memory is gone."""
        array: NDArray[np.uint8] = self._ring.take(size_bytes)
        return array

    def counts(self) -> dict[str, int]:
        """Buffers that were fresh, and used again; free ones now, with their bytes."""
        return dict(self._ring.counts())


def address_of(data: Bytes) -> int:
    """Where bytes lie, for ``JOB``; the object must outlive the run."""
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0])  # .ctypes takes five times as long
