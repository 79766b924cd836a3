"""VQA-RAD: one sample per (split, image) with an image here; key: data/images/<file>#<split>.

Questions and answers in the file's order, stripped at both ends, numbers as text; `qa_types` is parallel.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

from .decode import decode_image
from .expected import Expected, ExpectedSample, Label, Pixels, pick


def expected(root: Path) -> Expected:
    counts, samples = Counter(), {}
    owners, asked = defaultdict(set), defaultdict(set)
    images = {p.name for p in (root / "data/images").iterdir()}
    for split in ("train", "test"):
        rows = json.loads((root / "data" / f"{split}set.json").read_text(encoding="utf-8"))
        counts[f"rows.{split}"] = len(rows)
        counts[f"images_named.{split}"] = len({r["image_name"] for r in rows})
        for row in rows:
            owners[row["image_name"]].add(split)
            question, answer = row["question"].strip(), str(row["answer"]).strip()
            asked[row["image_name"], question.lower()].add(split)
            if row["image_name"] not in images:
                counts[f"rows_without_image.{split}"] += 1
                continue
            key = f"data/images/{row['image_name']}#{split}"
            sample = samples.setdefault(key, ExpectedSample(split=split, group=row["image_name"]))
            organ, kind = row["image_organ"].strip(), row["answer_type"].strip().upper()
            counts["organ_disagrees"] += sample.labels.setdefault("image_organ", Label(organ)).raw != organ
            counts["qa_repeated_in_sample"] += (question, answer) in sample.qa
            sample.qa.append((question, answer))
            sample.qa_types.append(kind)
            counts["qa"] += 1
            counts[f"qa.{split}"] += 1
            counts[f"answer_type.{kind}"] += 1
            counts["answer_type_with_spaces"] += row["answer_type"] != row["answer_type"].strip()
            counts["answers_not_text"] += not isinstance(row["answer"], str)
            counts["questions_with_outer_spaces"] += row["question"] != question
            counts["texts_with_tab"] += "\t" in question or "\t" in answer
            counts["texts_with_replacement_character"] += "\ufffd" in question + answer
            counts["closed_not_yes_or_no"] += kind == "CLOSED" and answer.lower() not in ("yes", "no")
            counts["questions_without_question_mark"] += not question.endswith("?")
    counts["leaked_images"] = sum(len(s) > 1 for name, s in owners.items() if name in images)
    counts["leaked_images_named"] = sum(len(s) > 1 for s in owners.values())
    counts["leaked_questions"] = sum(len(s) > 1 for (name, _), s in asked.items() if name in images)
    counts["images"] = len(images)
    for key in pick(samples):
        samples[key].pixels = Pixels.of(decode_image(root / key.split("#")[0]))
    missing = counts["rows_without_image.train"] + counts["rows_without_image.test"]
    return Expected(samples, dict(counts), {"rows_without_image": missing})
