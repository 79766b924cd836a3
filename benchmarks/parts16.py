"""16-bit pictures in the formats that a part could have: size, and how fast a whole and a crop decode.

    pip install imagecodecs        the peers
    python benchmarks/parts16.py [--dicom FOLDER] [--rounds 5] [--json]

Contestants take turns within each round, on one thread, from memory to an array; a rate is of the decoded bytes, the
median of all rounds. Every format is lossless and compared with what went in. ``crop`` is the middle half of each side;
formats that cannot decode a part decode the whole for it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine
from numpy.typing import NDArray
from pictures import paint

from medshard.engine import JOB, STRIP_ROWS, BatchLayout, Engine, address_of, decode_image, encode_png

Pixels = NDArray[np.uint16]
ENGINE = Engine(1)
SHIFTED = 32768  # int16 as build stores it


@dataclass(frozen=True)
class Format:
    """A way to keep a picture.

    Attributes:
        crop: decodes rows and columns (y0, x0, y1, x1) of it; None where the whole must be decoded.
    """

    name: str
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes, Pixels], NDArray[np.generic]]
    crop: Callable[[bytes, tuple[int, int, int, int]], object] | None = None


def crop_by_engine(stream: bytes, box: tuple[int, int, int, int]) -> object:
    """The engine has no call that only cuts out: one output pixel each 64 costs next to nothing beside decoding."""
    y0, x0, y1, x1 = box
    layout = BatchLayout(1, 1, 1, mask=True, dtype="int32")
    jobs, out = np.zeros(1, JOB), np.zeros(1, np.int32)
    jobs[0]["address"], jobs[0]["size"] = address_of(stream), len(stream)
    jobs["box"] = jobs["bounds"] = (x0, y0, x1, y1)
    jobs["height"] = jobs["width"] = 1
    failed = ENGINE.run(jobs, out.ctypes.data, layout, keep_alive=[stream])
    assert not failed, failed
    return out


def formats() -> Iterator[Format]:
    for rows, name in ((STRIP_ROWS, "PNG, strips"), (16, "PNG, strips of 16"), (256, "PNG, strips of 256"), (0, "PNG")):
        yield Format(
            name,
            lambda pixels, rows=rows: encode_png(pixels, strip_rows=rows),
            lambda stream, _: decode_image(stream),
            crop_by_engine,
        )
    for level in (1, 6, 9):
        yield Format(
            f"PNG, strips, level {level}",
            lambda pixels, level=level: encode_png(pixels, strip_rows=STRIP_ROWS, level=level),
            lambda stream, _: decode_image(stream),
            crop_by_engine,
        )
    try:
        import imagecodecs as ic
    except ImportError:
        print("imagecodecs is not installed, so there are no peers: pip install imagecodecs")
        return
    yield Format("PNG by libpng", lambda p: encode_png(p), lambda s, _: ic.png_decode(s))
    yield Format("JPEG 2000", lambda p: ic.jpeg2k_encode(p, level=0, reversible=True), lambda s, _: ic.jpeg2k_decode(s))
    if ic.HTJ2K.available:
        yield Format("HTJ2K", lambda p: ic.htj2k_encode(p, reversible=True), lambda s, _: ic.htj2k_decode(s))
    yield Format("JPEG-LS", ic.jpegls_encode, lambda s, _: ic.jpegls_decode(s))
    yield Format("JPEG XL", lambda p: ic.jpegxl_encode(p, lossless=True, effort=3), lambda s, _: ic.jpegxl_decode(s))
    for codec, pack, unpack in (
        ("LZ4", ic.lz4_encode, lambda s, like: ic.lz4_decode(s, out=like.nbytes)),
        ("zstd", lambda b: ic.zstd_encode(b, level=3), lambda s, like: ic.zstd_decode(s, out=like.nbytes)),
    ):
        yield Format(
            f"{codec}, bits shuffled",
            lambda p, pack=pack: pack(ic.bitshuffle_encode(p.tobytes(), itemsize=2)),
            lambda s, like, unpack=unpack: np.frombuffer(
                ic.bitshuffle_decode(unpack(s, like), itemsize=2), np.uint16
            ).reshape(like.shape),
        )


def synthetic() -> Pixels:
    """A radiograph of 12 bits, 3000 x 2500, with the grain of a sensor."""
    return (paint(3000, colour=False, seed=3)[:, :2500] * 4095).astype(np.uint16)


def dicom_pictures(folder: Path) -> Iterator[tuple[str, Pixels]]:
    """The first frame of every DICOM file of one channel, 16 bits and at least 512 x 512."""
    import pydicom

    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path)
            if dataset.BitsAllocated != 16 or dataset.SamplesPerPixel != 1 or dataset.Rows * dataset.Columns < 2**18:
                continue
            values = dataset.pixel_array
        except Exception as error:  # noqa: BLE001 - whatever a reader says of odd files, they are no part of this
            print(f"skipped {path.name}: {type(error).__name__}")
            continue
        plane = values if values.ndim == 2 else values[0]
        yield path.name, (plane.astype(np.int32) + (SHIFTED if plane.min() < 0 else 0)).astype(np.uint16)


def measure(pixels: Pixels, rounds: int) -> list[dict[str, object]]:
    contestants, rows = [], []
    for entry in formats():
        began = time.perf_counter()
        stream = bytes(entry.encode(pixels))
        seconds = time.perf_counter() - began
        assert np.array_equal(entry.decode(stream, pixels), pixels), entry.name
        contestants.append((entry, stream, seconds))
    height, width = pixels.shape
    box = (height // 4, width // 4, height * 3 // 4, width * 3 // 4)
    whole: dict[str, list[float]] = {entry.name: [] for entry, _, _ in contestants}
    part: dict[str, list[float]] = {entry.name: [] for entry, _, _ in contestants}
    for number in range(rounds):
        for entry, stream, _ in contestants[number % len(contestants) :] + contestants[: number % len(contestants)]:
            whole[entry.name].append(_seconds(lambda entry=entry, stream=stream: entry.decode(stream, pixels)))
            cut = entry.crop
            if cut is not None:
                part[entry.name].append(_seconds(lambda cut=cut, stream=stream: cut(stream, box)))
    for entry, stream, seconds in contestants:
        decode_s = statistics.median(whole[entry.name])
        crop_s = statistics.median(part[entry.name] or whole[entry.name])
        rows.append(
            {
                "format": entry.name,
                "ratio": pixels.nbytes / len(stream),
                "encode_mb_s": pixels.nbytes / seconds / 1e6,
                "decode_mb_s": pixels.nbytes / decode_s / 1e6,
                "crop_ms": crop_s * 1e3,
            }
        )
    return rows


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dicom", type=Path, help="folder of DICOM files, whose 16-bit pictures are measured too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pictures = [("synthetic 3000 x 2500, 12 bits", synthetic())]
    pictures += list(dicom_pictures(options.dicom)) if options.dicom is not None else []
    found = {name: measure(pixels, options.rounds) for name, pixels in pictures}
    if options.json:
        print(json.dumps({"machine": machine(), "pictures": found}, indent=1))
        return
    print(machine())
    for name, rows in found.items():
        base = next((row["decode_mb_s"] for row in rows if row["format"] == "JPEG 2000"), None)
        print(f"\n{name}\n{'':24} {'ratio':>6} {'encode':>8} {'decode':>8}  MB/s  {'crop':>7} ms   of JPEG 2000")
        for row in rows:
            times = f"{row['decode_mb_s'] / base:9.1f} x" if base else ""  # type: ignore[operator]
            print(
                f"{row['format']:24} {row['ratio']:6.2f} {row['encode_mb_s']:8.0f} {row['decode_mb_s']:8.0f}"
                f"        {row['crop_ms']:7.1f} {times:>14}"
            )


if __name__ == "__main__":
    main()
