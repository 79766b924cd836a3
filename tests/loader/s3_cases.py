"""A program that streams a corpus from S3 and prints one line a batch; see ``test_loader_s3.py``.

Arguments: the case, the corpus's address. It is a process of its own, since whether a process has used obstore before
it forks is what is tested.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import medshard
from medshard.corpus.corpus import Corpus
from medshard.errors import StorageError

from streams import TRANSFORM, streamed  # isort: skip


def loader(corpus: Corpus) -> medshard.Loader:
    """The loader of all cases."""
    return medshard.Loader(corpus, 16, transform=TRANSFORM, seed=1, threads=1)


def main(case: str, url: str) -> None:
    """Stream by one way and print."""
    from torch.utils.data import DataLoader

    mine: Any = loader(medshard.open(url))
    if case != "alone":
        method = case.removeprefix("workers-")
        mine = DataLoader(mine, batch_size=None, num_workers=2, multiprocessing_context=method, timeout=120)
    try:
        for batch in streamed(mine):
            print(json.dumps(batch))
    except StorageError as error:
        print(f"error {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
