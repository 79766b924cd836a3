"""LGG MRI: one sample per TIFF slice that is not a mask; key: kaggle_3m/<folder>/<folder>_<n>.tif.

The patient (group) is the folder name without its date; data.csv joins on it. `texts['slice']` is the number.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np

from .decode import decode_image
from .expected import Expected, ExpectedSample, MaskArea, Pixels, label


def expected(root: Path) -> Expected:
    base, counts, samples = root / "kaggle_3m", Counter(), {}
    with open(base / "data.csv", newline="", encoding="utf-8") as file:
        rows = {row["Patient"]: row for row in csv.DictReader(file)}
    folders = sorted(p for p in base.iterdir() if p.is_dir())
    patients = {p.name.rpartition("_")[0] for p in folders}
    counts["rows"], counts["rows_without_folder"] = len(rows), len(set(rows) - patients)
    counts["folders"], counts["folders_without_row"] = len(folders), len(patients - set(rows))
    counts["cells_empty"] = sum(not v for row in rows.values() for v in row.values())
    counts["rows_mostly_empty"] = sum(sum(not v for v in row.values()) > 6 for row in rows.values())
    for path in (p for folder in folders for p in sorted(folder.glob("*.tif")) if not p.stem.endswith("_mask")):
        patient, number = path.parent.name.rpartition("_")[0], path.stem.rpartition("_")[2]
        mask_path = path.with_name(f"{path.stem}_mask.tif")
        sample = ExpectedSample(group=patient, texts={"slice": number}, pixels=Pixels.of(decode_image(path)))
        row = rows.get(patient, {})
        sample.labels = {name: label(row.get(name)) for name in next(iter(rows.values())) if name != "Patient"}
        if mask_path.exists():
            mask = decode_image(mask_path)
            sample.masks["mask"] = MaskArea.of(mask > 0)
            counts["masks_empty"] += not mask.any()
            counts["masks_not_0_255"] += not set(np.unique(mask).tolist()) <= {0, 255}
        counts["slices_without_mask"] += not mask_path.exists()
        samples[path.relative_to(root).as_posix()] = sample
    counts["slices"] = len(samples)
    return Expected(samples, dict(counts), {"rows_without_folder": counts["rows_without_folder"]})
