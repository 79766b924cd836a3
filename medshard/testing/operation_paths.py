"""What does each operation: the registry behind ``medshard ops`` and docs/augment.md, held true by tests."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import Literal

from medshard import augment
from medshard.augment import Operation
from medshard.augment.spatial import Spatial
from medshard.augment.steps import Step
from medshard.engine import STEPS, features
from medshard.testing.operation_examples import EXAMPLES
from medshard.testing.reference_steps import REFERENCES

__all__ = ["OperationPath", "arguments_of", "operation_paths"]

_ORDER = ("volume", "geometry", "neighbourhood", "pointwise")

_ORACLES = {
    "TakeSlice": "nibabel and the zarr package: exact",
    "TakeSlab": "numpy on what nibabel reads: exact, the mean 1e-6",
    "TakeSlices": "nibabel: exact",
    "Montage": "numpy on what nibabel reads: exact",
    "Resize": "torch interpolate(antialias=True), Pillow: 4e-6 of the range",
    "CenterCrop": "torchvision's formula: exact",
    "RandomResizedCrop": "torch interpolate(antialias=True), Pillow: 4e-6 of the range",
    "RandomHorizontalFlip": "torch: exact",
    "RandomVerticalFlip": "torch: exact",
    "Letterbox": "torch interpolate(antialias=True), numpy.pad: 4e-6 of the range",
    "Pad": "numpy.pad: exact",
    "RandomCrop": "numpy.pad: exact",
    "Rot90": "numpy.rot90: exact",
    "RandomRot90": "numpy.rot90: exact",
    "RandomRotation": "torch grid_sample, scipy, OpenCV 1e-6",
    "RandomAffine": "torch grid_sample, scipy, OpenCV 1e-6",
    "ElasticTransform": "scipy map_coordinates 1e-6",
    "MultiCrop": "that of RandomResizedCrop",
    "GaussianBlur": "OpenCV 1e-9, scipy 1e-8, torchvision 1e-6",
    "RandomAdjustSharpness": "torchvision 1e-9, Pillow to its 8 bits",
    "CLAHE": "OpenCV to one step of its 8 bits, scikit-image 1e-9 for one tile",
    "JPEG": "OpenCV and Pillow to one step of 8 bits",
    "Window": "numpy 1e-6",
    "MultiWindow": "numpy 1e-6",
    "PercentileNormalize": "numpy and scikit-image 1e-12",
    "ZScoreNormalize": "torch layer_norm and instance_norm 1e-9",
    "Normalize": "torchvision 1e-9",
    "ColorJitter": "torchvision 1e-12 (brightness), 2e-4 (its luma has 0.2989 for 0.299), 1e-6 (hue); Pillow",
    "RandomGrayscale": "torchvision 1e-4 (its luma has 0.2989 for 0.299), Pillow to its 8 bits",
    "RandomStainJitter": "scikit-image rgb2hed and hed2rgb 1e-9, where no amount is negative",
    "RandomGamma": "torchvision 1e-12, scikit-image 1e-7",
    "RandomInvert": "torchvision 1e-12, Pillow exact",
    "RandomSolarize": "torchvision 1e-12, Pillow exact",
    "RandomPosterize": "torchvision 1e-12, Pillow exact",
    "GaussianNoise": "Random123's known answers of Philox4x32-10; scipy's test of normality",
    "RandomErasing": "torchvision's bounds of area and shape",
}
"""What the numpy reference is compared with, and how far it may be away, for values from 0 to 1."""


@dataclass(frozen=True)
class OperationPath:
    """One operation, and what there is of it.

    Attributes:
        stage: volume, geometry, neighbourhood or pointwise; of volumes: crop, spatial or values.
        arguments: with their defaults.
        values: on which range of values it works, and which it leaves; empty for geometry.
        refused: what of an item's text keeps it from being applied.
        flip_after: a flip may stand after it in the list.
        numpy: the reference in medshard/testing; empty for none.
        cpp: the native engine does it; what is False there is done in Python, once a picture, and touches no pixel.
        simd: the levels that its loops are compiled for.
        cuda: there is a path on the GPU.
        oracle: what the reference is compared with, to which tolerance.
        works_on: pictures or volumes; an operation on both stands in both lists.
    """

    name: str
    stage: str
    arguments: str
    values: str
    refused: str
    flip_after: bool
    numpy: str
    cpp: bool
    simd: tuple[str, ...]
    cuda: bool
    oracle: str
    works_on: Literal["pictures", "volumes"] = "pictures"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def operation_paths() -> list[OperationPath]:
    """Every public operation on pictures, by stage, in the order in which ``medshard.augment`` lists them."""
    kinds = [kind for name in augment.__all__ if isinstance(kind := getattr(augment, name), type)]
    found = [_path_of(kind) for kind in kinds if issubclass(kind, Operation) and kind is not Operation]
    return sorted(found, key=lambda path: _ORDER.index(path.stage))


def _path_of(kind: type[Operation]) -> OperationPath:
    levels = tuple(features()["simd_levels"])
    step = kind if issubclass(kind, Step) else None
    sampled = issubclass(kind, Spatial)
    name = step.kind if step is not None else ""
    reference = REFERENCES.get(name)
    cpp = sampled or name in STEPS
    return OperationPath(
        name=kind.__name__,
        stage=kind.stage,
        arguments=arguments_of(kind),
        values=_values_of(step) if step is not None else "",
        refused=_refused_by(kind, step),
        flip_after=step is not None and step.mirrors,
        numpy=reference.__name__ if reference is not None else "sample_job" if sampled else "",
        cpp=cpp,
        simd=levels if sampled or STEPS.get(name, False) else (),
        cuda=False,  # there is no GPU path of any operation yet
        oracle=_ORACLES.get(kind.__name__, ""),
    )


def arguments_of(kind: type[Operation]) -> str:
    """As they are written, with defaults."""
    signature = inspect.signature(kind)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _values_of(kind: type[Step]) -> str:
    example = next(entry for entry in EXAMPLES if type(entry) is kind)
    assert isinstance(example, Step)
    return {"maps": "stored → 0..1", "unit": "0..1", "any": "any", "ends": "0..1 → any"}[example.role]


def _refused_by(kind: type[Operation], step: type[Step] | None) -> str:
    if step is not None:
        return {"never": "", "intensity": "intensity", "cover": "crop"}[step.refused]
    if kind.__name__.endswith("Flip"):
        return "mirror"
    if "Rot" in kind.__name__ or kind in (augment.RandomAffine, augment.ElasticTransform):
        return "rotate"
    return "crop" if issubclass(kind, Spatial) and kind.crops else ""
