"""What does each operation on crops of volumes: the second half of ``medshard ops``, held true by tests."""

from __future__ import annotations

from medshard.augment import GaussianNoise, Normalize, Operation, PercentileNormalize, RandomInvert, Window
from medshard.augment.pointwise import ZScoreNormalize
from medshard.augment.steps import Step
from medshard.augment.volume import (
    CenterCrop3D,
    Crop3D,
    ElasticTransform3D,
    ForegroundCrop3D,
    GaussianBlur3D,
    GridCrop3D,
    ModalityDropout,
    PatchMask3D,
    RandomAffine3D,
    RandomBiasField,
    RandomBrightness3D,
    RandomContrast3D,
    RandomCrop3D,
    RandomFlip3D,
    RandomGamma3D,
    RandomRot90In3D,
    Resize3D,
    SimulateLowResolution,
    Spacing,
    Views3D,
)
from medshard.augment.volume.intensity import Step3D
from medshard.augment.volume.native import KINDS
from medshard.engine import features
from medshard.testing.operation_paths import OperationPath, arguments_of

__all__ = ["VOLUME_EXAMPLES", "volume_operation_paths"]

VOLUME_EXAMPLES: tuple[Operation, ...] = (
    Views3D(2),
    Spacing((2.0, 1.5, 0.8)),
    RandomCrop3D((12, 20, 24)),
    ForegroundCrop3D((12, 20, 24), foreground=1.0),
    CenterCrop3D((12, 20, 24)),
    GridCrop3D((12, 20, 24), overlap=0.25),
    Resize3D((12, 20, 24)),
    RandomFlip3D(p=1.0),
    RandomRot90In3D("yx"),
    RandomAffine3D(20, scale=(0.8, 1.2)),
    ElasticTransform3D(spacing=8.0, amplitude=3.0),
    Window.ct("soft_tissue"),
    PercentileNormalize(5, 95),
    ZScoreNormalize(),
    Normalize(mean=[0.5], std=[0.25]),
    RandomInvert(p=1.0),
    GaussianNoise(sigma=20.0, clip=False),
    GaussianBlur3D(sigma=1.5),
    RandomBrightness3D((1.2, 1.5), p=1.0),
    RandomContrast3D((1.2, 1.5), p=1.0),
    RandomGamma3D((1.5, 2.0), p=1.0),
    SimulateLowResolution((0.4, 0.5), p=1.0, p_of_channel=1.0),
    RandomBiasField(0.5),
    ModalityDropout(0.5),
    PatchMask3D((4, 4, 4), ratio=0.75),
)
"""One use of each, in the order of the page: crops, what moves voxels, what changes values."""

_CHOICES = (Views3D, ModalityDropout, PatchMask3D)
"""They say what is made, and touch no voxel."""

_ORACLES = {
    "Views3D": "a loader without it: exact",
    "Spacing": "torch interpolate(antialias=True) 1e-8",
    "RandomCrop3D": "numpy: exact",
    "ForegroundCrop3D": "numpy: exact; rates by scipy's binomial test",
    "CenterCrop3D": "numpy: exact",
    "GridCrop3D": "nnU-Net's rule of steps: exact",
    "Resize3D": "torch interpolate(antialias=True) 1e-8",
    "RandomFlip3D": "numpy: exact",
    "RandomRot90In3D": "numpy.rot90 1e-9",
    "RandomAffine3D": "scipy affine_transform, torch grid_sample 1e-8; masks scipy order 0: exact",
    "ElasticTransform3D": "scipy's cubic spline of its lattice 1e-6, map_coordinates",
    "Window": "numpy 1e-12",
    "PercentileNormalize": "numpy.percentile 1e-12",
    "ZScoreNormalize": "torch instance_norm 1e-9",
    "Normalize": "numpy 1e-12",
    "RandomInvert": "numpy: exact",
    "GaussianNoise": "Random123's known answers of Philox4x32-10; scipy's test of normality",
    "GaussianBlur3D": "scipy gaussian_filter 1e-8",
    "RandomBrightness3D": "numpy 1e-12",
    "RandomContrast3D": "torch's arithmetic as in batchgeneratorsv2 1e-9",
    "RandomGamma3D": "torch's arithmetic as in batchgeneratorsv2 1e-8",
    "SimulateLowResolution": "torch interpolate, nearest-exact and trilinear 1e-8",
    "RandomBiasField": "numpy polygrid3d 1e-12",
    "ModalityDropout": "its probability by scipy's binomial test",
    "PatchMask3D": "its number of patches: exact",
}


def volume_operation_paths() -> list[OperationPath]:
    """Every operation of ``compile_volume``: crops, what moves voxels, what changes values."""
    return [_path_of(example) for example in VOLUME_EXAMPLES]


def _path_of(example: Operation) -> OperationPath:
    kind, levels = type(example), tuple(features()["simd_levels"])
    step = example if isinstance(example, (Step, Step3D)) else None
    crop = isinstance(example, (Crop3D, Spacing, Views3D))
    choice = isinstance(example, _CHOICES)
    return OperationPath(
        name=kind.__name__,
        stage="crop" if crop else "values" if step is not None or choice else "spatial",
        arguments=arguments_of(kind),
        values=_values_of(step) if step is not None else "",
        refused=_refused_by(example),
        flip_after=False,
        numpy="reference_steps" if step is not None else "" if choice else "reference_image",
        cpp=not choice and (step is None or step.kind in KINDS),
        simd=() if choice else levels,
        cuda=False,
        oracle=_ORACLES[kind.__name__],
        works_on="volumes",
    )


def _values_of(step: Step | Step3D) -> str:
    if isinstance(step, Step3D):
        return "any"
    return {"maps": "stored → 0..1", "unit": "0..1", "any": "any", "ends": "any → any"}[step.role]


def _refused_by(example: Operation) -> str:
    if isinstance(example, Step):
        return {"never": "", "intensity": "intensity", "cover": "crop"}[example.refused]
    if isinstance(example, Step3D):
        return "intensity"
    if isinstance(example, RandomFlip3D):
        return "mirror"
    if isinstance(example, (RandomRot90In3D, RandomAffine3D)):
        return "rotate"
    return "" if isinstance(example, (Spacing, Resize3D, *_CHOICES)) else "crop"
