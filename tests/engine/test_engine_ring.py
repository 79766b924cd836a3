"""Memory of batches: used again when nothing refers to it, never before."""

from __future__ import annotations

import gc
import pickle
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from medshard.engine import BufferRing
from medshard.errors import LoaderError
from medshard.loader.slots import SlotMemory


def test_a_buffer_returns_when_the_last_that_shares_it_is_gone() -> None:
    ring = BufferRing()
    first = ring.take(1_000_000)
    assert first.shape == (1_000_000,)
    assert first.ctypes.data % 4096 == 0
    first[:] = 7
    view, address = first[10:20], first.ctypes.data
    del first
    other = ring.take(1_000_000)
    assert other.ctypes.data != address, "a view still shares it"
    assert (view == 7).all()
    del view
    again = ring.take(990_000)  # of nearly the same size
    assert again.ctypes.data == address
    assert ring.counts() == {"fresh": 2, "reused": 1, "free_buffers": 0, "free_bytes": 0}


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 4097, 65_535, 2**21 - 1, 2**21 + 1, 38 * 10**6])
def test_any_size_can_be_written_to_its_end(size_bytes: int) -> None:
    ring = BufferRing()
    for _ in range(3):
        array = ring.take(size_bytes)
        array[:] = 255
        assert len(array) == size_bytes
        del array
    counted = ring.counts()
    assert (counted["fresh"], counted["reused"]) == (1, 2)
    assert size_bytes <= counted["free_bytes"] <= max(4096, size_bytes * 1.125 + 4096)


def test_free_buffers_are_bounded() -> None:
    ring = BufferRing(kept=3)
    held = [ring.take(10_000) for _ in range(20)]
    assert len({array.ctypes.data for array in held}) == 20
    held.clear()
    assert ring.counts()["free_buffers"] == 3
    for size in range(1, 40):  # of other sizes: those that nobody asks for any more go
        ring.take(size * 100_000)
    assert ring.counts()["free_buffers"] == 3


def test_buffers_outlive_their_ring() -> None:
    ring = BufferRing()
    array = ring.take(5000)
    array[:] = 3
    del ring
    gc.collect()
    assert (array == 3).all()
    assert pickle.loads(pickle.dumps(BufferRing(2)))._kept == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int32])
def test_a_tensor_has_its_type_and_shape_and_returns_with_its_storage(dtype: torch.dtype) -> None:
    memory = SlotMemory()
    tensor = memory.empty((3, 5, 7), dtype)
    assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == ((3, 5, 7), dtype, True)
    assert len(memory.empty((0, 4), dtype)) == 0
    address = tensor.data_ptr()
    part = tensor[1].view(35)
    del tensor
    other = memory.empty((3, 5, 7), dtype)
    assert other.data_ptr() != address
    del part
    again = memory.empty((3, 5, 7), dtype)
    assert again.data_ptr() == address


def test_a_hundred_kept_batches_have_a_hundred_memories() -> None:
    memory = SlotMemory()
    kept = []
    for number in range(100):
        memory.empty((64, 100), torch.float32).fill_(-1)  # dropped at once
        kept.append(memory.empty((64, 100), torch.float32).fill_(number))
    assert all(bool((tensor == number).all()) for number, tensor in enumerate(kept))


def test_used_memory_costs_no_page_faults() -> None:
    ring, size = BufferRing(), 38 * 10**6

    def faults(take: Callable[[], np.ndarray[Any, Any]]) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        array = take()
        array[:] = 1
        del array
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    # The best and the worst of several: the system may take pages back meanwhile, or have a free huge one at hand.
    used = [faults(lambda: ring.take(size)) for _ in range(8)]
    fresh = [faults(lambda: np.empty(size, np.uint8)) for _ in range(8)]
    assert min(used[1:]) < 50
    assert max(fresh) > min(used[1:])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_pinned_memory_needs_cuda() -> None:
    with pytest.raises(LoaderError, match="sees no CUDA device"):
        SlotMemory(pin=True)
