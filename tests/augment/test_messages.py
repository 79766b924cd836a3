"""Names and arguments are torchvision v2's, and what makes no sense is refused with what would."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from applied import draw

import medshard.augment as augment
from medshard.augment import (
    CenterCrop,
    ElasticTransform,
    Letterbox,
    Montage,
    MultiCrop,
    MultiWindow,
    Normalize,
    Operation,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRot90,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    Rot90,
    TakeSlab,
    TakeSlice,
    TakeSlices,
    Window,
    compile_operations,
)
from medshard.errors import LoaderError
from medshard.testing.operation_examples import EXAMPLES

# torchvision.transforms.v2, 0.16 to 0.24: arguments in their order, with defaults. Left out there and here:
# interpolation and antialias (always bilinear and antialiased), inplace (never).
TORCHVISION: dict[str, dict[str, Any]] = {
    "Resize": {"size": inspect.Parameter.empty, "max_size": None},
    "Pad": {"padding": inspect.Parameter.empty, "fill": 0, "padding_mode": "constant"},
    "RandomCrop": {
        "size": inspect.Parameter.empty,
        "padding": None,
        "pad_if_needed": False,
        "fill": 0,
        "padding_mode": "constant",
    },
    "RandomRotation": {"degrees": inspect.Parameter.empty, "expand": False, "center": None, "fill": 0},
    "RandomAffine": {
        "degrees": inspect.Parameter.empty,
        "translate": None,
        "scale": None,
        "shear": None,
        "fill": 0,
        "center": None,
    },
    "ElasticTransform": {"alpha": 50.0, "sigma": 5.0, "fill": 0},
    "CenterCrop": {"size": inspect.Parameter.empty},
    "RandomResizedCrop": {"size": inspect.Parameter.empty, "scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)},
    "RandomHorizontalFlip": {"p": 0.5},
    "RandomVerticalFlip": {"p": 0.5},
    "Normalize": {"mean": inspect.Parameter.empty, "std": inspect.Parameter.empty},
}
LEFT_OUT = {"interpolation", "antialias", "inplace"}

OWN = {"mask_fill": 0, "padding_mode": "constant"}
"""Arguments beyond torchvision's, which come last."""


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_arguments_and_defaults_are_torchvisions(name: str) -> None:
    parameters = inspect.signature(getattr(augment, name)).parameters
    ours = {key: parameter.default for key, parameter in parameters.items()}
    theirs = TORCHVISION[name]
    assert list(ours)[: len(theirs)] == list(theirs)
    assert {key: ours[key] for key in theirs} == theirs
    assert all(ours[key] == OWN[key] for key in list(ours)[len(theirs) :])


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_table_above_is_what_an_installed_torchvision_says(name: str) -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2")
    parameters = inspect.signature(getattr(v2, name)).parameters
    told = {key: parameter.default for key, parameter in parameters.items() if key not in LEFT_OUT}
    assert told == TORCHVISION[name]


def test_every_operation_is_a_frozen_record_that_pickles() -> None:
    public = {kind for kind in vars(augment).values() if isinstance(kind, type) and issubclass(kind, Operation)}
    assert {type(operation) for operation in EXAMPLES} == public - {Operation}
    for operation in EXAMPLES:
        assert pickle.loads(pickle.dumps(operation)) == operation
        name = next((field.name for field in dataclasses.fields(operation)), "p")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(operation, name, None)


SIZE_RULE = "size is a whole number or (height, width), each at least 1; found "


