"""Which rank of how many this process is."""

from __future__ import annotations

import os

import torch.distributed as distributed

from medshard.errors import LoaderError

__all__ = ["rank_and_world"]


def rank_and_world(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """As given; else of the process group; else of the environment that torchrun sets; else one process.

    Raises:
        LoaderError: only one of the two is given, or the rank is not below the world's size.
    """
    if (rank is None) != (world_size is None):
        raise LoaderError("rank and world_size go together")
    if rank is None or world_size is None:
        if distributed.is_available() and distributed.is_initialized():
            rank, world_size = distributed.get_rank(), distributed.get_world_size()
        else:
            rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if not 0 <= rank < world_size:
        raise LoaderError(f"rank {rank} is not below the world's size {world_size}")
    return rank, world_size
