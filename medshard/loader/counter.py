"""Counter-based randomness: a number is a function of (seed, counters) and of nothing else.

The mixing function is the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014; variant 13 of Stafford): a bijection of 64 bits in five operations, the
same in numpy, C++ and CUDA.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold", "mix", "uniform", "uniform_u64", "uniform_u64_array"]

_U64 = np.uint64
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1

Counters: TypeAlias = "NDArray[np.int64] | NDArray[np.uint64] | int"


def mix(value: int) -> int:
    """The finaliser, of one 64-bit integer."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniform_u64(*counters: int) -> int:
    """A 64-bit integer from counters, the seed first; each is folded in with the golden-ratio increment."""
    # The draws of one item differ in the last two counters (operation, number): what is before is folded once.
    return _folded(_folded_once(counters[:-2]), counters[-2:])


def _folded(state: int, counters: tuple[int, ...]) -> int:
    for counter in counters:
        state = mix((state ^ (counter & _MASK)) + _GOLDEN)
    return state


@lru_cache(maxsize=64)
def _folded_once(counters: tuple[int, ...]) -> int:
    return _folded(0, counters)


def uniform(*counters: int) -> float:
    """A number in [0, 1) with 53 random bits."""
    return (uniform_u64(*counters) >> 11) * 2.0**-53


def uniform_u64_array(*counters: Counters) -> NDArray[np.uint64]:
    """``uniform_u64`` for arrays that broadcast together."""
    return fold(np.zeros(1, _U64), *counters)


def fold(state: NDArray[np.uint64], *counters: Counters) -> NDArray[np.uint64]:
    """More counters into what ``uniform_u64_array`` gave for those before them."""
    with np.errstate(over="ignore"):
        for counter in counters:
            folded = _U64(counter & _MASK) if isinstance(counter, int) else counter.astype(_U64)
            state = (state ^ folded) + _U64(_GOLDEN)
            state = (state ^ (state >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> _U64(27))) * _U64(0x94D049BB133111EB)
            state = state ^ (state >> _U64(31))
    return state
