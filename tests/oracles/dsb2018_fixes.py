"""DSB 2018: one sample per case folder; key: the image PNG.

Masks by file stem, one nucleus each; pixels are RGBA as stored.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .decode import decode_image
from .expected import Expected, ExpectedSample, MaskArea, Pixels


def expected(root: Path) -> Expected:
    counts, samples = Counter(), {}
    for case in sorted((root / "stage1_train").iterdir()):
        (image_path,) = (case / "images").iterdir()
        image = decode_image(image_path)
        sample = ExpectedSample(group=case.name, pixels=Pixels.of(image))
        owners = np.zeros(image.shape[:2], dtype=int)
        for path in sorted((case / "masks").iterdir()):
            raw = decode_image(path)
            mask = raw > 0
            owners += mask
            sample.masks[path.stem] = MaskArea.of(mask)
            counts["masks_not_0_255"] += not set(np.unique(raw).tolist()) <= {0, 255}
            counts["masks_empty"] += not mask.any()
            pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True)
            counts["masks_in_several_pieces"] += int(sitk.GetArrayViewFromImage(pieces).max()) > 1
        counts["masks"] += len(sample.masks)
        counts["pixels_in_several_masks"] += int((owners > 1).sum())
        counts["images_with_transparency"] += bool((image[..., 3] < 255).any())
        counts["images_with_colour"] += bool(np.ptp(image[..., :3].astype(int), axis=2).any())
        counts[f"size.{image.shape[1]}x{image.shape[0]}"] += 1
        samples[image_path.relative_to(root).as_posix()] = sample
    return Expected(samples, dict(counts))
