"""Where inner chunks lie in their shard, so that a box is a few runs of bytes.

Along x run *beams* of 3 x 3 chunks (z, y); within a beam the chunks of one x lie together. A crop whose edge is four
chunks, as one of 96 voxels nearly always is in chunks of 32, then touches two beams an axis, whatever the shape of the
volume: four runs. Measured by ``benchmarks/chunk_order.py``, 96^3 crops at random places of a painted CT of 211 x 512 x
512 / of any 512^3, with at most four requests, bytes read to bytes of the chunks that are needed:

====================  =====  =====  ==========================================
order                 CT     512^3  z planes of the CT
====================  =====  =====  ==========================================
beams of 3 x 3        1.87   1.91   2.9
beams of 4 x 4        2.06   2.43   3.5
y, x, z (columns)     1.52   3.25   6.7, the whole volume
Hilbert               2.03   2.97   3.6
Morton                2.64   3.76   3.1
shards of 256^3       2.70   3.8    3.1, and requests of several files
====================  =====  =====  ==========================================

Columns read least where the short axis has up to 10 chunks, but three times a crop's bytes in cubes and everything
for a plane; beams stay below 2 for every shape.
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
