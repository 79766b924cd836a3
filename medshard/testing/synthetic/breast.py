"""A breast ultrasound set in the layout of BUSI: a folder a class, masks beside the images.

Source of the layout: Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28 (2020) 104863.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from medshard.testing.synthetic.breast_scene import draw_lesions, scan
from medshard.testing.synthetic.canary import check_canary
from medshard.testing.synthetic.paint import Support, box_of, stream
from medshard.testing.synthetic.raster_file import EXTENSIONS, ImageFormat, write_raster
from medshard.testing.synthetic.truth import BreastImage, BreastTruth, Lesion

__all__ = ["DEMO_CASES", "breast_ultrasound"]

_ClassName = Literal["benign", "malignant", "normal"]

DEMO_CASES: Mapping[_ClassName, int] = {"benign": 34, "malignant": 24, "normal": 14}

_FOLDER = "Dataset_BUSI_with_GT"


def breast_ultrasound(
    root: Path | str,
    *,
    seed: int = 0,
    cases: Mapping[_ClassName, int] = DEMO_CASES,
    image_format: ImageFormat = "png",
    mixed_mask_modes: bool = False,
    canary: str | None = None,
) -> BreastTruth:
    """Write ``Dataset_BUSI_with_GT/{class}/{class} (N).png`` and ``{class} (N)_mask.png``.

    Every eighth benign case from number 4 and the fifth malignant one have a second lesion in ``_mask_1.png``. Normal
    cases have a mask of zeros. A case depends on seed, class and number only, not on how many there are.

    Args:
        root: folder to write below; made if absent.
        seed: another seed gives other pictures.
        cases: number of cases of each class.
        image_format: container of the images, stored as RGB with three equal channels; masks are always PNG.
        mixed_mask_modes: masks are 8-bit grey with 0 and 255; with this, two thirds are 1-bit or RGB instead, as
            users of the published set report.
        canary: planted in the metadata of every file.

    Returns:
        The truth as painted. A mask is exactly the area whose tissue was replaced by a lesion.

    Raises:
        ValueError: an unknown class or format, or a canary that does not fit.
    """
    check_canary(canary)
    unknown = sorted(set(cases) - set(get_args(_ClassName)))
    if unknown or image_format not in EXTENSIONS:
        raise ValueError(
            f"breast_ultrasound: unknown classes {unknown} or image_format {image_format!r}; "
            f"classes: {', '.join(get_args(_ClassName))}; formats: {', '.join(EXTENSIONS)}."
        )
    base = Path(root)
    images = []
    for class_name, count in cases.items():
        folder = base / _FOLDER / class_name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            rng = stream(seed, "breast", class_name, number)
            shape_yx = (int(rng.integers(281, 430)), int(rng.integers(330, 540)))
            malignant = class_name == "malignant"
            supports = draw_lesions(rng, shape_yx, _lesions(class_name, number), malignant=malignant)
            grey = scan(rng, shape_yx, supports, malignant=malignant)
            stem = f"{class_name} ({number})"
            path = folder / f"{stem}.{EXTENSIONS[image_format]}"
            write_raster(path, np.repeat(grey[:, :, None], 3, axis=2), image_format, canary=canary)
            lesions = []
            for index, support in enumerate(supports or [np.zeros(shape_yx, np.bool_)]):
                mask_path = folder / f"{stem}_mask{f'_{index}' if index else ''}.png"
                _write_mask(mask_path, support, number % 3 if mixed_mask_modes else 0, canary)
                area_px = int(support.sum())
                box = box_of(support) if area_px else None
                lesions.append(Lesion(mask_path.relative_to(base).as_posix(), area_px, box))
            shown = path.relative_to(base).as_posix()
            images.append(BreastImage(shown, class_name, number, *shape_yx, tuple(lesions)))
    return BreastTruth(root=base, images=tuple(images))


def _lesions(class_name: _ClassName, number: int) -> int:
    """How many lesions a case has."""
    if class_name == "normal":
        return 0
    second = number % 8 == 4 if class_name == "benign" else number == 5
    return 2 if second else 1


def _write_mask(path: Path, support: Support, mode: int, canary: str | None) -> None:
    grey = np.where(support, np.uint8(255), np.uint8(0))
    if mode == 1:
        write_raster(path, support, canary=canary)
    elif mode == 2:
        write_raster(path, np.repeat(grey[:, :, None], 3, axis=2), canary=canary)
    else:
        write_raster(path, grey, canary=canary)
