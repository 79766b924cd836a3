"""SCT: one sample per image volume of t1, t2, t2s, mt, dmri; key: the image file.

Masks belong to an image by the table below. They are measured where the shapes are equal and the affines
differ by less than 1e-3; `grid_difference` holds the largest difference of an element, for a stricter rule.
Mask keys: '<stem>=<value>' for integral masks, '<stem>>0' and '<stem>>=0.5' for others.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np

from .decode import decode_nifti, geometry_of, label_areas
from .expected import Expected, ExpectedSample, MaskArea, Pixels

MASKS = {
    "t1/t1w": ["t1w_seg-manual"],
    "t2/t2": [
        *("t2_seg-manual", "t2_seg-manual_labeled", "t2_centerline-manual", "t2_centerline-optic"),
        *(
            "t2_seg-deepseg_sc-2d",
            "t2_seg-deepseg_sc-3d",
            "t2_seg-deepseg_rootlets",
            "t2_seg-deepseg_rootlets-manual",
        ),
        *("t2_seg-deepseg_rootlets-manual_midpoints", "t2_labeled_center_manual", "labels"),
    ],
    "t2/t2_fake_lesion": ["t2_fake_lesion_lesion_seg", "t2_fake_lesion_sc_seg"],
    "t2s/t2s": [
        "t2s_seg",
        "t2s_gmseg_manual",
        "t2s_seg-deepseg",
        "t2s_centerline-optic",
        "MNI-Poly-AMU_level_crop",
    ],
    "mt/mt0": ["mt0_seg", "mt0_mask_viewer"],
    "mt/mt1": ["mt1_seg", "mt1_gmseg", "mt1_wmseg", "mt1_point"],
    "mt/t1w": [],
    "mt/mtr": [],
    "dmri/dmri": [],
    "dmri/dwi": [],
    "dmri/dwi_mean": ["dwi_mean_centerline-optic"],
}


def expected(root: Path) -> Expected:
    counts, samples, used = Counter(), {}, set()
    for image, stems in MASKS.items():
        path = root / f"{image}.nii.gz"
        array, affine = decode_nifti(path)
        sample = ExpectedSample(group=image.split("/")[0], geometry=geometry_of(array, affine))
        sample.pixels = Pixels.of(array)
        counts["images_with_scaled_integers"] += nib.load(path).get_data_dtype().kind == "i" and array.dtype.kind == "f"
        counts["images_not_finite"] += not np.isfinite(array).all()
        counts["images_4d"] += array.ndim == 4
        for stem in stems:
            mask_path = path.with_name(f"{stem}.nii.gz")
            used.add(mask_path)
            _add_mask(sample, counts, stem, mask_path, array.shape[-3:], affine)
        used.add(path)
        samples[path.relative_to(root).as_posix()] = sample
    others = [p for p in root.rglob("*.nii.gz") if p not in used]
    left_out = Counter(f"volumes.{p.relative_to(root).parent.as_posix()}" for p in others)
    return Expected(samples, dict(counts), dict(left_out))


def _add_mask(
    sample: ExpectedSample, counts: Counter, stem: str, path: Path, shape: tuple[int, ...], affine: np.ndarray
) -> None:
    mask, mask_affine = decode_nifti(path)
    counts[f"mask_dtype.{mask.dtype.name}"] += 1
    difference = float(np.abs(mask_affine - affine).max())
    if mask.shape != shape or difference >= 1e-3:
        counts["masks_on_another_grid"] += 1
        return
    sample.grid_difference[stem] = difference
    counts["masks_within_1e-4"] += difference < 1e-4
    counts["masks_within_1e-3_only"] += difference >= 1e-4
    if not np.array_equal(mask, np.round(mask)):
        counts["masks_not_integral"] += 1
        counts["masks_above_one"] += bool((mask > 1).any())
        sample.masks |= {f"{stem}>0": MaskArea.of(mask > 0), f"{stem}>=0.5": MaskArea.of(mask >= 0.5)}
        return
    areas = label_areas(mask)
    sample.masks |= {f"{stem}={value}": area for value, area in areas.items()}
    if all(area.area == 1 for area in areas.values()):
        counts["masks_of_points"] += 1
        sample.points |= {f"{stem}={value}": area.box[:3] for value, area in areas.items()}
