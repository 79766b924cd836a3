"""Figure 1 COVID chest X-ray: one sample per image; key: images/<file>.

metadata.csv is read as Latin-1 and joins on the stem. The group is the patient id without its
trailing letter (COVID-00003a and COVID-00003b are one patient).
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from pathlib import Path

from .decode import decode_image
from .expected import Expected, ExpectedSample, Pixels, label, pick

LABELS = ("finding", "sex", "age", "view", "modality", "offset", "temperature", "pO2 saturation", "survival")
TEXTS = ("notes", "artifacts/distortion")


def expected(root: Path) -> Expected:
    raw = (root / "metadata.csv").read_bytes()
    rows = {row["patientid"]: row for row in csv.DictReader(io.StringIO(raw.decode("latin-1"), newline=""))}
    counts, samples, digests = Counter(rows=len(rows)), {}, Counter()
    counts["bytes_above_127"] = sum(byte > 127 for byte in raw)
    counts["bytes_of_windows_1252_only"] = sum(127 < byte < 160 for byte in raw)
    for path in sorted((root / "images").iterdir()):
        row, array = rows.get(path.stem), decode_image(path)
        sample = ExpectedSample(group=path.stem.rstrip("abc"))
        for name in LABELS:
            sample.labels[name] = label(row[name] if row else None)
        sample.texts = {name: row[name].strip() if row else "" for name in TEXTS}
        counts["images_without_row"] += row is None
        counts["notes_empty"] += not sample.texts["notes"]
        counts["grey" if array.ndim == 2 else "rgb"] += 1
        counts[f"finding.{sample.labels['finding'].raw}"] += 1
        digests[hashlib.sha256(path.read_bytes()).hexdigest()] += 1
        samples[path.relative_to(root).as_posix()] = sample
    counts["groups"] = len({s.group for s in samples.values()})
    counts["identical_bytes"] = sum(n - 1 for n in digests.values())
    counts["rows_without_image"] = len(set(rows) - {Path(key).stem for key in samples})
    for key in pick(samples):
        samples[key].pixels = Pixels.of(decode_image(root / key))
    return Expected(samples, dict(counts), {"rows_without_image": counts["rows_without_image"]})
