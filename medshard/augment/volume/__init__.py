"""Operations on crops of volumes, as data; see docs/volumes.md."""

from medshard.augment.volume.apply import deliver, deliver_mask
from medshard.augment.volume.compile import (
    CompiledVolume,
    DrawnStep,
    compile_volume,
    draw_steps,
    draw_volume,
    is_volume_transform,
)
from medshard.augment.volume.coordinates import to_crop, to_stored
from medshard.augment.volume.crops import (
    CenterCrop3D,
    Crop3D,
    ForegroundCrop3D,
    GridCrop3D,
    RandomCrop3D,
    Resize3D,
    Spacing,
)
from medshard.augment.volume.draws import CropDraws
from medshard.augment.volume.geometry import Elastic3D, VolumeGeometry
from medshard.augment.volume.intensity import (
    GaussianBlur3D,
    ModalityDropout,
    RandomBiasField,
    RandomBrightness3D,
    RandomContrast3D,
    RandomGamma3D,
    SimulateLowResolution,
)
from medshard.augment.volume.masking import PatchMask3D
from medshard.augment.volume.presets import nnunet_default
from medshard.augment.volume.spatial import Allowed, ElasticTransform3D, RandomAffine3D, RandomFlip3D, RandomRot90In3D
from medshard.augment.volume.stitching import WindowAccumulator, stitch, window_weights
from medshard.augment.volume.views import Views3D

__all__ = [
    "Allowed",
    "CenterCrop3D",
    "CompiledVolume",
    "Crop3D",
    "CropDraws",
    "DrawnStep",
    "Elastic3D",
    "ElasticTransform3D",
    "ForegroundCrop3D",
    "GaussianBlur3D",
    "GridCrop3D",
    "ModalityDropout",
    "PatchMask3D",
    "RandomAffine3D",
    "RandomBiasField",
    "RandomBrightness3D",
    "RandomContrast3D",
    "RandomCrop3D",
    "RandomFlip3D",
    "RandomGamma3D",
    "RandomRot90In3D",
    "Resize3D",
    "SimulateLowResolution",
    "Spacing",
    "Views3D",
    "VolumeGeometry",
    "WindowAccumulator",
    "compile_volume",
    "deliver",
    "deliver_mask",
    "draw_steps",
    "draw_volume",
    "is_volume_transform",
    "nnunet_default",
    "stitch",
    "to_crop",
    "to_stored",
    "window_weights",
]
