"""Shards of a unit: one for each set of part names, atomically named, the plain view as other tools want it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medshard.record import Sample
from medshard.shards.sample_parts import SampleParts, parse_record, plain_view
from medshard.shards.tar import read_tar
from medshard.shards.write import ShardWriter

QUESTION = {"type": "text", "text": "What?"}


def made(key: str, media: dict[str, bytes], *, text: bool = True, volume: bool = False) -> SampleParts:
    lines: list[dict[str, Any]] = [
        {"slot": part.split(".")[0], "kind": "image", "part": part, "axes": "YX", "shape": [5, 7]} for part in media
    ]
    if volume:
        lines.append({"slot": "ct", "kind": "volume", "part": f"volumes/{key}.ct.ome.zarr"})
    lines.append({"slot": "other", "kind": "mask", "present": False, "absent_reason": "not_annotated"})
    slots = [line["slot"] for line in lines if line["kind"] == "image"]
    turns = [
        {"role": "user", "blocks": [*({"type": "media", "slot": slot} for slot in slots), QUESTION]},
        {"role": "assistant", "blocks": [{"type": "text", "text": "A 肺 nodule."}]},
    ]
    conversation = {"id": "c1", "task": "caption", "lang": "en", "slots": slots, "turns": turns}
    sample = Sample.model_validate(
        {"key": key, "dataset": "t", "split": "train", "licence": "MIT", "media": lines,
         "conversations": [conversation] if text else []}
    )  # fmt: skip
    return SampleParts(sample, media)


def test_samples_go_to_the_shard_of_their_parts(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "shards", "train", 3)
    samples = [
        made("t-1", {"image.jpg": b"1"}),
        made("t-2", {}),
        made("t-3", {"image.jpg": b"3", "mask.png": b"m"}),
        made("t-4", {"image.png": b"4"}, text=False),
        made("t-5", {"image.jpg": b"5"}),
        made("t-6", {}, volume=True),
        made("t-7", {}, text=False),
    ]
    for sample in samples:
        writer.add(sample)
    assert not list((tmp_path / "shards").glob("*.tar"))  # only temporary names until everything is there
    entries = writer.finish()
    found = {entry.name: (entry.set, entry.samples, entry.parts.extensions) for entry in entries}
    assert found == {
        "train-image-jpg_mask-png_text-000003.tar": (
            "image-jpg_mask-png_text", 1, ("image.jpg", "mask.png", "record", "json")
        ),
        "train-image-jpg_text-000003.tar": ("image-jpg_text", 2, ("image.jpg", "record", "json")),
        "train-image-png-000003.tar": ("image-png", 1, ("image.png", "record", "json")),
        "train-record-000003.tar": ("record", 1, ("record", "json")),
        "train-text-000003.tar": ("text", 1, ("record", "json")),
        "train-volume_text-000003.tar": ("volume_text", 1, ("record", "json")),
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == sorted(found)
    members = [part.name for part, _ in read_tar(tmp_path / "shards" / "train-image-jpg_text-000003.tar")]
    assert members == [f"{key}.{part}" for key in ("t-1", "t-5") for part in ("image.jpg", "record", "json")]


def test_the_record_in_the_tar_is_the_record(tmp_path: Path) -> None:
    sample = made("t-1", {"image.jpg": b"1"})
    writer = ShardWriter(tmp_path, "train", 0)
    writer.add(sample)
    (entry,) = writer.finish()
    contents = {part.extension: data for part, data in read_tar(tmp_path / entry.name)}
    assert contents["image.jpg"] == b"1"
    assert parse_record(contents["record"]) == sample.sample


def test_what_was_begun_can_be_dropped(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "train", 0)
    writer.add(made("t-1", {"image.jpg": b"1"}))
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_is_not_what_was_written_gets_no_name(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "train", 0)
    writer.add(made("t-1", {"image.jpg": b"1" * 10_000}))
    (temporary,) = tmp_path.iterdir()
    with temporary.open("r+b") as handle:  # another process writes over it
        handle.seek(0)
        handle.write(b"damaged")
        handle.flush()
        with pytest.raises(OSError, match="differs from what was written"):
            writer.finish()
    assert not list(tmp_path.glob("*.tar"))
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        assert value, "an empty list has no type for other tools"
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def test_the_plain_view_is_strings_of_one_shape() -> None:
    view = json.loads(plain_view(made("t-1", {"image.jpg": b"1", "mask.png": b"2"}).sample))
    assert view == {
        "id": "t-1",
        "dataset": "t",
        "split": "train",
        "licence": "MIT",
        "conversations": [
            {
                "id": "t-1/c1",
                "task": "caption",
                "lang": "en",
                "messages": [
                    {"role": "user", "content": "<image>\n<image>\nWhat?"},
                    {"role": "assistant", "content": "A 肺 nodule."},
                ],
            }
        ],
    }
    assert all(isinstance(leaf, str) for leaf in leaves(view))
    silent = json.loads(plain_view(made("t-2", {"image.jpg": b"1"}, text=False).sample))
    assert list(silent) == ["id", "dataset", "split", "licence"]