@pytest.mark.parametrize("kind", [Resize, CenterCrop, RandomResizedCrop, RandomCrop, Letterbox])
@pytest.mark.parametrize("size", [0, -3, (0, 5), (5, -1), (1, 2, 3), (), 2.5, (2.5, 3), "224", None, True, (4, True)])
def test_a_size_that_is_none_is_refused(kind: Callable[[Any], Operation], size: Any) -> None:
    with pytest.raises(LoaderError) as failed:
        kind(size)
    assert str(failed.value) == f"{kind.__name__}: {SIZE_RULE}{size!r}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resize((4, 4), max_size=9), "Resize: max_size goes with a single size, not with (height, width)"),
        (lambda: Resize(9, max_size=9), "Resize: max_size bounds the longer edge and is above size, 9; found 9"),
        (lambda: Resize(9, max_size=2.5), "Resize: max_size bounds the longer edge and is above size, 9; found 2.5"),
        (
            lambda: RandomResizedCrop(9, scale=(0.0, 1.0)),
            "RandomResizedCrop: scale is (lowest, highest), both above 0; found (0.0, 1.0)",
        ),
        (
            lambda: RandomResizedCrop(9, scale=(0.6, 0.5)),
            "RandomResizedCrop: scale is (lowest, highest), both above 0; found (0.6, 0.5)",
        ),
        (
            lambda: RandomResizedCrop(9, scale=0.5),
            "RandomResizedCrop: scale is (lowest, highest), both above 0; found 0.5",
        ),
        (
            lambda: RandomResizedCrop(9, scale=(0.5, 1.5)),
            "RandomResizedCrop: scale is a share of the area, at most 1; found (0.5, 1.5)",
        ),
        (
            lambda: RandomResizedCrop(9, ratio=(0.5, float("inf"))),
            "RandomResizedCrop: ratio is (lowest, highest), both above 0; found (0.5, inf)",
        ),
        (
            lambda: RandomResizedCrop(9, ratio=(float("nan"), 1)),
            "RandomResizedCrop: ratio is (lowest, highest), both above 0; found (nan, 1)",
        ),
        (lambda: RandomHorizontalFlip(1.5), "RandomHorizontalFlip: p lies between 0 and 1; found 1.5"),
        (lambda: RandomVerticalFlip(-0.1), "RandomVerticalFlip: p lies between 0 and 1; found -0.1"),
        (lambda: RandomVerticalFlip(float("nan")), "RandomVerticalFlip: p lies between 0 and 1; found nan"),
        (lambda: Resize(None, max_size=0), "Resize: max_size is a whole number, at least 1; found 0"),
        (
            lambda: Pad(-1),
            "Pad: padding is a whole number, (left and right, top and bottom) or (left, top, right, "
            "bottom), none below 0; found -1",
        ),
        (
            lambda: RandomCrop(8, padding=(1, 2, 3)),
            "RandomCrop: padding is a whole number, (left and right, top and "
            "bottom) or (left, top, right, bottom), none below 0; found (1, 2, 3)",
        ),
        (lambda: Pad(1, padding_mode="wrap"), "Pad: padding_mode is constant, edge or reflect; found 'wrap'"),
        (lambda: Letterbox(8, fill=float("nan")), "Letterbox: fill is a number, 0 to 1 after the window; found nan"),
        (lambda: Rot90(4), "Rot90: turns is 0, 1, 2 or 3; found 4"),
        (lambda: RandomRot90(()), "RandomRot90: turns lists numbers from 0 to 3; found ()"),
        (
            lambda: RandomRotation((5, -5)),
            "RandomRotation: degrees is (lowest, highest), or d from 0 on for (-d, d); found (5, -5)",
        ),
        (lambda: RandomRotation(5, center=3), "RandomRotation: center is (x, y) in pixels of the frame; found 3"),
        (
            lambda: RandomRotation(5, expand=True, center=(0, 0)),
            "RandomRotation: expand turns about the middle; leave center out",
        ),
        (
            lambda: RandomAffine(0, translate=(0.1, 1.1)),
            "RandomAffine: translate is two shares from 0 to 1, x and y; found (0.1, 1.1)",
        ),
        (lambda: RandomAffine(0, scale=(0, 1)), "RandomAffine: scale is (lowest, highest), both above 0; found (0, 1)"),
        (
            lambda: RandomAffine(0, shear=(5, 90)),
            "RandomAffine: shear lies between -90 and 90 degrees, lowest first; found (5, 90)",
        ),
        (lambda: ElasticTransform(-1.0), "ElasticTransform: alpha lies between 0 and 100000; found -1.0"),
        (lambda: ElasticTransform(sigma=0.5), "ElasticTransform: sigma lies between 1 and 10000 pixels; found 0.5"),
        (lambda: ElasticTransform(sigma="a"), "ElasticTransform: sigma is a number, or two for x and y; found 'a'"),
        (lambda: MultiCrop(n_global=0), "MultiCrop: n_global is a whole number from 1 to 64; found 0"),
        (
            lambda: MultiCrop(local_scale=(0.5, 2.0)),
            "RandomResizedCrop: scale is a share of the area, at most 1; found (0.5, 2.0)",
        ),
        (lambda: Window(5, 5), "Window: low is below high; found 5, 5"),
        (lambda: Normalize([0.5] * 2, [0.5] * 2), "Normalize: mean and std have one number, or one a channel (three)"),
        (lambda: Normalize([0.5], [0.5] * 3), "Normalize: mean and std have one number, or one a channel (three)"),
        (lambda: Normalize([0.5], [0.0]), "Normalize: std is above 0; found (0.0,)"),
        (lambda: TakeSlice("t"), "TakeSlice: axis is z, y, x, axial, coronal or sagittal; found 't'"),
        (
            lambda: TakeSlice(index="last"),
            "TakeSlice: index is middle, random, foreground or a whole number; found 'last'",
        ),
        (
            lambda: TakeSlice(orientation="neurological"),
            "TakeSlice: orientation is stored or radiological; found 'neurological'",
        ),
        (
            lambda: TakeSlab(slices=3, thickness_mm=5.0),
            "TakeSlab: give slices or thickness_mm, one of the two",
        ),
        (lambda: TakeSlab(slices=0), "TakeSlab: slices is 1 or more; found 0"),
        (lambda: TakeSlab(thickness_mm=0.0), "TakeSlab: thickness_mm is above 0; found 0.0"),
        (lambda: TakeSlab(reduce="median"), "TakeSlab: reduce is mean, max or min; found 'median'"),
        (lambda: TakeSlices(count=0), "TakeSlices: count is a whole number of 1 or more, or all; found 0"),
        (lambda: TakeSlices(shown_as="film"), "TakeSlices: shown_as is images or video; found 'film'"),
        (lambda: Montage(rows=0), "Montage: rows is 1 to 64; found 0"),
        (
            lambda: MultiWindow(("lung", "bone")),
            "MultiWindow: windows are three, one a channel; found ('lung', 'bone')",
        ),
        (
            lambda: MultiWindow(("lung", "bone", (5, 5))),
            "MultiWindow: a window is a name or (low, high), low below high; found (5, 5)",
        ),
    ],
)
def test_an_argument_out_of_bounds_is_named(make: Callable[[], Operation], message: str) -> None:
    with pytest.raises(LoaderError) as failed:
        make()
    assert str(failed.value) == message


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (
            [Normalize([0.5], [0.5]), Resize((8, 8))],
            "operations are in an order that cannot be fused; this one works: Resize, Normalize",
        ),
        (
            [Window(0, 1), RandomHorizontalFlip(), TakeSlice(), Resize((8, 8))],
            "operations are in an order that cannot be fused; this one works: "
            "TakeSlice, RandomHorizontalFlip, Resize, Window",
        ),
        (
            [Resize((9, 9)), RandomResizedCrop(8)],
            "Resize and RandomResizedCrop would resample twice; a picture is resampled once, so keep one of them",
        ),
        (
            [Resize(8)],
            "pictures of a batch have one size: use Resize((height, width)), RandomResizedCrop(size), or Resize(edge) "
            "with CenterCrop(size)",
        ),
        (
            [],
            "pictures of a batch have one size: use Resize((height, width)), RandomResizedCrop(size), or Resize(edge) "
            "with CenterCrop(size)",
        ),
        (
            [Letterbox((9, 9)), MultiCrop()],
            "Letterbox and MultiCrop would resample twice; a picture is resampled once, so keep one of them",
        ),
        (
            [Pad(3, fill=1.0), Resize((8, 8)), RandomRotation(5)],
            "Pad and RandomRotation differ in fill, padding_mode or mask_fill; a picture has one border, so say the "
            "same",
        ),
        (
            [Resize((8, 8)), ElasticTransform(), RandomAffine(5)],
            "RandomAffine cannot follow ElasticTransform; put RandomAffine before it",
        ),
        (
            [Resize((8, 8)), ElasticTransform(), ElasticTransform()],
            "ElasticTransform cannot follow ElasticTransform; one is enough",
        ),
        (
            [Resize((8, 9)), RandomRot90()],
            "pictures of a batch have one size: use Resize((height, width)), RandomResizedCrop(size), or Resize(edge) "
            "with CenterCrop(size), with equal height and width where quarter turns follow",
        ),
        ([Resize((8, 8)), Window(0, 1), Window(0, 2)], "Window stands twice; once is enough"),
        ([TakeSlice(), TakeSlice("x"), Resize((8, 8))], "TakeSlice stands twice; once is enough"),
        ([TakeSlice(), Montage(), Resize((8, 8))], "TakeSlice and Montage stand in one list; keep one of them"),
        (
            [Resize((8, 8)), Window(0, 1), MultiWindow()],
            "Window and MultiWindow stand in one list; one operation brings values to 0..1, so keep one of them",
        ),
        (["Resize"], "'Resize' is no operation of medshard.augment; see medshard.augment.__all__"),
    ],
)
def test_a_list_that_does_not_compile_says_which_does(operations: list[Any], message: str) -> None:
    with pytest.raises(LoaderError) as failed:
        compile_operations(operations)
    assert str(failed.value) == message


def test_a_crop_larger_than_its_picture_says_what_to_do() -> None:
    with pytest.raises(LoaderError) as failed:
        draw([CenterCrop((64, 32))], (50, 60))
    assert str(failed.value) == "CenterCrop(64, 32) is larger than a picture of 50 x 60; put a Resize before it"
    with pytest.raises(LoaderError) as failed:
        draw([RandomCrop((64, 32))], (50, 60))
    assert str(failed.value) == (
        "RandomCrop(64, 32) is larger than a picture of 50 x 60; say pad_if_needed=True, or put a Resize before it"
    )
