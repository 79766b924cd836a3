"""RBC-COCO: one sample per image and split folder; key: <split>/<file>. COCO boxes: zero-based x, y, w, h."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

from PIL import Image

from .decode import decode_image
from .expected import Expected, ExpectedSample, Pixels, pick


def expected(root: Path) -> Expected:
    counts, samples = Counter(), {}
    byte_owners, stem_owners = defaultdict(set), defaultdict(list)
    for split in ("train", "valid", "test"):
        tree = json.loads((root / split / "_annotations.coco.json").read_text())
        names = {c["id"]: c["name"] for c in tree["categories"]}
        by_id = {}
        for entry in tree["images"]:
            path = root / split / entry["file_name"]
            key = f"{split}/{entry['file_name']}"
            if not path.is_file():
                counts["listed_without_image"] += 1
                continue
            stem = entry["file_name"].split("_png.rf.")[0]
            samples[key] = by_id[entry["id"]] = ExpectedSample(split=split, group=stem)
            counts[f"split.{split}"] += 1
            with Image.open(path) as image:
                counts["size_disagrees"] += image.size != (entry["width"], entry["height"])
            byte_owners[hashlib.sha256(path.read_bytes()).hexdigest()].add(split)
            stem_owners[stem].append(split)
        sizes = {e["id"]: (e["width"], e["height"]) for e in tree["images"]}
        for item in tree["annotations"]:
            x, y, width, height = (float(v) for v in item["bbox"])
            name, limit = names[item["category_id"]], sizes[item["image_id"]]
            by_id[item["image_id"]].boxes.append((name, x, y, x + width, y + height))
            counts[f"boxes.{name}"] += 1
            counts[f"boxes.{split}"] += 1
            counts["boxes_outside_image"] += x < 0 or y < 0 or x + width > limit[0] or y + height > limit[1]
            counts["boxes_without_area"] += width <= 0 or height <= 0
            counts["fractional_boxes"] += any(v % 1 for v in item["bbox"])
            counts["crowd"] += bool(item["iscrowd"])
            counts["segmentation_not_empty"] += bool(item["segmentation"])
        counts["images_without_annotation"] += sum(not s.boxes for s in by_id.values())
        counts["images_without_record"] += len(list((root / split).glob("*.jpg"))) - len(by_id)
        counts["duplicate_boxes"] += sum(len(s.boxes) - len(set(s.boxes)) for s in by_id.values())
    counts["identical_bytes_across_splits"] = sum(len(splits) > 1 for splits in byte_owners.values())
    counts["stems"] = len(stem_owners)
    counts["stems_repeated"] = sum(len(splits) > 1 for splits in stem_owners.values())
    counts["leaked_stems"] = sum(len(set(splits)) > 1 for splits in stem_owners.values())
    for key in pick(samples):
        samples[key].pixels = Pixels.of(decode_image(root / key))
    return Expected(samples, dict(counts), {"listed_without_image": counts["listed_without_image"]})
