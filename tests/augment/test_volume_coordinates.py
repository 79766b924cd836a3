"""Points go between a stored volume and a crop as its voxels do."""

from __future__ import annotations

import numpy as np
import pytest

from medshard.augment import Operation
from medshard.augment.volume import (
    CenterCrop3D,
    ElasticTransform3D,
    RandomAffine3D,
    RandomFlip3D,
    RandomRot90In3D,
    Spacing,
    compile_volume,
    deliver_mask,
    draw_volume,
    to_crop,
    to_stored,
)
from medshard.loader.draws import VolumeCropDraws
from medshard.testing.reference_volume import source_points

SHAPE = (40, 50, 60)
LISTS: dict[str, list[Operation]] = {
    "flips": [RandomFlip3D(p=1.0)],
    "turns": [RandomRot90In3D("zx")],
    "affine": [RandomAffine3D(40, scale=(0.6, 1.5), shear_degrees=10, translate_zyx=3)],
    "elastic": [ElasticTransform3D(14.0, 5.0)],
    "all": [RandomAffine3D(40, scale=(0.6, 1.5)), ElasticTransform3D(14.0, 5.0), RandomFlip3D(), RandomAffine3D(30)],
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("crop", range(3))
def test_a_voxel_of_the_crop_lies_where_the_reference_reads_it(name: str, crop: int) -> None:
    compiled = compile_volume([Spacing((1.0, 1.2, 0.9)), CenterCrop3D((16, 18, 16)), *LISTS[name]])
    geometry = draw_volume(compiled, SHAPE, VolumeCropDraws(1, 2, 3, crop), spacing_zyx_mm=(1.0, 1.0, 1.0))
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.size_zyx), indexing="ij"), -1)[..., ::-1]
    wanted = source_points(geometry)[..., ::-1]
    stored = to_stored(grid, geometry.delivered_from_stored, geometry.elastic)
    np.testing.assert_allclose(stored, wanted, atol=1e-9)
    back = to_crop(stored, geometry.delivered_from_stored, geometry.elastic)
    np.testing.assert_allclose(back, grid, atol=1e-5)


def test_a_landmark_is_seen_where_its_label_is() -> None:
    labels = np.zeros((1, *SHAPE), np.uint8)
    points_ijk = np.array([[20, 20, 15], [40, 30, 25], [30, 25, 20]])
    for value, (i, j, k) in enumerate(points_ijk.tolist(), 1):
        labels[0, k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = value
    compiled = compile_volume([CenterCrop3D((40, 50, 60)), *LISTS["all"]])
    for crop in range(4):
        geometry = draw_volume(compiled, SHAPE, VolumeCropDraws(1, 2, 3, crop))
        start, size = geometry.source_box(SHAPE)
        box = (slice(None), *(slice(s, s + n) for s, n in zip(start, size, strict=True)))
        out = np.empty((1, *geometry.size_zyx), np.int32)
        deliver_mask(geometry, labels[box], start, out)
        seen = to_crop(points_ijk, geometry.delivered_from_stored, geometry.elastic)
        for value, point in enumerate(seen, 1):
            inside = ((point > 3) & (point < np.array((56, 46, 36)))).all()
            if inside:
                middle = np.argwhere(out[0] == value).mean(0)[::-1]
                assert np.abs(middle - point).max() < 0.75
