"""In which order chunks lie in a shard, and what a crop from afar then costs.

    python benchmarks/chunk_order.py

No file is made: chunks have the sizes that LZ4HC gives chunks of CT on average, with their spread. For each order and
shape it tells requests (median, most) and bytes read to bytes of the chunks needed (mean, most) of random 96^3 crops
and of planes, as ``medshard.volumes.plan`` reads them from S3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medshard.volumes.order import chunk_order
from medshard.volumes.plan import REMOTE_READS, plan_ranges

INNER, CROPS = 32, 400
Order = Callable[[tuple[int, ...]], NDArray[np.int64]]


def by_keys(*names: str) -> Order:
    def order(grid: tuple[int, ...]) -> NDArray[np.int64]:
        places = dict(zip("zyx", np.indices(grid).reshape(3, -1), strict=True))
        return np.lexsort([places[name] for name in reversed(names)])

    return order


def morton(grid: tuple[int, ...]) -> NDArray[np.int64]:
    z, y, x = np.indices(grid).reshape(3, -1)
    key = sum(((axis >> bit & 1) << (3 * bit + place)) for bit in range(10) for place, axis in enumerate((x, y, z)))
    return np.argsort(key, kind="stable")


ORDERS: dict[str, Order] = {
    "beams of 3 x 3": lambda grid: chunk_order(grid, ("z", "y", "x")),
    "columns (y, x, z)": by_keys("y", "x", "z"),
    "rows (z, y, x)": by_keys("z", "y", "x"),
    "Morton": morton,
}


def main() -> None:
    numbers = np.random.default_rng(0)
    for shape in ((211, 512, 512), (512, 512, 512), (180, 256, 256)):
        grid = tuple(-(-length // INNER) for length in shape)
        sizes = numbers.normal(33_000, 8_000, int(np.prod(grid))).clip(1_000).astype(np.int64)
        print(" x ".join(map(str, shape)))
        for name, order in ORDERS.items():
            placed = order(grid)
            offsets = np.empty(len(sizes), np.int64)
            offsets[placed] = np.cumsum(sizes[placed]) - sizes[placed]
            crops = told(shape, grid, offsets, sizes, (96, 96, 96))
            planes = told(shape, grid, offsets, sizes, (1, shape[1], shape[2]))
            print(f"  {name:20} crop {crops}   plane {planes}")


def told(
    shape: tuple[int, ...],
    grid: tuple[int, ...],
    offsets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    size: tuple[int, ...],
) -> str:
    numbers, requests, shares = np.random.default_rng(1), [], []
    for _ in range(CROPS):
        start = [int(numbers.integers(0, n - edge + 1)) for n, edge in zip(shape, size, strict=True)]
        spans = (np.arange(s // INNER, -(-(s + n) // INNER)) for s, n in zip(start, size, strict=True))
        chunks = np.ravel_multi_index(np.ix_(*spans), grid).ravel()
        begin, end = plan_ranges(offsets[chunks], sizes[chunks], REMOTE_READS)
        requests.append(len(begin))
        shares.append((end - begin).sum() / sizes[chunks].sum())
    asked = f"{np.median(requests):4.0f} requests (most {max(requests):3})"
    return f"{asked}, {np.mean(shares):.2f} times (most {max(shares):.2f})"


if __name__ == "__main__":
    main()
