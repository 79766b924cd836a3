"""A program that reads from a storage in its children and prints what came of it; see ``test_fork.py``.

Arguments: the case, the address of a storage that holds the object ``a.bin``. A child that has not answered after 10 s
counts as hung.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import sys
from typing import Any

from medshard.errors import StorageError
from medshard.storage import Storage, open_storage

HUNG_AFTER_S = 10


def read_into(pipe: multiprocessing.connection.Connection, storage: Storage) -> None:
    try:
        pipe.send(f"data {bytes(storage.read('a.bin')).decode()}")
    except StorageError as error:
        pipe.send(f"error {error}")


def forked(storage: Storage) -> str:
    """What a forked child says."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    child = context.Process(target=read_into, args=(theirs, storage))
    child.start()
    said = mine.recv() if mine.poll(HUNG_AFTER_S) else "hung"
    child.join(HUNG_AFTER_S)
    if child.is_alive():
        child.kill()
        return f"{said}, and does not end"
    return said


def child_and_grandchild(pipe: multiprocessing.connection.Connection, storage: Storage) -> None:
    read_into(pipe, storage)
    pipe.send(forked(storage))


def loaded(storage: Storage, method: str) -> str:
    """What a worker of torch's DataLoader says."""
    from torch.utils.data import DataLoader

    # a spawned worker imports torch first, which may take long; a forked one has it
    timeout_s = HUNG_AFTER_S if method == "fork" else 120
    dataset: Any = Numbered(storage)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context=method, timeout=timeout_s)
    try:
        return "data " + " ".join(loader)
    except StorageError as error:
        return f"error {error}"


class Numbered:
    """Items read from a storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> str:
        return bytes(self.storage.read("a.bin", index, 1)).decode()


def main() -> None:
    case, url = sys.argv[1:]
    storage = open_storage(url)
    if "after-read" in case:
        assert bytes(storage.read("a.bin")) == b"abc"
    if case.startswith("fork"):
        print(forked(open_storage(url) if "another" in case else storage))
        if "after-read" in case:
            assert bytes(storage.read("a.bin")) == b"abc"  # the parent goes on
        print(forked(storage))
    elif case.startswith("grandchild"):
        context = multiprocessing.get_context("fork")
        mine, theirs = context.Pipe()
        child = context.Process(target=child_and_grandchild, args=(theirs, storage))
        child.start()
        for _ in range(2):
            print(mine.recv() if mine.poll(2 * HUNG_AFTER_S) else "hung")
        child.kill()
        child.join()
    else:
        print(loaded(storage, case.split("-")[-1]))


if __name__ == "__main__":
    main()
