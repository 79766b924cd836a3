"""Makes docs/pictures/volumes/: what the operations on crops of volumes do to a painted torso.

    python docs/make_volume_pictures.py

Everything goes through the native engine; labels are drawn as outlines on the planes that they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medshard.augment import GaussianNoise, Operation, PercentileNormalize, Window, ZScoreNormalize
from medshard.augment.volume import (
    CenterCrop3D,
    ElasticTransform3D,
    ForegroundCrop3D,
    GaussianBlur3D,
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
    compile_volume,
    deliver,
    deliver_mask,
    draw_steps,
    draw_volume,
)
from medshard.loader.draws import VolumeCropDraws
from medshard.testing.synthetic.torso import paint_torso
from medshard.volumes.foreground import index_foreground

PICTURES = Path(__file__).resolve().parent / "pictures" / "volumes"
EDGE, GAP, TITLE, ACROSS = 144, 6, 14, 4
WINDOW = Window(-1000, 600)
COLOURS = ((255, 90, 90), (90, 170, 255), (255, 210, 80), (120, 220, 120), (220, 130, 240), (255, 255, 255))

MIDDLE = CenterCrop3D((24, 144, 144), outside=-1000.0)
CROPS: dict[str, list[Operation]] = {
    "RandomCrop3D": [RandomCrop3D((24, 100, 100))],
    "ForegroundCrop3D, the nodule": [ForegroundCrop3D((24, 100, 100), foreground=1.0, values=[6])],
    "CenterCrop3D, larger": [CenterCrop3D((24, 180, 240), outside=-1000.0)],
    "CenterCrop3D, coronal": [CenterCrop3D((64, 24, 144))],
    "Spacing 2 mm, coronal": [Spacing((2.0, 2.0, 2.0)), CenterCrop3D((144, 24, 144))],
    "Resize3D": [Resize3D((16, 72, 96))],
}
SPATIAL: dict[str, list[Operation]] = {
    "none": [],
    "RandomFlip3D": [RandomFlip3D("x", p=1.0)],
    "RandomRot90In3D": [RandomRot90In3D("yx")],
    "RandomAffine3D, rotation": [RandomAffine3D((25, 0, 0))],
    "RandomAffine3D, scale": [RandomAffine3D(0, scale=(0.6, 0.6))],
    "RandomAffine3D, shear": [RandomAffine3D(0, shear_degrees=20, in_plane=True)],
    "ElasticTransform3D": [ElasticTransform3D(spacing=24.0, amplitude=12.0, in_plane=True)],
    "affine, then elastic": [RandomAffine3D((25, 0, 0)), ElasticTransform3D(24.0, 10.0, in_plane=True)],
}
VALUES: dict[str, list[Operation]] = {
    "Window": [WINDOW],
    "Window, jitter": [Window(-1000, 600, jitter_centre=0.2, jitter_width=0.4)],
    "PercentileNormalize": [PercentileNormalize(30, 99)],
    "ZScoreNormalize": [ZScoreNormalize()],
    "GaussianNoise": [WINDOW, GaussianNoise(sigma=0.08, clip=True)],
    "GaussianBlur3D": [WINDOW, GaussianBlur3D(2.0)],
    "RandomBrightness3D": [WINDOW, RandomBrightness3D((1.4, 1.4), p=1.0)],
    "RandomContrast3D": [WINDOW, RandomContrast3D((1.9, 1.9), p=1.0)],
    "RandomGamma3D": [WINDOW, RandomGamma3D((2.2, 2.2), retain_stats=False, p=1.0)],
    "RandomGamma3D, inverted": [WINDOW, RandomGamma3D((2.2, 2.2), invert=True, retain_stats=False, p=1.0)],
    "SimulateLowResolution": [WINDOW, SimulateLowResolution((0.3, 0.3), in_plane=True, p=1.0, p_of_channel=1.0)],
    "RandomBiasField": [WINDOW, RandomBiasField(0.6)],
}


def crop_of(operations: Sequence[Operation], number: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """(D, H, W) values, 0 to 1 unless a step says otherwise, and labels."""
    torso = paint_torso()
    compiled, draws = compile_volume(operations), VolumeCropDraws(5, 0, 0, number)
    index = index_foreground(torso.labels) if compiled.needs_foreground else None
    geometry = draw_volume(compiled, torso.voxels.shape, draws, spacing_zyx_mm=(5.0, 2.0, 2.0), foreground=index)
    start, size = geometry.source_box(torso.voxels.shape)
    box = (slice(None), *(slice(s, s + n) for s, n in zip(start, size, strict=True)))
    out = np.empty((1, *geometry.size_zyx), np.float32)
    deliver(geometry, draw_steps(compiled, draws, 1), torso.voxels[None][box], start, out)
    labels = np.empty((1, *geometry.size_zyx), np.int32)
    deliver_mask(geometry, torso.labels[None][box], start, labels)
    return out[0], labels[0]


def outlined(plane: NDArray[np.float32], labels: NDArray[np.int32]) -> Image.Image:
    """(H, W) as a picture, each label's border in its colour."""
    pixels = np.repeat(np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)[..., None], 3, 2)
    border = np.zeros(labels.shape, bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    for label, colour in enumerate(COLOURS, 1):
        pixels[border & (labels == label)] = colour
    return Image.fromarray(pixels)


def tile(operations: Sequence[Operation], number: int, *, coronal: bool, ends: bool) -> Image.Image:
    """The middle plane of a crop."""
    values, labels = crop_of(operations, number)
    if ends:
        values = (values + 2) / 4
    axis = 1 if coronal else 0
    middle = values.shape[axis] // 2
    plane, marked = (np.take(array, middle, axis) for array in (values, labels))
    if coronal:
        plane, marked = plane[::-1], marked[::-1]  # the head is up
    seen = outlined(plane, marked)
    share = EDGE / max(seen.size)
    return seen.resize((round(seen.width * share), round(seen.height * share)), Image.Resampling.NEAREST)


def sheet(entries: dict[str, list[Operation]], before: Sequence[Operation], after: Sequence[Operation]) -> Image.Image:
    """Tiles with their names."""
    rows = -(-len(entries) // ACROSS)
    width, height = EDGE + GAP, EDGE + TITLE + GAP
    whole = Image.new("RGB", (ACROSS * width - GAP, rows * height - GAP), "white")
    pen = ImageDraw.Draw(whole)
    for place, (title, operations) in enumerate(entries.items()):
        x, y = place % ACROSS * width, place // ACROSS * height
        ends = any(isinstance(operation, ZScoreNormalize) for operation in operations)
        listed = [*before, *operations, *after]
        made = tile(listed, place, coronal="coronal" in title, ends=ends)
        pen.text((x, y), title, fill="black")
        whole.paste(made, (x, y + TITLE))
    return whole


def draw() -> dict[str, Image.Image]:
    """All sheets by name."""
    return {
        "crops": sheet(CROPS, [], [WINDOW]),
        "spatial": sheet(SPATIAL, [MIDDLE], [WINDOW]),
        "values": sheet(VALUES, [MIDDLE], []),
    }


def save(picture: Image.Image, to: Path | IO[bytes]) -> None:
    """As the JPEG that the page shows."""
    picture.save(to, "JPEG", quality=88)


def main() -> None:
    """Draw all sheets."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, picture in draw().items():
        save(picture, PICTURES / f"{name}.jpg")


if __name__ == "__main__":
    main()
