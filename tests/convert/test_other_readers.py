"""Shards as other packages read them, with no medshard in between: every row and every field, none of them None."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed_tree import Tree
from PIL import Image

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.corpus.manifest import ShardLine
from medshard.corpus.verify import verify_corpus

Built = tuple[Path, DatasetBuild]
Rows = dict[str, dict[str, bytes]]


@pytest.fixture(scope="module")
def stored(built: Built) -> dict[str, Rows]:
    """Set of shards → key → part → bytes, by Python's own tarfile."""
    corpus, _ = built
    found: dict[str, Rows] = {}
    for shard in medshard.open(corpus).manifest.shards:
        rows = found.setdefault(shard.set, {})
        with tarfile.open(corpus / shard.path) as tar:
            for member in tar:
                key, _, part = member.name.partition(".")
                stream = tar.extractfile(member)
                assert stream is not None
                rows.setdefault(key, {})[part] = stream.read()
    assert sum(len(rows) for rows in found.values()) == 24
    return found


@pytest.fixture(scope="module")
def shards(built: Built) -> dict[str, list[ShardLine]]:
    found: dict[str, list[ShardLine]] = {}
    for shard in medshard.open(built[0]).manifest.shards:
        found.setdefault(shard.set, []).append(shard)
    return found


SETS = ["record", "text", "image-jpg_text", "image-png_text", "image-png_mask-png_text", "volume_text"]


def test_a_set_has_one_list_of_parts(shards: dict[str, list[ShardLine]], stored: dict[str, Rows]) -> None:
    assert sorted(shards) == sorted(SETS)
    for name, lines in shards.items():
        (parts,) = {tuple(line.parts) for line in lines}
        assert {tuple(row) for row in stored[name].values()} == {parts}
        shapes = {_shape(json.loads(row["json"])) for row in stored[name].values()}
        assert len(shapes) == 1, "the plain view has one shape in a set"


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((name, _shape(inner)) for name, inner in value.items())
    if isinstance(value, list):
        (shape,) = {_shape(inner) for inner in value}
        return (shape,)
    assert isinstance(value, str)
    return "text"


def webdataset_rows(corpus: Path, lines: list[ShardLine], *decoders: str) -> list[dict[str, Any]]:
    import webdataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves closing its files to the garbage collector
        urls = [str(corpus / line.path) for line in lines]
        rows = list(webdataset.WebDataset(urls, shardshuffle=False).decode(*decoders))
        gc.collect()
    return rows


@pytest.mark.parametrize("name", SETS)
def test_webdataset(name: str, built: Built, shards: dict[str, list[ShardLine]], stored: dict[str, Rows]) -> None:
    rows = webdataset_rows(built[0], shards[name])
    assert [row["__key__"] for row in rows] == list(stored[name])
    for row in rows:
        expected = stored[name][row["__key__"]]
        assert {part for part in row if not part.startswith("__")} == set(expected)
        for part, data in expected.items():
            assert row[part] == (json.loads(data) if part == "json" else data)


def test_webdataset_decodes_pictures(
    mixed: Tree, built: Built, shards: dict[str, list[ShardLine]], stored: dict[str, Rows]
) -> None:
    seen = 0
    for name in ("image-jpg_text", "image-png_text", "image-png_mask-png_text"):
        for row in webdataset_rows(built[0], shards[name], "pil"):
            case = row["__key__"].removeprefix("mixed-")
            picture = np.asarray(row["image.jpg" if name == "image-jpg_text" else "image.png"])
            if case.startswith("deep"):  # its "pil" gives RGB of 8 bits, so the 16 bits are compared from the bytes
                picture = np.asarray(Image.open(io.BytesIO(stored[name][row["__key__"]]["image.png"])))
            elif picture.ndim > mixed.images[case].ndim:
                assert (picture == picture[..., :1]).all()
                picture = picture[..., 0]
            np.testing.assert_array_equal(picture, mixed.images[case])
            seen += 1
    assert seen == len(mixed.images)


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, without network and with its caches in the test's own folder."""
    import datasets
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    return datasets


def assert_rows(table: Any, expected: Rows, mixed: Tree) -> None:
    parts = list(next(iter(expected.values())))
    assert set(table.column_names) == {"__key__", "__url__", *parts}
    rows = list(table)
    assert sorted(row["__key__"] for row in rows) == sorted(expected)
    for row in rows:
        wanted = expected[row["__key__"]]
        for part, data in wanted.items():
            value = row[part]
            assert value is not None, (row["__key__"], part)
            if part == "json":
                assert value == json.loads(data)
            elif part == "record":
                assert value == data
            else:
                case = row["__key__"].removeprefix("mixed-")
                arrays = mixed.masks if part.startswith("mask") else mixed.images
                np.testing.assert_array_equal(np.asarray(value), arrays[case])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", SETS)
