"""BCCD: one sample per JPEG with a Pascal VOC XML; key: BCCD/JPEGImages/<stem>.jpg.

VOC corners are one-based and inclusive, so x0 = xmin - 1, x1 = xmax (and y alike).
"""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from .decode import decode_image
from .expected import Expected, ExpectedSample, Pixels, pick

SIDES = ("xmin", "ymin", "xmax", "ymax")


def expected(root: Path) -> Expected:
    base, counts, samples = root / "BCCD", Counter(), {}
    lists = {
        s: (base / "ImageSets/Main" / f"{s}.txt").read_text().split() for s in ("train", "val", "test", "trainval")
    }
    splits = {stem: split for split in ("train", "val", "test") for stem in lists[split]}
    images = {p.stem: p for p in (base / "JPEGImages").glob("*.jpg")}
    for split, stems in lists.items():
        counts[f"listed.{split}"] = len(stems)
        counts[f"listed_without_image.{split}"] = len(set(stems) - set(images))
    rows = Counter()
    for path in sorted((base / "Annotations").glob("*.xml")):
        tree = ET.parse(path).getroot()
        sample = ExpectedSample(split=splits.get(path.stem, ""))
        width, height = int(tree.findtext("size/width")), int(tree.findtext("size/height"))
        for item in tree.iter("object"):
            name = item.findtext("name")
            xmin, ymin, xmax, ymax = (int(item.findtext(f"bndbox/{side}")) for side in SIDES)
            sample.boxes.append((name, xmin - 1.0, ymin - 1.0, float(xmax), float(ymax)))
            rows[path.stem, name, xmin, ymin, xmax, ymax] += 1
            counts[f"boxes.{name}"] += 1
            counts["truncated"] += item.findtext("truncated") == "1"
            counts["corner_below_one"] += min(xmin, ymin) < 1
            counts["corner_is_one"] += min(xmin, ymin) == 1
            counts["corner_at_far_edge"] += xmax == width or ymax == height
            counts["corner_beyond_image"] += xmax > width or ymax > height
            counts["single_pixel_boxes"] += xmin == xmax and ymin == ymax
            counts["inverted_boxes"] += xmax < xmin or ymax < ymin
        counts["duplicate_boxes"] += sum(n - 1 for key, n in rows.items() if key[0] == path.stem and n > 1)
        counts["xml_without_image"] += path.stem not in images
        counts["xml_names_another_file"] += tree.findtext("filename") != f"{path.stem}.jpg"
        counts[f"split.{sample.split or 'none'}"] += 1
        if path.stem in images:
            samples[images[path.stem].relative_to(root).as_posix()] = sample
    counts["images_without_annotation"] = len(images) - len(samples)
    counts["boxes"] = sum(rows.values())
    for key in pick(samples):
        samples[key].pixels = Pixels.of(decode_image(root / key))
    counts.update(_flat_table(root, rows))
    return Expected(samples, dict(counts), {"listed_without_image": len(set(splits) - set(images))})


def _flat_table(root: Path, rows: Counter) -> dict[str, int]:
    """test.csv holds the same boxes for the whole set: compare those of the images that are here."""
    with open(root / "test.csv", newline="") as file:
        table = list(csv.DictReader(file))
    here = {key[0] for key in rows}
    flat = Counter((r["filename"][:-4], r["cell_type"], *(int(float(r[s])) for s in SIDES)) for r in table)
    different = (flat - rows) + (rows - flat)
    return {"csv.rows": len(table), "csv.images": len({r["filename"] for r in table})} | {
        "csv.boxes_that_differ": sum(n for key, n in different.items() if key[0] in here)
    }
