"""Counts over the index of a corpus."""

from __future__ import annotations

from collections import Counter
from typing import Any

from medshard.corpus.corpus import Corpus

__all__ = ["statistics"]


def statistics(corpus: Corpus) -> dict[str, Any]:
    """Numbers of a corpus or a selection, most frequent first."""
    samples = corpus.samples.take(corpus.rows).to_pylist()
    items = corpus.items.take(corpus.item_rows)
    media = [medium for sample in samples for medium in sample["media"] if medium["present"]]
    concepts: Counter[str] = Counter()
    for sample in samples:
        concepts.update(sample["concepts"])
    return {
        "samples": len(samples),
        "items": len(items),
        "patients or groups": len({sample["group"] for sample in samples if sample["group"] is not None}),
        "by dataset": _counted(sample["dataset"] for sample in samples),
        "by split": _counted(sample["split"] for sample in samples),
        "by modality": _counted(sample["modality"] or "unknown" for sample in samples),
        "by task": _counted(task or "no text" for task in items["task"].to_pylist()),
        "by language": _counted(lang or "none" for lang in items["lang"].to_pylist()),
        "media": _counted(f"{m['kind']} {m['dtype']}" for m in media),
        "shapes": _counted(f"{m['kind']} {' x '.join(map(str, m['shape']))}" for m in media),
        "samples with concept": dict(concepts.most_common()),
    }


def _counted(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())
