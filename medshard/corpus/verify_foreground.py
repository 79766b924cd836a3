"""Whether the foreground index is that of the masks."""

from __future__ import annotations

import numpy as np

from medshard.corpus.corpus import Corpus
from medshard.corpus.foreground import FOREGROUND_NAME, ForegroundIndex
from medshard.errors import MedshardError
from medshard.volumes.foreground import Foreground, index_foreground

__all__ = ["verify_foreground"]


def verify_foreground(corpus: Corpus, checked: dict[str, int], *, quick: bool) -> list[str]:
    """What is wrong with the index, in words.

    Args:
        checked: gets the number of masks that were looked up.
        quick: only whether it has the masks of the corpus and no others, without a look at these.
    """
    if FOREGROUND_NAME not in corpus.manifest.index:
        return []
    try:
        index = ForegroundIndex(corpus.storage)
    except MedshardError as error:
        return [str(error)]
    rows = {
        (str(key), str(medium["slot"])): row
        for row, (key, media) in enumerate(
            zip(corpus.samples["key"].to_pylist(), corpus.samples["media"].to_pylist(), strict=True)
        )
        for medium in media
        if medium["kind"] == "mask" and medium["present"] and ".ome.zarr" in (medium["part"] or "")
    }
    problems = []
    checked["indexed masks"] = 0
    for key, slot in index.places:
        where = f"{FOREGROUND_NAME}: {key}, {slot}"
        if (key, slot) not in rows:
            problems.append(f"{where}: the corpus has no such mask in 3D")
            continue
        checked["indexed masks"] += 1
        if quick:
            continue
        try:
            stored, found = index.find(key, slot), index_foreground(corpus.sample(key).volume(slot).read())
        except MedshardError as error:
            problems.append(f"{where}: {error}")
            continue
        if stored is None or not _same(stored, found):
            problems.append(f"{where}: is not the index of the stored mask; run medshard build again")
    return problems


def _same(one: Foreground, other: Foreground) -> bool:
    return (
        np.array_equal(one.values, other.values)
        and np.array_equal(one.counts, other.counts)
        and np.array_equal(one.boxes_zyx, other.boxes_zyx)
        and all(map(np.array_equal, one.points_zyx, other.points_zyx))
    )
