"""Open-i reports: one sample per XML in the archive; key: NLMCXR_reports.tgz!<member>.

Sections stripped, by AbstractText Label; MeSH major terms raw (some end in a space); refs: parentImage ids.
"""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from .expected import Expected, ExpectedSample

ARCHIVE = "NLMCXR_reports.tgz"


def expected(root: Path) -> Expected:
    counts, samples, bodies = Counter(), {}, Counter()
    with tarfile.open(root / ARCHIVE) as archive:
        for member in archive:
            if not member.isfile():
                continue
            tree = ET.fromstring(archive.extractfile(member).read())
            sample = ExpectedSample(group=tree.find("uId").get("id"))
            for part in tree.iter("AbstractText"):
                name, text = part.get("Label"), (part.text or "").strip()
                sample.texts[name] = text
                counts[f"sections.{name}"] += bool(text)
                counts[f"sections_with_XXXX.{name}"] += "XXXX" in text
                counts[f"sections_of_XXXX_only.{name}"] += bool(text) and not text.strip("X ,./?-")
            sample.terms = [major.text for major in tree.iter("major")]
            sample.refs = [image.get("id") for image in tree.iter("parentImage")]
            findings, impression = sample.texts["FINDINGS"], sample.texts["IMPRESSION"]
            bodies[findings, impression] += 1
            counts["reports_without_findings_and_impression"] += not (findings or impression)
            counts["reports_with_impression_only"] += bool(impression and not findings)
            counts["reports_with_findings_only"] += bool(findings and not impression)
            counts["reports_without_images"] += not sample.refs
            counts["images"] += len(sample.refs)
            counts["terms"] += len(sample.terms)
            counts["terms_with_outer_spaces"] += sum(t != t.strip() for t in sample.terms)
            counts["reports_with_repeated_terms"] += len(set(sample.terms)) < len(sample.terms)
            counts["reports_normal"] += sample.terms == ["normal"]
            counts["reports_not_indexed"] += "No Indexing" in sample.terms
            samples[f"{ARCHIVE}!{member.name}"] = sample
    counts["reports"] = len(samples)
    counts["terms_distinct"] = len({t for s in samples.values() for t in s.terms})
    counts["reports_with_repeated_body"] = sum(n for body, n in bodies.items() if n > 1 and any(body))
    with gzip.open(root / "nlmcxr_dicom_metadata.csv.gz") as file:
        ids = [row["imageid"] for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))]
    named = {ref for s in samples.values() for ref in s.refs}
    counts["header_rows"], counts["header_rows_without_report"] = len(ids), len(set(ids) - named)
    counts["images_without_header_row"] = len(named - set(ids))
    return Expected(
        samples,
        dict(counts),
        {"neither_findings_nor_impression": counts["reports_without_findings_and_impression"]},
    )
