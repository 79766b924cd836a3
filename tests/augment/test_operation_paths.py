"""``medshard ops`` tells the truth: what it says there is of an operation is there, and works."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import medshard.augment as augment
import medshard.augment.volume as volume
from medshard.augment import Operation, Resize
from medshard.augment.planes import Planes
from medshard.augment.steps import Step
from medshard.augment.volume.compile import SHARED_STEPS
from medshard.cli.ops import command
from medshard.engine import features
from medshard.loader.draws import VolumeCropDraws
from medshard.testing import (
    reference,
    reference_geometry,
    reference_neighbourhood,
    reference_values,
    reference_volume,
)
from medshard.testing.operation_examples import EXAMPLES
from medshard.testing.operation_paths import operation_paths
from medshard.testing.preview import preview
from medshard.testing.volume_operations import VOLUME_EXAMPLES, volume_operation_paths
from medshard.volumes.foreground import index_foreground

PATHS = {path.name: path for path in operation_paths()}
VOLUME_PATHS = {path.name: path for path in volume_operation_paths()}
PICTURE = np.random.default_rng(0).integers(0, 256, (200, 180, 3)).astype(np.uint8)
SIZED = {"Resize", "Letterbox", "CenterCrop", "RandomCrop", "RandomResizedCrop", "MultiCrop"}


def test_every_public_operation_is_listed_once_and_has_an_oracle() -> None:
    public = {kind.__name__ for kind in vars(augment).values() if inspect.isclass(kind) and issubclass(kind, Operation)}
    assert PATHS.keys() == public - {"Operation"}
    assert len(operation_paths()) == len(PATHS)
    assert [name for name, path in PATHS.items() if not path.oracle] == []


def test_every_operation_on_pixels_is_done_by_the_engine_and_has_a_reference() -> None:
    modules = (reference, reference_geometry, reference_values, reference_neighbourhood)
    for name, path in PATHS.items():
        if path.stage == "volume":  # says which planes are read; numpy puts them together
            assert not path.cpp
            continue
        assert path.cpp, name
        assert any(path.numpy in module.__all__ for module in modules), name


@pytest.mark.parametrize("operation", EXAMPLES, ids=lambda operation: type(operation).__name__)
def test_an_operation_that_has_a_native_path_changes_the_picture_on_it(operation: Operation) -> None:
    if isinstance(operation, Planes):
        return
    name = type(operation).__name__
    size = (96, 96) if "Rot90" in name else (96, 80)
    listed = [operation] if name in SIZED else [Resize(size), operation]
    seen = preview(PICTURE, listed)
    still = preview(PICTURE, [Resize(seen.shape[1:])])
    if name == "Resize":
        assert seen.shape == (3, 160, 120)
    else:
        assert abs(seen - still).mean() > 0.002, "it does nothing"


def test_simd_is_said_of_loops_that_are_compiled_for_each_level() -> None:
    levels = tuple(features()["simd_levels"])
    assert {path.simd for path in PATHS.values()} == {levels, ()}
    volume = {name for name, path in PATHS.items() if path.stage == "volume"}
    assert {name for name, path in PATHS.items() if not path.simd} == volume | {"CLAHE", "JPEG", "RandomErasing"}
    assert not any(path.cuda for path in PATHS.values()) or features()["cuda"]


def test_the_command_prints_a_line_an_operation() -> None:
    printed = CliRunner().invoke(command, []).output.splitlines()
    second = 1 + len(PATHS)
    for place, title in ((0, "pictures"), (second, "volumes")):
        assert printed[place].split() == ["on", title, "stage", "numpy", "reference", "C++", "SIMD", "CUDA"]
    assert [line.split()[0] for line in printed[1:second]] == list(PATHS)
    assert [line.split()[0] for line in printed[second + 1 :]] == list(VOLUME_PATHS)
    stages = [line.split()[1] for line in printed[1:second]]
    assert stages == sorted(stages, key=["volume", "geometry", "neighbourhood", "pointwise"].index)
    stages = [line.split()[1] for line in printed[second + 1 :]]
    assert stages == sorted(stages, key=["crop", "spatial", "values"].index)


def test_every_operation_on_volumes_is_listed_and_is_done_by_the_engine() -> None:
    public = {kind for kind in vars(volume).values() if inspect.isclass(kind) and issubclass(kind, Operation)}
    assert VOLUME_PATHS.keys() == {kind.__name__ for kind in {*public, *SHARED_STEPS} - {volume.Crop3D}}
    assert len(volume_operation_paths()) == len(VOLUME_PATHS)
    for name, path in VOLUME_PATHS.items():
        assert path.oracle, name
        if name in ("Views3D", "ModalityDropout", "PatchMask3D"):  # they say what is made; no voxel is touched
            assert not path.cpp
            continue
        assert path.cpp, name
        assert path.numpy in reference_volume.__all__, name
        assert path.simd == tuple(features()["simd_levels"])


@pytest.mark.parametrize("operation", VOLUME_EXAMPLES, ids=lambda operation: type(operation).__name__)
def test_an_operation_on_volumes_changes_the_crop_on_its_native_path(operation: Operation) -> None:
    if isinstance(operation, (volume.Views3D, volume.ModalityDropout, volume.PatchMask3D)):
        return
    stored = np.random.default_rng(0).integers(-300, 700, (1, 24, 40, 44)).astype(np.int16)
    still = [volume.CenterCrop3D((12, 24, 24))]
    is_crop = isinstance(operation, volume.Crop3D)
    listed = [operation] if is_crop else sorted([*still, operation], key=lambda op: not isinstance(op, volume.Spacing))
    seen, plain = (deliver_all(operations, stored) for operations in (listed, still))
    if is_crop:
        assert seen.shape == (1, 12, 20, 24)
        assert type(operation) is volume.Resize3D or set(np.unique(seen)) <= set(np.unique(stored))
    else:
        assert abs(seen - plain).mean() > 0.002, "it does nothing"


def deliver_all(operations: list[Operation], stored: NDArray[np.int16]) -> NDArray[np.float32]:
    """One crop that is drawn."""
    compiled, draws = volume.compile_volume(operations), VolumeCropDraws(1, 0, 3, 0)
    marked = index_foreground((stored > 600).astype(np.uint8)[0]) if compiled.needs_foreground else None
    geometry = volume.draw_volume(
        compiled,
        stored.shape,
        draws,
        spacing_zyx_mm=(1.0, 1.0, 1.0),
        foreground=marked,
        window=0 if compiled.grid is not None else None,
    )
    start, size = geometry.source_box(stored.shape)
    box = stored[(slice(None), *(slice(s, s + n) for s, n in zip(start, size, strict=True)))]
    out = np.empty((1, *geometry.size_zyx), np.float32)
    volume.deliver(geometry, volume.draw_steps(compiled, draws, 1), box, start, out)
    return out


def test_the_command_prints_json() -> None:
    told = json.loads(CliRunner().invoke(command, ["--json"]).output)
    by_name = {entry["name"]: entry for entry in told if entry["works_on"] == "pictures"}
    assert by_name.keys() == PATHS.keys()
    assert {entry["name"] for entry in told if entry["works_on"] == "volumes"} == VOLUME_PATHS.keys()
    blur = by_name["GaussianBlur"]
    assert (blur["stage"], blur["numpy"], blur["cpp"], blur["cuda"]) == ("neighbourhood", "gaussian_blur", True, False)
    assert (blur["values"], blur["refused"], blur["flip_after"]) == ("any", "intensity", True)
    assert by_name["RandomErasing"]["refused"] == "crop"
    assert by_name["Window"]["values"] == "stored → 0..1"
    steps = {type(operation).__name__ for operation in EXAMPLES if isinstance(operation, Step)}
    assert {name for name, entry in by_name.items() if entry["values"]} == steps
