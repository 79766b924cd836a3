"""BUSI: one sample per PNG; key: Dataset_BUSI_with_GT/<class>/<file>. Captions join on <class>/<file>."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np

from .decode import decode_image
from .expected import Expected, ExpectedSample, Label, Pixels, pick


def expected(root: Path) -> Expected:
    base, counts, samples = root / "Dataset_BUSI_with_GT", Counter(), {}
    raw = (base / "all_captions.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
    captions = {row["image_path"]: row for row in rows}
    counts["captions"], counts["captions_duplicate"] = len(rows), len(rows) - len(captions)
    counts["captions_distinct"] = len({row["text_caption"] for row in rows})
    counts["crlf_lines"] = raw.count(b"\r\n")
    for row in rows:
        counts[f"captions.{row['label']}"] += 1
        counts["label_disagrees_with_folder"] += row["label"] != row["image_path"].split("/")[0]
    for path in sorted(base.rglob("*.png")):
        name, array = path.relative_to(base).as_posix(), decode_image(path)
        row = captions.get(name)
        sample = ExpectedSample(labels={"class": Label(path.parent.name)})
        sample.texts["caption"] = row["text_caption"].strip() if row else ""
        counts[f"class.{path.parent.name}"] += 1
        counts["images_without_caption"] += row is None
        counts["images_with_colour"] += bool(np.ptp(array.astype(int), axis=2).any())
        samples[path.relative_to(root).as_posix()] = sample
    here = {key.split("/", 1)[1] for key in samples}
    counts["captions_without_image"] = len(set(captions) - here)
    for key in pick(samples):
        samples[key].pixels = Pixels.of(decode_image(root / key))
    return Expected(samples, dict(counts), {"captions_without_image": counts["captions_without_image"]})
