"""Makes docs/pictures/planes/: a painted torso as slices, projections, a montage, three windows, and with its mask.

    python docs/make_plane_pictures.py

Every picture goes through the loader's own reading and the native engine.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medshard.augment import Letterbox, Montage, MultiWindow, Operation, TakeSlab, TakeSlice, Window
from medshard.augment.planes import Planes
from medshard.testing.preview import preview_volume
from medshard.testing.synthetic.torso import Torso, paint_torso

PICTURES = Path(__file__).resolve().parent / "pictures" / "planes"

WIDE = Window(-1000, 600)
HEIGHT, WIDTH, GAP = 200, 230, 6
COLOURS = ((66, 165, 245), (102, 187, 106), (239, 83, 80), (255, 167, 38), (171, 71, 188), (255, 238, 88))


@cache
def torso() -> Torso:
    """Painted once."""
    return paint_torso()


def seen(
    take: Planes, window: Operation = WIDE, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """(H, W, 3) of the first picture, and its mask."""
    here = torso()
    pictures, masks = preview_volume(
        here.voxels, here.affine_ijk_to_ras, [take, Letterbox(size), window], labels=here.labels
    )
    assert masks is not None
    return np.rint(pictures[0].transpose(1, 2, 0) * 255).astype(np.uint8), masks[0]


def beside(pictures: list[NDArray[np.uint8]]) -> Image.Image:
    """In a row."""
    height = max(len(picture) for picture in pictures)
    row = Image.new("RGB", (sum(p.shape[1] for p in pictures) + GAP * (len(pictures) - 1), height), "white")
    left = 0
    for picture in pictures:
        row.paste(Image.fromarray(picture), (left, 0))
        left += picture.shape[1] + GAP
    return row


def with_mask(picture: NDArray[np.uint8], mask: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A label a colour, half through."""
    colours = np.array([(0, 0, 0), *COLOURS], np.float64)[mask]
    marked = (mask > 0)[..., None]
    return np.rint(np.where(marked, picture * 0.55 + colours * 0.45, picture)).astype(np.uint8)


def draw() -> dict[str, Image.Image]:
    """Every picture by name."""
    shown = {"orientation": "radiological", "square_pixels": True}
    slices = [
        TakeSlice("axial", index=41, **shown),  # type: ignore[arg-type]
        TakeSlice("coronal", index=72, **shown),  # type: ignore[arg-type]
        TakeSlice("sagittal", index=58, **shown),  # type: ignore[arg-type]
    ]
    mean, high, low = (
        TakeSlab("coronal", slices=30, index=78, reduce=reduce, **shown)  # type: ignore[arg-type]
        for reduce in ("mean", "max", "min")
    )
    montage = Montage("axial", rows=2, columns=5, orientation="radiological")
    return {
        "slices": beside([seen(take)[0] for take in slices]),
        "stored": beside([seen(TakeSlice("y", index=72))[0], seen(slices[1])[0]]),
        "slabs": beside([seen(take)[0] for take in (mean, high, low)]),
        "montage": beside([seen(montage, size=(210, 3 * WIDTH + 2 * GAP))[0]]),
        "windows": beside([seen(take, MultiWindow(("lung", "mediastinum", "bone")))[0] for take in slices]),
        "masks": beside([with_mask(*seen(take)) for take in (*slices[:2], high)]),
    }


def main() -> None:
    """Write all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, picture in draw().items():
        picture.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
