"""How a list becomes steps: the order of the list, the range of values, what texts refuse, what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from medshard.augment import (
    CLAHE,
    JPEG,
    CenterCrop,
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    Normalize,
    Operation,
    PercentileNormalize,
    RandomErasing,
    RandomGamma,
    RandomHorizontalFlip,
    RandomInvert,
    RandomPosterize,
    RandomResizedCrop,
    RandomSolarize,
    RandomStainJitter,
    RandomVerticalFlip,
    Resize,
    Window,
    ZScoreNormalize,
    compile_operations,
)
from medshard.augment.pointwise import CT_WINDOWS
from medshard.augment.program import DrawnValues, draw_values
from medshard.augment.steps import Draws, Step
from medshard.engine import STEPS
from medshard.errors import LoaderError
from medshard.testing.operation_examples import EXAMPLES

CROP = Resize((32, 32))
JITTER, FLIP, NORMALIZE = ColorJitter(0.4), RandomHorizontalFlip(), Normalize([0.5], [0.5])


def kinds(operations: Sequence[Operation]) -> list[str]:
    return [placed.step.kind for placed in compile_operations([CROP, *operations]).steps]


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([], []),
        ([NORMALIZE], []),
        ([Window(0, 9), NORMALIZE], []),
        ([JITTER], ["window", "color_jitter"]),
        ([JITTER, GaussianBlur(3), RandomSolarize(0.5)], ["window", "color_jitter", "gaussian_blur", "solarize"]),
        ([GaussianBlur(3), JITTER], ["window", "gaussian_blur", "color_jitter"]),
        ([GaussianBlur(3), Window(0, 9), JITTER], ["gaussian_blur", "window", "color_jitter"]),
        ([PercentileNormalize(), CLAHE(), NORMALIZE], ["percentile_normalize", "clahe", "normalize"]),
        ([ZScoreNormalize()], ["zscore_normalize"]),
        ([PercentileNormalize(statistics="file"), JITTER], ["percentile_normalize", "color_jitter"]),
        ([GaussianBlur(3), ZScoreNormalize()], ["gaussian_blur", "zscore_normalize"]),
        ([JITTER, ZScoreNormalize()], ["window", "color_jitter", "zscore_normalize"]),
        ([NORMALIZE, RandomErasing()], ["window", "normalize", "erase"]),
        ([NORMALIZE, Window(0, 9), RandomErasing()], ["window", "normalize", "erase"]),
        ([NORMALIZE, GaussianNoise(clip=False)], ["window", "normalize", "gaussian_noise"]),
        ([RandomInvert(), RandomInvert()], ["window", "invert", "invert"]),
    ],
)
def test_steps_keep_the_order_of_the_list_and_get_values_from_0_to_1(
    operations: list[Operation], expected: list[str]
) -> None:
    assert kinds(operations) == expected


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (
            [JITTER, Window(0, 9)],
            "ColorJitter works on values from 0 to 1, which they are between Window and Normalize; "
            "this order works: Window, ColorJitter",
        ),
        (
            [NORMALIZE, RandomGamma()],
            "RandomGamma works on values from 0 to 1, which they are between Window and Normalize; "
            "this order works: RandomGamma, Normalize",
        ),
        (
            [GaussianBlur(3), ZScoreNormalize(), CLAHE(), JPEG(50)],
            "CLAHE works on values from 0 to 1, which they are between Window and Normalize; "
            "this order works: GaussianBlur, CLAHE, JPEG, ZScoreNormalize",
        ),
        (
            [GaussianNoise(), PercentileNormalize()],
            "GaussianNoise works on values from 0 to 1, which they are between Window and Normalize; "
            "this order works: PercentileNormalize, GaussianNoise",
        ),
        (
            [Window(0, 1), PercentileNormalize()],
            "Window and PercentileNormalize stand in one list; one operation brings values to 0..1, so keep one of "
            "them",
        ),
        (
            [NORMALIZE, ZScoreNormalize()],
            "Normalize and ZScoreNormalize stand in one list; one operation gives them their last range, so keep one "
            "of them",
        ),
        (
            [GaussianBlur(3), PercentileNormalize(statistics="file")],
            "PercentileNormalize with statistics='file' takes those of stored values, so it is the first step after "
            "geometry; GaussianBlur stands before it",
        ),
        (
            [Window(0, 9), ZScoreNormalize(statistics="file")],
            "ZScoreNormalize with statistics='file' takes those of stored values, so it is the first step after "
            "geometry; Window stands before it",
        ),
        ([ZScoreNormalize(), ZScoreNormalize()], "ZScoreNormalize stands twice; once is enough"),
    ],
)
def test_a_list_whose_values_have_another_range_says_which_order_works(
    operations: list[Operation], message: str
) -> None:
    with pytest.raises(LoaderError) as failed:
        compile_operations([CROP, *operations])
    assert str(failed.value) == message


def test_a_flip_may_stand_after_steps_that_do_not_care_for_it() -> None:
    steps: list[Operation] = [JITTER, GaussianBlur(3), RandomGamma(), RandomStainJitter(), Window(0, 1)]
    ordered = [CROP, steps[-1], *steps[:-1], FLIP, RandomVerticalFlip()]
    compiled = compile_operations(ordered)
    assert compiled.geometry == (CROP, FLIP, RandomVerticalFlip())
    compile_operations([CROP, NORMALIZE, FLIP])


@pytest.mark.parametrize("step", [GaussianNoise(), RandomErasing(), CLAHE(), JPEG(50)])
def test_a_flip_after_steps_that_depend_on_places_is_refused(step: Operation) -> None:
    name = type(step).__name__
    with pytest.raises(LoaderError, match=f"this one works: Resize, RandomHorizontalFlip, {name}$"):
        compile_operations([CROP, step, FLIP])


@pytest.mark.parametrize("late", [Resize((8, 8)), CenterCrop(8), RandomResizedCrop(8)])
def test_other_geometry_after_a_step_is_refused_with_the_order_that_works(late: Operation) -> None:
    with pytest.raises(LoaderError, match=f"this one works: RandomHorizontalFlip, {type(late).__name__}, ColorJitter$"):
        compile_operations([JITTER, FLIP, late])


def drawn(
    operations: Sequence[Operation],
    count: int = 2000,
    *,
    seed: int = 0,
    intensity: bool = True,
    cover: bool = True,
    regions: dict[int, Sequence[Sequence[float]]] | None = None,
    size: int = 32,
) -> DrawnValues:
    compiled = compile_operations([Resize((size, size)), *operations])
    draws = Draws(
        lambda _: np.zeros(count),
        size,
        size,
        3,
        np.full(count, intensity),
        np.full(count, cover),
        regions or {},
    )
    return draw_values(
        compiled,
        draws,
        lambda place, number: np.random.default_rng([seed, place, number]).random(count),
        np.zeros(count, np.uint64),
    )


def applied(values: DrawnValues, kind: str) -> Any:
    (step,) = [step for step in values.steps if step.kind == kind]
    return values.params[:, step.first] != 0


RANDOM: list[Step] = [step for step in EXAMPLES if isinstance(step, Step)]
INTENSITY = [step for step in RANDOM if step.refused == "intensity"]


def test_every_step_names_what_the_engine_has() -> None:
    assert {step.kind for step in RANDOM} == set(STEPS)


@pytest.mark.parametrize("step", INTENSITY, ids=lambda step: step.kind)
def test_a_text_that_refuses_other_intensities_keeps_them(step: Step) -> None:
    assert applied(drawn([step]), step.kind).all()
    assert not applied(drawn([step], intensity=False), step.kind).any()
    assert applied(drawn([step], cover=False), step.kind).all()


def test_what_only_maps_values_is_never_left_out_and_windows_do_not_move_where_intensities_stay() -> None:
    listed: list[Operation] = [Window(-100, 300, jitter_centre=0.1, jitter_width=0.2), RandomInvert(), NORMALIZE]
    kept = drawn(listed, intensity=False)
    assert applied(kept, "window").all()
    assert applied(kept, "normalize").all()
    assert kept.windows is not None
    assert (kept.windows == [-100, 300]).all()
    free = drawn(listed)
    assert free.windows is not None
    centre, width = free.windows.mean(1), free.windows[:, 1] - free.windows[:, 0]
    assert 60 <= centre.min() < 62 < 138 < centre.max() <= 140
    assert 320 <= width.min() < 322 < 478 < width.max() <= 480
    assert abs(np.corrcoef(centre, width)[0, 1]) < 0.1


@pytest.mark.parametrize("p", [0.0, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("make", [RandomInvert, RandomGamma, lambda p: JPEG(50, p=p), lambda p: CLAHE(p=p)])
def test_a_step_is_applied_as_often_as_it_says(make: Callable[..., Step], p: float) -> None:
    step = make(p=p)
    assert applied(drawn([step]), step.kind).mean() == pytest.approx(p, abs=0.04)


def test_two_steps_of_one_list_are_drawn_apart() -> None:
    values = drawn([RandomInvert(), RandomInvert(), RandomPosterize(3)])
    flags = values.params[:, [step.first for step in values.steps[1:]]].T
    assert abs(np.corrcoef(flags) - np.eye(3)).max() < 0.08


def test_a_step_draws_the_same_wherever_the_steps_after_it_stand() -> None:
    alone = drawn([RandomGamma()]).params[:, 1:3]
    among = drawn([RandomGamma(), JITTER, NORMALIZE]).params[:, 1:3]
    assert np.array_equal(alone, among)


def holes_of(values: DrawnValues) -> Any:
    (step,) = [step for step in values.steps if step.kind == "erase"]
    return values.params[:, step.first + 4 : step.first + step.count].reshape(len(values.params), -1, 4)


def test_holes_never_cover_a_region_that_the_text_cites() -> None:
    step = RandomErasing(p=1.0, scale=(0.01, 0.1), holes=3)
    region = (10.0, 4.0, 22.0, 15.5)
    holes = holes_of(drawn([step], regions={item: [region] for item in range(1000)}))
    top, left, bottom, right = np.moveaxis(holes, -1, 0)
    covers = (left < region[2]) & (right > region[0]) & (top < region[3]) & (bottom > region[1]) & (bottom > top)
    assert not covers[:1000].any()
    assert covers[1000:].any(1).mean() > 0.5
    assert (bottom > top)[:1000].mean() > 0.95, "they are drawn elsewhere, not left out"
    whole = holes_of(drawn([step], regions={item: [(0.0, 0.0, 32.0, 32.0)] for item in range(2000)}))
    assert not whole.any(), "nowhere is free"


def test_a_text_that_refuses_cropping_has_no_holes() -> None:
    step = RandomErasing(p=1.0)
    assert applied(drawn([step]), "erase").all()
    assert not applied(drawn([step], cover=False), "erase").any()
    assert applied(drawn([step], intensity=False), "erase").all()


@pytest.mark.parametrize("name", CT_WINDOWS)
def test_ct_windows_are_centre_and_width(name: str) -> None:
    window = Window.ct(name, jitter_width=0.1)
    centre, width = CT_WINDOWS[name]
    assert ((window.low + window.high) / 2, window.high - window.low) == (centre, width)
    assert window.jitter_width == 0.1
