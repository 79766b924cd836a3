"""What is drawn for crops of volumes: rates, bounds, what a text refuses, and recipes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from medshard.augment import GaussianNoise, Normalize, Operation, Resize, Window, ZScoreNormalize
from medshard.augment.volume import (
    Allowed,
    CenterCrop3D,
    ElasticTransform3D,
    ForegroundCrop3D,
    GaussianBlur3D,
    GridCrop3D,
    ModalityDropout,
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
    VolumeGeometry,
    compile_volume,
    draw_steps,
    draw_volume,
    nnunet_default,
)
from medshard.augment.volume.draws import PlacedDraws
from medshard.errors import LoaderError
from medshard.loader.draws import VolumeCropDraws
from medshard.volumes.foreground import Foreground, index_foreground

SHAPE, SIZE, MANY = (30, 40, 50), (8, 10, 12), 600


def drawn(
    *operations: Operation, crop: int = 0, foreground: Foreground | None = None, **options: object
) -> VolumeGeometry:
    """One crop."""
    compiled = compile_volume(list(operations))
    draws = VolumeCropDraws(1, 2, 3, crop)
    return draw_volume(compiled, SHAPE, draws, foreground=foreground, **options)  # type: ignore[arg-type]


def starts(crop: Operation, foreground: Foreground | None = None) -> NDArray[np.int64]:
    """(MANY, 3) first voxels of many crops."""
    return np.array([drawn(crop, crop=n, foreground=foreground).source_box(SHAPE)[0] for n in range(MANY)], np.int64)


def labels() -> NDArray[np.uint8]:
    """A large region of 1, a small one of 2, a voxel of 5."""
    made = np.zeros(SHAPE, np.uint8)
    made[12:22, 14:30, 10:25] = 1
    made[3:5, 30:33, 40:44] = 2
    made[27, 5, 5] = 5
    return made


def fits(count: int, p: float, of: int = MANY) -> bool:
    """Whether so many of so many are likely with that probability."""
    return bool(stats.binomtest(count, of, p).pvalue > 1e-3)


def test_random_crops_lie_anywhere_all_alike() -> None:
    found = starts(RandomCrop3D(SIZE))
    for axis, (n, edge) in enumerate(zip(SHAPE, SIZE, strict=True)):
        counts = np.bincount(found[:, axis], minlength=n - edge + 1)
        assert len(counts) == n - edge + 1
        assert stats.chisquare(counts).pvalue > 1e-3


def test_foreground_crops_hold_each_value_as_often() -> None:
    made = labels()
    found = starts(ForegroundCrop3D(SIZE, foreground=1.0), index_foreground(made))
    held = [made[tuple(slice(s, s + e) for s, e in zip(start, SIZE, strict=True))] for start in found.tolist()]
    for value in (1, 2, 5):
        assert fits(sum(bool((box == value).any()) for box in held), 1 / 3)
    assert all(box.any() for box in held)


def test_a_share_of_the_crops_is_around_foreground() -> None:
    made = np.zeros(SHAPE, np.uint8)
    made[29, 39, 49] = 1  # a corner, which a random crop hits with a probability of 1 in 30000
    found = starts(ForegroundCrop3D(SIZE, foreground=0.25), index_foreground(made))
    around = (found == np.array(SHAPE) - np.array(SIZE)).all(1)
    assert fits(int(around.sum()), 0.25)


def test_the_voxel_is_in_the_middle_unless_the_border_is_near() -> None:
    made = np.zeros(SHAPE, np.uint8)
    made[15, 20, 49] = 1
    assert drawn(ForegroundCrop3D(SIZE, foreground=1.0), foreground=index_foreground(made)).source_box(SHAPE) == (
        (11, 15, 38),
        SIZE,
    )


def test_foreground_is_found_on_the_grid_of_another_spacing() -> None:
    made = np.zeros(SHAPE, np.uint8)
    made[20, 30, 35] = 1
    geometry = drawn(
        Spacing((2.0, 2.0, 1.0)),
        ForegroundCrop3D((5, 7, 9), foreground=1.0),
        foreground=index_foreground(made),
        spacing_zyx_mm=(1.0, 1.0, 1.0),
    )
    matrix = geometry.source_from_output_zyx
    middle = matrix[:, :3] @ np.array([2.0, 3.0, 4.0]) + matrix[:, 3]
    assert np.abs(middle - (20, 30, 35)).max() <= 1.0


def test_only_named_values_count_and_without_any_the_crop_is_random() -> None:
    made = labels()
    index = index_foreground(made)
    found = starts(ForegroundCrop3D(SIZE, foreground=1.0, values=[2]), index)
    assert all((made[tuple(slice(s, s + e) for s, e in zip(start, SIZE, strict=True))] == 2).any() for start in found)
    for empty in (ForegroundCrop3D(SIZE, foreground=1.0, values=[7]), ForegroundCrop3D(SIZE, foreground=1.0)):
        nothing = index if empty.values else index_foreground(np.zeros(SHAPE, np.uint8))
        np.testing.assert_array_equal(starts(empty, nothing), starts(RandomCrop3D(SIZE)))


def test_each_axis_is_mirrored_by_itself() -> None:
    flips = np.array([drawn(RandomCrop3D(SIZE), RandomFlip3D("zx", p=0.3), crop=n).flip_zyx for n in range(MANY)])
    assert fits(int(flips[:, 0].sum()), 0.3)
    assert not flips[:, 1].any()
    assert fits(int(flips[:, 2].sum()), 0.3)
    assert fits(int((flips[:, 0] & flips[:, 2]).sum()), 0.09)


def test_an_affine_map_keeps_the_middle_and_its_bounds() -> None:
    turn = RandomAffine3D((10, 20, 30), scale=(0.8, 1.25), p_rotate=0.5, p_scale=0.5)
    centre = (np.array(SIZE) - 1) / 2
    turned, scaled = 0, 0
    for n in range(MANY):
        matrix = drawn(CenterCrop3D(SIZE), turn, crop=n).source_from_output_zyx
        np.testing.assert_allclose(matrix[:, :3] @ centre + matrix[:, 3], (np.array(SHAPE) - 1) / 2, atol=0.51)
        lengths = np.linalg.svd(matrix[:, :3], compute_uv=False)
        assert 1 / 1.25 - 1e-9 <= lengths.min() <= lengths.max() <= 1 / 0.8 + 1e-9
        assert np.ptp(lengths) < 1e-9  # one factor for all axes
        angle = np.degrees(np.arccos(np.clip((np.trace(matrix[:, :3] / lengths[0]) - 1) / 2, -1, 1)))
        assert angle < 10 + 20 + 30
        turned, scaled = turned + (angle > 1e-6), scaled + (abs(lengths[0] - 1) > 1e-9)
    assert fits(turned, 0.5)
    assert fits(scaled, 0.5)


def test_in_the_plane_slices_stay_slices() -> None:
    for n in range(20):
        matrix = drawn(
            CenterCrop3D(SIZE), RandomAffine3D(180, scale=(0.7, 1.4), shear_degrees=20, in_plane=True), crop=n
        ).source_from_output_zyx
        np.testing.assert_allclose(matrix[0, :3], (1, 0, 0), atol=1e-12)
        np.testing.assert_allclose(matrix[:, 0], (1, 0, 0), atol=1e-12)


def test_a_text_keeps_what_it_refuses() -> None:
    operations = [CenterCrop3D((12, 12, 12)), RandomFlip3D(p=1.0), RandomRot90In3D(), RandomAffine3D(30, scale=(2, 2))]
    plain = drawn(operations[0]).source_from_output_zyx
    for n in range(10):
        mirror = drawn(*operations[:2], crop=n, allowed=Allowed(mirror=False))
        np.testing.assert_array_equal(mirror.source_from_output_zyx, plain)
        turn = drawn(operations[0], *operations[2:], crop=n, allowed=Allowed(turn=False)).source_from_output_zyx
        np.testing.assert_allclose(turn[:, :3], np.eye(3) / 2, atol=1e-12)
        move = drawn(operations[0], operations[3], ElasticTransform3D(), crop=n, allowed=Allowed(move=False))
        np.testing.assert_array_equal(move.source_from_output_zyx, plain)
        assert move.elastic is None
    steps = [Window(0, 1), RandomGamma3D(p=1.0), GaussianNoise(), RandomBiasField(), ZScoreNormalize()]
    compiled = compile_volume([CenterCrop3D(SIZE), *steps])
    kinds = [step.kind for step in draw_steps(compiled, VolumeCropDraws(1, 2, 3, 4), 2, intensity=False)]
    assert kinds == ["window", "zscore_normalize"]


def test_what_is_drawn_is_a_function_of_its_counters_alone() -> None:
    operations = [RandomCrop3D(SIZE), RandomAffine3D(20), RandomFlip3D()]
    first = drawn(*operations, crop=7).source_from_output_zyx
    np.testing.assert_array_equal(drawn(*operations, crop=7).source_from_output_zyx, first)
    assert not np.array_equal(drawn(*operations, crop=8).source_from_output_zyx, first)
    # Another operation at the end changes nothing of those before it.
    longer = compile_volume([*operations, RandomGamma3D(p=1.0)])
    again = draw_volume(longer, SHAPE, VolumeCropDraws(1, 2, 3, 7)).source_from_output_zyx
    np.testing.assert_array_equal(again, first)


def test_channels_have_their_own_numbers_and_share_the_bias_field() -> None:
    def params(step: Operation, crop: int = 0) -> NDArray[np.float64]:
        (made,) = draw_steps(compile_volume([CenterCrop3D(SIZE), step]), VolumeCropDraws(1, 2, 3, crop), 3)
        return made.params

    for step in (RandomBrightness3D(p=1.0), RandomContrast3D(p=1.0), RandomGamma3D(p=1.0), GaussianBlur3D()):
        assert len(np.unique(params(step)[:, 1])) == 3
    assert len(np.unique(params(RandomBiasField())[:, 1:], axis=0)) == 1
    assert len(np.unique(params(GaussianBlur3D(per_axis=True))[:, 1:])) == 9
    changed = np.array([params(SimulateLowResolution(p=1.0, p_of_channel=0.5), n)[:, 0] for n in range(MANY // 3)])
    assert fits(int(changed.sum()), 0.5, changed.size)


def test_a_factor_is_as_often_below_one_as_above() -> None:
    step = compile_volume([CenterCrop3D(SIZE), RandomGamma3D((0.7, 1.5), p=1.0)])
    factors = np.array([draw_steps(step, VolumeCropDraws(1, 2, 3, n), 1)[0].params[0, 1] for n in range(MANY)])
    assert factors.min() > 0.7
    assert factors.max() < 1.5
    assert fits(int((factors < 1).sum()), 0.5)
    below, above = factors[factors < 1], factors[factors >= 1]
    assert stats.kstest((below - 0.7) / 0.3, "uniform").pvalue > 1e-3
    assert stats.kstest((above - 1) / 0.5, "uniform").pvalue > 1e-3


def test_modalities_are_dropped_at_their_rate_but_never_the_last() -> None:
    dropout, present = ModalityDropout(0.4), (True, False, True, True)
    left = np.array([dropout.kept(present, PlacedDraws(VolumeCropDraws(1, 2, 3, n), 0, 4)) for n in range(MANY)], bool)
    assert not left[:, 1].any()
    assert left.any(1).all()
    alone = 0.4**3 / 3  # all three are drawn, and this one stays
    for channel in (0, 2, 3):
        assert fits(int(left[:, channel].sum()), 0.6 + alone)
    assert dropout.kept((False, False), PlacedDraws(VolumeCropDraws(1, 2, 3, 4), 0, 2)) == [False, False]


def test_nnunets_recipe_has_nnunets_numbers() -> None:
    crop, turn, flip, noise, blur, brightness, contrast, coarse, inverted, gamma = nnunet_default((96, 128, 128))
    assert crop == ForegroundCrop3D((96, 128, 128), foreground=1 / 3)
    assert turn == RandomAffine3D(30.0, scale=(1 / 1.4, 1 / 0.7), p_rotate=0.2, p_scale=0.2)
    assert flip == RandomFlip3D("zyx", p=0.5)
    assert noise == GaussianNoise(0.0, (0.0, 0.1), clip=False, p=0.1)
    assert blur == GaussianBlur3D((0.5, 1.0), per_axis=True, p=0.2, p_of_channel=0.5)
    assert brightness == RandomBrightness3D((0.75, 1.25), p=0.15)
    assert contrast == RandomContrast3D((0.75, 1.25), preserve_range=True, p=0.15)
    assert coarse == SimulateLowResolution((0.5, 1.0), p=0.25, p_of_channel=0.5)
    assert inverted == RandomGamma3D((0.7, 1.5), invert=True, retain_stats=True, p=0.1)
    assert gamma == RandomGamma3D((0.7, 1.5), invert=False, retain_stats=True, p=0.3)
    flat = nnunet_default((20, 256, 256), before=[ZScoreNormalize()], flip_axes="yx")
    assert flat[1] == RandomAffine3D(180.0, scale=(1 / 1.4, 1 / 0.7), in_plane=True, p_rotate=0.2, p_scale=0.2)
    assert flat[3] == ZScoreNormalize()
    assert flat[8] == SimulateLowResolution((0.5, 1.0), in_plane=True, p=0.25, p_of_channel=0.5)
    for recipe in (nnunet_default((96, 128, 128)), flat):
        compile_volume(recipe)


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: RandomCrop3D((8, 8)), "size_zyx is three whole numbers"),
    (lambda: RandomCrop3D((8, 8, 0)), "size_zyx is three whole numbers"),
    (lambda: RandomCrop3D((8, 8, 8.0)), "size_zyx is three whole numbers"),  # type: ignore[arg-type]
    (lambda: RandomCrop3D((8, 8, 8), outside="mean"), "outside is a number"),  # type: ignore[arg-type]
    (lambda: ForegroundCrop3D((8, 8, 8), foreground=1.5), "foreground is a probability"),
    (lambda: GridCrop3D((8, 8, 8), overlap=1.0), "overlap is a share"),
    (lambda: Spacing((1, 0, 1)), "three numbers above 0"),
    (lambda: RandomFlip3D("w"), "axes are letters of zyx"),
    (lambda: RandomRot90In3D("yy"), "plane is two letters"),
    (lambda: RandomAffine3D(200), "degrees_zyx is one number or three"),
    (lambda: RandomAffine3D(shear_degrees=90), "shear_degrees"),
    (lambda: RandomBiasField(order=5), "order is a whole number"),
    (lambda: compile_volume([RandomFlip3D()]), "has one crop"),
    (lambda: compile_volume([RandomCrop3D(SIZE), CenterCrop3D(SIZE)]), "has one crop"),
    (lambda: compile_volume([RandomCrop3D(SIZE), Resize(8)]), "Resize does not work on crops of volumes"),
    (lambda: compile_volume([Window(0, 1), RandomCrop3D(SIZE)]), "this one works: RandomCrop3D, Window"),
    (lambda: compile_volume([RandomCrop3D(SIZE), Window(0, 1), Window(0, 1)]), "stands twice"),
    (lambda: compile_volume([RandomCrop3D(SIZE), ZScoreNormalize(statistics="file")]), "say statistics='crop'"),
    (lambda: compile_volume([Spacing((1, 1, 1)), Resize3D(SIZE)]), "leave Spacing out"),
    (lambda: drawn(Spacing((1, 1, 1)), RandomCrop3D(SIZE)), "spacing of this volume is unknown"),
    (lambda: drawn(ForegroundCrop3D(SIZE)), "needs the index of a mask's foreground"),
    (lambda: drawn(RandomCrop3D(SIZE), RandomRot90In3D("yx")), "the axes yx have one length"),
    (
        lambda: draw_steps(
            compile_volume([CenterCrop3D(SIZE), Normalize((0.5,) * 3, (0.2,) * 3)]), VolumeCropDraws(1, 2, 3, 4), 2
        ),
        "names 3 channels, the crop has 2",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_what_cannot_be_is_refused_with_a_reason(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(LoaderError, match=message):
        wrong()
