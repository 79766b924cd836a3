"""The tar reader on damaged tars: members or a ``CorpusError``, whatever is damaged, in bounded memory."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from medshard.errors import CorpusError
from medshard.shards.tar import BLOCK_BYTES, TarWriter, read_tar

EXECUTIONS = 6000


def a_tar(tmp_path: Path) -> bytes:
    writer = TarWriter(tmp_path / "sound.tar")
    for number, size in enumerate((0, 1, 511, 512, 700)):
        writer.add(f"key{number}.image.png", bytes(range(256)) * 3 if size == 700 else b"x" * size)
    writer.close()
    return (tmp_path / "sound.tar").read_bytes()


def with_checksum(header: bytes) -> bytes:
    """A header whose checksum is right whatever it says, so that damage comes past the first gate."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def damaged(sound: bytes, numbers: np.random.Generator) -> bytes:
    data = bytearray(sound)
    for _ in range(int(numbers.integers(1, 5))):
        place = int(numbers.integers(len(data)))
        match int(numbers.integers(6)):
            case 0:
                data[place] ^= 1 << int(numbers.integers(8))
            case 1:
                del data[place:]
            case 2:
                del data[place : place + int(numbers.integers(1, 2 * BLOCK_BYTES))]
            case 3:
                data[place:place] = data[: int(numbers.integers(1, 2 * BLOCK_BYTES))]
            case _:  # a field of some header: name, mode, size, type, magic
                start = int(numbers.integers(max(1, len(data) // BLOCK_BYTES))) * BLOCK_BYTES
                header = bytearray(data[start : start + BLOCK_BYTES])
                if len(header) == BLOCK_BYTES:
                    field, length = ((0, 100), (100, 8), (124, 12), (156, 1), (257, 8))[int(numbers.integers(5))]
                    header[field : field + length] = numbers.integers(0, 256, length, np.uint8).tobytes()
                    data[start : start + BLOCK_BYTES] = with_checksum(bytes(header))
        if not data:
            break
    return bytes(data)


def read_through(tar: bytes | Path, size: int) -> int:
    """Members, of which none may reach out of the tar."""
    count = 0
    for part, data in read_tar(tar):
        assert len(data) == part.size_bytes >= 0
        assert BLOCK_BYTES <= part.offset <= part.offset + part.size_bytes <= size
        count += 1
    return count


def test_a_damaged_tar_gives_members_or_a_corpus_error(tmp_path: Path) -> None:
    sound, numbers = a_tar(tmp_path), np.random.default_rng(0)
    assert read_through(sound, len(sound)) == 5
    refused, began = 0, time.perf_counter()
    for number in range(EXECUTIONS):
        tar = damaged(sound, numbers)
        target: bytes | Path = tar
        if number % 20 == 0:
            target = tmp_path / "damaged.tar"
            target.write_bytes(tar)
        try:
            read_through(target, len(tar))
        except CorpusError:
            refused += 1
    assert EXECUTIONS / 4 < refused < EXECUTIONS
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize("size", [b"\x80" + (2**62).to_bytes(11, "big"), b"\xff" * 12, b"\xff" + b"\0" * 11])
@pytest.mark.parametrize("as_file", [True, False])
def test_a_size_beyond_the_tar_takes_no_memory(tmp_path: Path, size: bytes, as_file: bool) -> None:
    """Sizes in base 256: 2^62, -1 and very negative."""
    info = tarfile.TarInfo("key.image.png")
    header = info.tobuf(format=tarfile.USTAR_FORMAT)
    tar = with_checksum(header[:124] + size + header[136:]) + bytes(3 * BLOCK_BYTES)
    assert tarfile.TarInfo.frombuf(tar[:BLOCK_BYTES], "ascii", "strict").size not in range(len(tar))
    (tmp_path / "huge.tar").write_bytes(tar)
    with pytest.raises(CorpusError, match="cut off"):
        list(read_tar(tmp_path / "huge.tar" if as_file else io.BytesIO(tar).getvalue()))