def test_hugging_face_datasets(
    name: str, built: Built, mixed: Tree, shards: dict[str, list[ShardLine]], stored: dict[str, Rows], datasets: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    paths = [str(built[0] / line.path) for line in shards[name]]
    table = datasets.load_dataset(
        "webdataset", data_files={"whole": paths}, split="whole", cache_dir=str(tmp_path / "cache")
    )
    assert_rows(table, stored[name], mixed)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("streaming", [False, True])
def test_the_card_names_each_set_for_datasets(
    streaming: bool, built: Built, mixed: Tree, stored: dict[str, Rows], datasets: Any, tmp_path: Path
) -> None:
    for name in ("image-png_mask-png_text", "text") if streaming else SETS:
        parts = datasets.load_dataset(
            str(built[0]), f"mixed--{name}", streaming=streaming, cache_dir=str(tmp_path / "cache")
        )
        rows = [row for split in parts.values() for row in split]
        assert sorted(row["__key__"] for row in rows) == sorted(stored[name])
        for split, table in parts.items():
            assert {row["json"]["split"] for row in table} == {split}
            if not streaming:
                keys = table["__key__"]
                assert_rows(table, {key: stored[name][key] for key in keys}, mixed)


ENERGON = """\
import pickle, sys
from megatron.energon import (
    Cooker, Sample, SampleDecoder, TaskEncoder, WorkerConfig, basic_sample_keys, edataclass, get_loader,
    get_val_dataset, stateless,
)

@edataclass
class Parts(Sample):
    parts: dict

@stateless
def cook(sample: dict) -> Parts:
    parts = {name: value for name, value in sample.items() if not name.startswith("__")}
    return Parts(**basic_sample_keys(sample), parts=parts)

class Raw(TaskEncoder):
    cookers = [Cooker(cook)]
    decoder = None

class Decoded(Raw):
    decoder = SampleDecoder(image_decode="pil")

config = WorkerConfig(rank=0, world_size=1, num_workers=0)
found = {}
for encoder in (Raw, Decoded):
    for split in ("train", "test"):
        read = get_val_dataset(sys.argv[1], split_part=split, worker_config=config, batch_size=None,
                               task_encoder=encoder())
        for sample in get_loader(read):
            found.setdefault(encoder.__name__, []).append((split, sample.__key__, sample.parts))
pickle.dump(found, open(sys.argv[2], "wb"))
"""


def test_energon(built: Built, mixed: Tree, stored: dict[str, Rows], tmp_path: Path) -> None:
    """Prepared as its documentation says (``energon prepare``), then read by its loader, as bytes and decoded."""
    corpus = tmp_path / "corpus"
    shutil.copytree(built[0], corpus)
    (folder,) = corpus.glob("datasets/mixed/*/shards")
    here = {**os.environ, "PYTHONWARNINGS": "ignore"}
    prepare = [
        sys.executable, "-m", "megatron.energon.cli.main", "prepare", "--non-interactive", "--no-progress",
        "--num-workers", "1", "--split-parts", "train:train-.*", "--split-parts", "test:test-.*",
        "--sample-type", "CrudeWebdataset", str(folder),
    ]  # fmt: skip
    told = subprocess.run(prepare, capture_output=True, text=True, env=here, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    command = [sys.executable, "-c", ENERGON, str(folder), str(tmp_path / "found")]
    told = subprocess.run(command, capture_output=True, text=True, env=here, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    found = pickle.loads((tmp_path / "found").read_bytes())
    expected = {key: row for rows in stored.values() for key, row in rows.items()}
    for split, key, _ in found["Raw"]:
        assert json.loads(expected[key]["json"])["split"] == split
    assert len(found["Raw"]) == len(found["Decoded"]) == len(expected)
    assert {key: parts for _, key, parts in found["Raw"]} == expected
    for _, key, parts in found["Decoded"]:
        assert set(parts) == set(expected[key])
        assert parts["json"] == json.loads(expected[key]["json"])
        assert parts["record"] == expected[key]["record"]
        for part in set(parts) - {"json", "record"}:
            shape = np.asarray(parts[part]).shape
            case = key.removeprefix("mixed-")
            assert shape[:2] == (mixed.masks if part == "mask.png" else mixed.images)[case].shape[:2]
    # What Energon puts beside the shards is not damage.
    assert verify_corpus(medshard.open(corpus), quick=True, progress=_Silent())[0] == []


class _Silent:
    def stage(self, name: str, total: int | None = None) -> None: ...

    def step(self, count: int) -> None: ...


def test_the_parts_are_what_the_record_says(built: Built, mixed: Tree, stored: dict[str, Rows]) -> None:
    for rows in stored.values():
        for key, row in rows.items():
            record = json.loads(row["record"])
            assert record["key"] == key
            for medium in record["media"]:
                if medium["part"] in row:
                    assert medium["digest"] == f"sha256:{hashlib.sha256(row[medium['part']]).hexdigest()}"
                elif not medium["present"]:
                    assert medium["absent_reason"] in ("absent", "not_annotated")
                else:
                    assert medium["part"].startswith("volumes/")
    assert not any(b"IDENTIFYING" in data for rows in stored.values() for row in rows.values() for data in row.values())
