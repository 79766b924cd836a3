"""Inner chunks of a CT-like volume in the codecs that they could have: ratio, and how fast a box becomes float32.

python benchmarks/volume_codecs.py
"""

from __future__ import annotations

import itertools
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.engine import address_of
from medshard.volumes.layout import CODEC, INNER, LEVEL
from medshard.volumes.native import PIECE, Mapping, crop_record, place_pieces

SHAPE = (96, 256, 256)
CODECS = (("zstd", 1), ("zstd", 5), ("lz4", 5), ("lz4hc", 5), ("lz4hc", 9))
SHUFFLES = ((1, "bytes"), (2, "bits"))
ROUNDS = 9


def ct() -> NDArray[np.int16]:
    """Soft tissue with smooth structure and the grain of a scanner, HU."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 1, tuple(-(-edge // 8) + 1 for edge in SHAPE))
    smooth = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    for axis in range(3):
        smooth = sum(np.roll(smooth, shift, axis) for shift in range(-4, 5)) / 9
    return np.rint(45 + 60 * smooth + rng.normal(0, 18, SHAPE)).astype(np.int16)


def main() -> None:
    """Print a line a codec; what a round takes is told as the median."""
    voxels = ct()
    places = list(itertools.product(*(range(0, edge, INNER) for edge in SHAPE)))
    out = np.empty(SHAPE, np.float32)
    crop = crop_record(SHAPE, (INNER,) * 3, "int16", Mapping(1 / 2000, 0.5, 0.0, 1.0), (False, False, False))
    crop["out"] = out.ctypes.data
    expected = np.clip(voxels.astype(np.float32) * np.float32(1 / 2000) + np.float32(0.5), 0, 1)
    contestants = {}
    for (codec, level), (shuffle, named) in itertools.product(CODECS, SHUFFLES):
        packed = [
            _engine.pack_chunk(
                np.ascontiguousarray(voxels[z : z + INNER, y : y + INNER, x : x + INNER]).data, 2, codec, level, shuffle
            )
            for z, y, x in places
        ]
        pieces = np.zeros(len(places), PIECE)
        pieces["address"] = [address_of(chunk) for chunk in packed]
        pieces["size"], pieces["origin"] = [len(chunk) for chunk in packed], places
        contestants[f"{codec}-{level}, {named}"] = (packed, pieces, [])
    for _ in range(ROUNDS):
        for packed, pieces, seconds in contestants.values():
            began = time.perf_counter()
            place_pieces(crop, pieces, "memory")
            seconds.append(time.perf_counter() - began)
            assert np.array_equal(out, expected)
            del packed
    print(f"{'codec, shuffle':<18}{'ratio':>7}{'MB/s of int16':>15}   (in use: {CODEC}-{LEVEL}, bits)")
    for name, (packed, _, seconds) in contestants.items():
        ratio = voxels.nbytes / sum(map(len, packed))
        print(f"{name:<18}{ratio:>7.2f}{voxels.nbytes / statistics.median(seconds) / 1e6:>15.0f}")


if __name__ == "__main__":
    main()
