"""Which patches of a crop a masked autoencoder does not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from medshard.augment.operations import Operation
from medshard.augment.volume.draws import PlacedDraws
from medshard.errors import LoaderError

__all__ = ["PatchMask3D"]


@dataclass(frozen=True)
class PatchMask3D(Operation):
    """Patches that are masked, drawn anew for each crop; the crop itself is not changed.

    The number of masked patches is the same for all crops, so that the visible ones make a tensor (He and others,
    "Masked autoencoders are scalable vision learners", CVPR 2022).

    Args:
        patch_zyx: edges of a patch, in voxels; each divides the crop's.
        ratio: share of masked patches, rounded half up to a whole number of them.
    """

    patch_zyx: Sequence[int] = (16, 16, 16)
    ratio: float = 0.75
    stage: ClassVar[Literal["volume"]] = "volume"

    def __post_init__(self) -> None:
        patch = tuple(self.patch_zyx)
        if len(patch) != 3 or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in patch):
            raise LoaderError(
                f"PatchMask3D: patch_zyx is three whole numbers, each at least 1; found {self.patch_zyx!r}"
            )
        if not 0 <= self.ratio <= 1:
            raise LoaderError(f"PatchMask3D: ratio is a share, 0 to 1; found {self.ratio!r}")

    def grid_zyx(self, size_zyx: tuple[int, int, int]) -> tuple[int, int, int]:
        """Patches an axis of a crop.

        Raises:
            LoaderError: patches do not fill it.
        """
        if any(n % edge for n, edge in zip(size_zyx, self.patch_zyx, strict=True)):
            raise LoaderError(f"PatchMask3D: patches of {tuple(self.patch_zyx)} do not fill a crop of {size_zyx}")
        z, y, x = (n // edge for n, edge in zip(size_zyx, self.patch_zyx, strict=True))
        return z, y, x

    def drawn(self, size_zyx: tuple[int, int, int], drawn: PlacedDraws) -> NDArray[np.bool_]:
        """True where a patch is masked, one entry a patch."""
        grid = self.grid_zyx(size_zyx)
        count = math.prod(grid)
        masked = np.zeros(count, bool)
        order = np.argsort([drawn.uniform(number) for number in range(count)], kind="stable")
        masked[order[: math.floor(count * self.ratio + 0.5)]] = True
        return masked.reshape(grid)
