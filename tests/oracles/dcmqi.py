"""dcmqi: one sample per image series; key: its first file by name (for the zip: <zip>!<member>).

`pixels` is the digest of the rescaled float64 (k, j, i) array;
`refused` names the DICOM files that are not images.
"""

from __future__ import annotations

import zipfile
from collections import Counter, defaultdict
from io import BytesIO
from pathlib import Path

import pydicom

from .dicom_volume import sample_of_frames, sample_of_slices
from .expected import Expected

NOT_IMAGES = ("SEG", "SR", "RWV")
ZIP = "data/paramaps/pm-example-dcm.zip"


def expected(root: Path) -> Expected:
    series, samples, refused, counts = defaultdict(dict), {}, {}, Counter()
    files = {p.relative_to(root).as_posix(): p for p in sorted(root.rglob("*")) if p.suffix in (".dcm", ".seg")}
    with zipfile.ZipFile(root / ZIP) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".dcm")):
            files[f"{ZIP}!{name}"] = BytesIO(archive.read(name))
    for key, source in files.items():
        data = pydicom.dcmread(source)
        if data.Modality in NOT_IMAGES:
            refused[key] = data.Modality
            counts[f"not_images.{data.Modality}"] += 1
        elif "NumberOfFrames" in data:
            samples[key] = sample_of_frames(data)
            counts["multi_frame"] += 1
        else:
            # The file beside the zip is a copy of the zip's first member, so the folder is part of the key.
            series[key.rpartition("/")[0], data.SeriesInstanceUID][key] = data
    for members in series.values():
        samples[min(members)] = sample_of_slices(list(members.values()))
        counts["single_frame_files"] += len(members)
    counts["series"] = len(series)
    return Expected(samples, dict(counts), {f"modality.{m}": counts[f"not_images.{m}"] for m in NOT_IMAGES}, refused)
