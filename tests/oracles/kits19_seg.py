"""KiTS19: one sample per case folder, mask only (no images here); key: data/<case>/segmentation.nii.gz."""

from __future__ import annotations

import json
from pathlib import Path

from .decode import decode_nifti, geometry_of, label_areas
from .expected import Expected, ExpectedSample, Label

FIELDS = ("age_at_nephrectomy", "gender", "malignant")


def expected(root: Path) -> Expected:
    records = {r["case_id"]: r for r in json.loads((root / "data/kits.json").read_text())}
    folders = sorted(p for p in (root / "data").iterdir() if p.is_dir())
    counts = {"records": len(records), "folders": len(folders)}
    counts["records_without_folder"] = len(set(records) - {p.name for p in folders})
    counts["folders_without_record"] = sum(p.name not in records for p in folders)
    counts["images"] = sum((p / "imaging.nii.gz").exists() for p in folders)
    counts["spacing_disagrees"] = 0
    samples = {}
    for folder in folders:
        array, affine = decode_nifti(folder / "segmentation.nii.gz")
        sample = ExpectedSample(group=folder.name, geometry=geometry_of(array, affine), masks=label_areas(array))
        record = records.get(folder.name, {})
        for name in FIELDS:
            value = record.get(name)
            raw = value if isinstance(value, str) else json.dumps(value)
            sample.labels[name] = Label("", "null" if name in record else "missing") if value is None else Label(raw)
        spacing = record.get("voxel_spacing", {})
        stated = [spacing.get(f"{axis}_spacing") for axis in "zyx"]  # the file's first axis is z
        counts["spacing_disagrees"] += stated != [float(v) for v in (affine[:3, :3] ** 2).sum(axis=0) ** 0.5]
        samples[f"data/{folder.name}/segmentation.nii.gz"] = sample
    return Expected(samples, counts, {"image_missing": len(folders) - counts["images"]})
