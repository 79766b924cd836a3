"""torchio-data: a T2 volume, a parcellation on another grid, a 4D diffusion volume, a TIFF; key: the file."""

from __future__ import annotations

from pathlib import Path

from .decode import decode_image, decode_nifti, geometry_of, label_areas
from .expected import Expected, ExpectedSample, Pixels

IMAGES = ("data/fernando/t2.nii.gz", "data/dmri/dmri_oeslle.nii.gz")
LABELS = "data/fernando/t1_seg_gif.nii.gz"
TIFF = "data/slice_tiff/Synthesized_FLASH25_Sagittal_1043.tiff"


def expected(root: Path) -> Expected:
    samples = {}
    for key in (*IMAGES, LABELS):
        array, affine = decode_nifti(root / key)
        samples[key] = ExpectedSample(geometry=geometry_of(array, affine), pixels=Pixels.of(array))
        if key == LABELS:
            samples[key].masks = label_areas(array)
    samples[TIFF] = ExpectedSample(pixels=Pixels.of(decode_image(root / TIFF)))
    grids = {k: s.geometry for k, s in samples.items() if s.geometry}
    here, there = grids[IMAGES[0]], grids[LABELS]
    same = (here.shape_kji, here.affine_ijk_to_ras) == (there.shape_kji, there.affine_ijk_to_ras)
    transforms = [p for p in root.rglob("*") if p.suffix in (".tfm", ".h5")]
    counts = {
        "labels": len(samples[LABELS].masks),
        "labels_on_grid_of_t2": int(same),
        "transforms": len(transforms),
    }
    return Expected(samples, counts, {"transform_files": len(transforms)})
