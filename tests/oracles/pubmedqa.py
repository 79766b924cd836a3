"""PubMedQA: one sample per PMID; key: data/ori_pqal.json#<PMID>.

Split 'test' where the second file has the key, else 'train'. Contexts: `texts['<number>.<section>']`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from .expected import Expected, ExpectedSample, Label


def expected(root: Path) -> Expected:
    records = json.loads((root / "data/ori_pqal.json").read_text(encoding="utf-8"))
    truth = json.loads((root / "data/test_ground_truth.json").read_text(encoding="utf-8"))
    counts, samples = Counter(), {}
    for pmid, record in records.items():
        sample = ExpectedSample(split="test" if pmid in truth else "train", group=pmid)
        sample.labels["final_decision"] = Label(record["final_decision"])
        sample.qa = [(record["QUESTION"].strip(), record["LONG_ANSWER"].strip())]
        for number, (section, context) in enumerate(zip(record["LABELS"], record["CONTEXTS"], strict=True)):
            sample.texts[f"{number}.{section}"] = context.strip()
        sample.terms = list(record["MESHES"])
        texts = [record["QUESTION"], record["LONG_ANSWER"], *record["CONTEXTS"]]
        counts["contexts"] += len(record["CONTEXTS"])
        counts["texts_under_25_characters"] += sum(len(t) < 25 for t in texts)
        counts["texts_with_outer_spaces"] += sum(t != t.strip() for t in texts)
        counts["texts_empty"] += sum(not t.strip() for t in texts)
        counts["year_null"] += record["YEAR"] is None
        counts[f"split.{sample.split}"] += 1
        counts[f"decision.{record['final_decision']}"] += 1
        counts[f"decision.{sample.split}.{record['final_decision']}"] += 1
        samples[f"data/ori_pqal.json#{pmid}"] = sample
    counts["truth_disagrees"] = sum(v != records[k]["final_decision"] for k, v in truth.items() if k in records)
    counts["truth_without_record"] = len(set(truth) - set(records))
    return Expected(samples, dict(counts), {"truth_without_record": counts["truth_without_record"]})
