"""Where inner chunks lie in their shard, so that a box is a few runs of bytes.

Along x run *beams* of 3 x 3 chunks (z, y); within a beam the chunks of one x lie together. A crop whose edge is four
chunks, as one of 96 voxels nearly always is in chunks of 32, then touches two beams an axis, whatever the shape of the
volume: four runs. Measured by ``benchmarks/chunk_order.py``, 96^3 crops at random places and planes of z, as
``volumes.plan`` reads them from afar: requests (median, most), and bytes read to bytes of the chunks that are needed.

===============  ================  ================  ================  ================
order            crop, CT          crop, 512^3       plane, CT         plane, 512^3
===============  ================  ================  ================  ================
beams of 3 x 3   4 (7), 1.87       4 (7), 1.91       2 (2), 2.80       2 (2), 2.85
y, x, z          4 (4), 1.58       16 (16), 1.00     4 (4), 6.90       256 (256), 1.00
z, y, x          16 (16), 1.00     16 (16), 1.00     1 (1), 1.00       1 (1), 1.00
Morton           4 (18), 1.69      4 (18), 1.72      16 (16), 1.68     16 (16), 1.75
===============  ================  ================  ================  ================

The CT has 211 x 512 x 512 voxels. Beams bound the requests for every shape, at less than twice a crop's bytes on
average; Morton reads a tenth less, and asks up to 18 times.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["ORDER", "chunk_order"]

ORDER = "beams-3"
"""Name of this order in the metadata; the index of volumes holds only sizes, from which it gives the offsets."""

_BEAM = 3


@lru_cache(maxsize=64)
def chunk_order(grid: tuple[int, ...], axes: tuple[str, ...]) -> NDArray[np.int64]:
    """The chunks of a shard in the order of the file.

    Times lie one after another; the channels of one place lie together, since they are read together.

    Args:
        grid: chunks an axis.
        axes: letters, one an axis, the last three z, y, x.

    Returns:
        (chunks,): numbers of the chunks in C order. Not to be written to.
    """
    places = np.indices(grid).reshape(len(grid), -1)
    z, y, x = places[-3:]
    keys = [z // _BEAM, y // _BEAM, x, y, z]
    for place, axis in zip(places[:-3], axes[:-3], strict=True):
        keys = [*keys, place] if axis == "c" else [place, *keys]
    order = np.lexsort(keys[::-1]).astype(np.int64)
    order.flags.writeable = False
    return order
