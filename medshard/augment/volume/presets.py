"""Recipes that others train with."""

from __future__ import annotations

from collections.abc import Sequence

from medshard.augment.operations import Operation
from medshard.augment.pointwise import GaussianNoise
from medshard.augment.volume.crops import ForegroundCrop3D
from medshard.augment.volume.intensity import (
    GaussianBlur3D,
    RandomBrightness3D,
    RandomContrast3D,
    RandomGamma3D,
    SimulateLowResolution,
)
from medshard.augment.volume.spatial import RandomAffine3D, RandomFlip3D

__all__ = ["nnunet_default"]

_ANISOTROPIC = 3.0
"""Longest over shortest edge of a patch from which nnU-Net turns it in its slices only."""


def nnunet_default(
    patch_size_zyx: Sequence[int], *, before: Sequence[Operation] = (), flip_axes: str = "zyx"
) -> list[Operation]:
    """nnU-Net's default data augmentation of 3D patches.

    A third of the patches around foreground; rotation and scale, each with probability 0.2; noise, blur, brightness,
    contrast, low resolution, gamma of inverted and of plain values; mirroring. A patch that is more than three times as
    long as deep is turned by any angle, but scaled and coarsened in its slices only ("dummy 2D").

    Source: nnU-Net v2, ``nnUNetTrainer.get_training_transforms`` and
    ``configure_rotation_dummyDA_mirroring_and_inital_patch_size``, with batchgeneratorsv2's transforms; Isensee and
    others, Nature Methods 2021, supplementary note 4. What differs:

    - What a rotation turns in from beyond the patch is always read; outside the volume lies its least value, not 0.
    - Each patch draws by itself whether it holds foreground; there a fixed part of every batch does.
    - The logarithm of the magnification is uniform, within the same bounds; there its inverse is.
    - Channels have noise of their own, of one deviation; there they share the noise.
    - Kernels of the blur reach four deviations to each side; there they have three to seven voxels.
    - Masks take the nearest label; there labels are interpolated one by one.
    - Mirroring comes before the steps on values, which do not care.

    Args:
        patch_size_zyx: of the output.
        before: steps on values that come first, such as a window or ZScoreNormalize.
        flip_axes: that may be mirrored.
    """
    z, y, x = patch_size_zyx
    in_plane = max(y, x) / z > _ANISOTROPIC
    # All axes of an isotropic patch turn by up to 30 degrees; in the plane of slices by any angle.
    turn = RandomAffine3D(
        degrees_zyx=180.0 if in_plane else 30.0,
        scale=(1 / 1.4, 1 / 0.7),  # 0.7 to 1.4 there is what a voxel's edge becomes
        in_plane=in_plane,
        p_rotate=0.2,
        p_scale=0.2,
    )
    return [
        ForegroundCrop3D((z, y, x), foreground=1 / 3),
        turn,
        RandomFlip3D(flip_axes),
        *before,
        GaussianNoise(sigma=(0.0, 0.1), clip=False, p=0.1),
        GaussianBlur3D((0.5, 1.0), per_axis=True, p=0.2, p_of_channel=0.5),
        RandomBrightness3D((0.75, 1.25), p=0.15),
        RandomContrast3D((0.75, 1.25), p=0.15),
        SimulateLowResolution((0.5, 1.0), in_plane=in_plane, p=0.25, p_of_channel=0.5),
        RandomGamma3D((0.7, 1.5), invert=True, p=0.1),
        RandomGamma3D((0.7, 1.5), p=0.3),
    ]
