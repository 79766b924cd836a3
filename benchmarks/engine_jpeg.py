"""JPEG decoding alone, one thread: the engine's own decoder, its libjpeg-turbo path, and simplejpeg where installed.

    python benchmarks/engine_jpeg.py [--json] [--seconds 30] [FILE.jpg ...]

Without files, generated pictures. A *crop* is the middle half of each edge; libjpeg-turbo gives all rows above and
columns beside it too. *indexed* decodes the same crop of the same pictures after ``index_jpeg``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from interleaved import race, versions
from machine import machine
from pictures import jpeg, paint

from medshard import _engine
from medshard.engine import MAX_PIXELS, features, index_jpeg, read_header

Decode = Callable[[bytes], object]
Region = tuple[int, int, int, int]

AS_MARKED = 0
ALL: Region = (0, 0, 0, 0)


def middle(stream: bytes, reduce: int) -> Region:
    told = read_header(stream)
    width, height = told.width // reduce, told.height // reduce
    return (width // 4, height // 4, width * 3 // 4, height * 3 // 4)


def by_engine(*, own: bool, reduce: int, crop: bool) -> Decode:
    def decode(stream: bytes) -> object:
        region = middle(stream, reduce) if crop else ALL
        return _engine.decode_part(stream, reduce, region, AS_MARKED, own, MAX_PIXELS)

    return decode


def by_simplejpeg(*, reduce: int) -> Decode:
    import simplejpeg  # type: ignore[import-not-found, unused-ignore]

    def decode(stream: bytes) -> object:
        space = "GRAY" if read_header(stream).channels == 1 else "RGB"
        return simplejpeg.decode_jpeg(stream, space, min_factor=reduce if reduce > 1 else 1)

    return decode


def timed(decode: Decode, streams: Sequence[bytes]) -> Callable[[], tuple[int, float]]:
    def run() -> tuple[int, float]:
        begin = time.perf_counter()
        for stream in streams:
            decode(stream)
        return len(streams), time.perf_counter() - begin

    return run


def contestants(streams: Sequence[bytes]) -> dict[str, Callable[[], tuple[int, float]]]:
    found = {}
    for size, reduce in (("full", 1), ("half", 2)):
        for crop in (False, True):
            for name, own in (("own", True), ("libjpeg", False)):
                found[f"{size}{' crop' if crop else ''} {name}"] = timed(
                    by_engine(own=own, reduce=reduce, crop=crop), streams
                )
    indexed = [index_jpeg(stream) for stream in streams]
    found["full crop indexed"] = timed(by_engine(own=True, reduce=1, crop=True), indexed)
    if find_spec("simplejpeg"):
        found["full simplejpeg"] = timed(by_simplejpeg(reduce=1), streams)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    if arguments.files:
        cases = {"files": [path.read_bytes() for path in arguments.files]}
    else:
        cases = {
            f"1024² {'colour' if colour else 'grey'}": [jpeg(paint(1024, colour=colour, seed=n)) for n in range(4)]
            for colour in (False, True)
        }
    told = []
    for case, streams in cases.items():
        rates = race(contestants(streams), budget_s=arguments.seconds / len(cases))
        pairs = [(f"{kind} own", f"{kind} libjpeg") for kind in ("full", "half", "full crop", "half crop")]
        pairs.append(("full crop indexed", "full crop own"))
        if "full simplejpeg" in rates.of:
            pairs.append(("full own", "full simplejpeg"))
        for name, peer in pairs:
            told.append(
                {
                    "pictures": case,
                    "contestant": name,
                    "per_s": round(rates.median(name), 1),
                    "peer": peer,
                    "peer_per_s": round(rates.median(peer), 1),
                    "ratio": rates.ratio(name, peer),
                }
            )
    if arguments.json:
        print(json.dumps({"machine": machine(), "features": features(), "versions": versions("numpy"), "rows": told}))
        return
    print(machine(), features()["simd"])
    for row in told:
        spread = row["ratio"]
        rate, other = f"{row['contestant']} {row['per_s']} /s", f"{row['peer']} {row['peer_per_s']} /s"
        print(f"{row['pictures']:13} {rate:27} {other:27} x{spread['median']} [{spread['lowest']}-{spread['highest']}]")


if __name__ == "__main__":
    main()
