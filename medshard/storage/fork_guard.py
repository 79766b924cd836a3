"""Refuses obstore in a process that was forked from one that used it.

Note [obstore and fork]: obstore runs a pool of threads that does not survive a fork. A forked child of a process that
has used it, with any store, waits for ever in its first request (seen with obstore 0.12.1; tokio, on which it is built,
does not support a fork once it runs). So the process that first uses obstore through medshard is remembered, children
inherit the memory, and a child that finds another pid there refuses at once instead of hanging. A child of a parent
that never used obstore may use it; importing it is no use. Use of obstore by code outside medshard is not seen here.
"""

from __future__ import annotations

import os

from medshard.errors import StorageError

__all__ = ["claim_obstore"]

_user: dict[str, int] = {}


def claim_obstore(url: str) -> None:
    """To be called before each use of obstore.

    Args:
        url: what is to be read, for the message.

    Raises:
        StorageError: this process was forked from one that had used obstore.
    """
    # setdefault is atomic; a lock could be held by another thread at the moment of the fork, and then for ever
    if _user.setdefault("pid", os.getpid()) != os.getpid():
        raise StorageError(
            f"{url} cannot be read in this process: it was forked from one that had already read from object storage, "
            'and would hang. Start workers by spawn: DataLoader(..., multiprocessing_context="spawn"), or '
            'multiprocessing.get_context("spawn").'
        )
