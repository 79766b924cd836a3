"""Renditions: levels in sibling shards, the same bytes for any number of workers, told of and verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed_tree import Quiet, Tree, build, digests

from medshard.convert.dataset import DatasetBuild
from medshard.corpus.corpus import open_corpus
from medshard.corpus.verify import verify_corpus
from medshard.engine import decode_image
from medshard.errors import CorpusError, SpecError
from medshard.shards.renditions import factors_of, reduced
from medshard.shards.tar import read_tar
from medshard.spec.load import load_spec_text
from medshard.spec.schema.media import Renditions

POLICY = Renditions(from_px=32)
Built = tuple[Path, DatasetBuild]


@pytest.fixture(scope="module")
def with_levels(mixed: Tree, tmp_path_factory: pytest.TempPathFactory) -> Built:
    corpus = tmp_path_factory.mktemp("levels") / "corpus"
    return corpus, build(mixed.root, corpus, renditions=POLICY)


def problems_of(corpus: Path, *, quick: bool = False) -> list[str]:
    return verify_corpus(open_corpus(corpus), quick=quick, progress=Quiet())[0]


def test_every_large_picture_has_its_levels_and_no_other(mixed: Tree, with_levels: Built) -> None:
    corpus = open_corpus(with_levels[0])
    looked_at = 0
    for sample in corpus:
        shard, row = corpus.place_of(sample.row)
        line = corpus.manifest.shards[shard]
        media = [medium for medium in sample.record.media if medium.present and medium.kind == "image"]
        expected = {m.part: factors_of(m.shape or (), 32) for m in media}
        found = {part: tuple(lv.factor for lv in line.renditions if part in lv.parts) for part in expected}
        assert found == expected
        for place, level in enumerate(line.renditions):
            for column, part in enumerate(level.parts):
                offset, size, _ = corpus.rendition_place(shard, row, place, column)
                pixels = decode_image(corpus.storage.read(level.path, offset, size))
                whole = decode_image(corpus.read_part(sample.row, part))
                means = reduced(whole, [level.factor])[level.factor]
                if part.endswith(".png"):
                    assert np.array_equal(pixels, means)
                else:
                    assert pixels.shape == means.shape
                    assert np.abs(pixels.astype(int) - means).mean() < 3
                looked_at += 1
    assert looked_at > 8
    factors = {level.factor for line in corpus.manifest.shards for level in line.renditions}
    assert factors == {2}  # of pictures of 32 to 59 pixels


def test_siblings_have_the_same_keys_in_the_same_order(with_levels: Built) -> None:
    folder, account = with_levels
    pairs = 0
    for line in open_corpus(folder).manifest.shards:
        keys = list(dict.fromkeys(part.key for part, _ in read_tar(folder / line.path)))
        for level in line.renditions:
            members = list(read_tar(folder / level.path))
            assert [part.name for part, _ in members] == [f"{key}.{part}" for key in keys for part in level.parts]
            assert Path(level.path).name == f"{Path(line.path).stem}.r{level.factor}.tar"
            pairs += 1
    assert pairs > 3
    assert {"image-jpg-r2_text", "image-png-r2_text"} <= {shard["set"] for shard in account.shards}


def test_any_number_of_workers_gives_the_same_bytes(mixed: Tree, with_levels: Built, tmp_path: Path) -> None:
    assert build(mixed.root, tmp_path / "corpus", workers=4, renditions=POLICY) == with_levels[1]
    assert digests(tmp_path / "corpus") == digests(with_levels[0])


def test_pictures_themselves_are_as_without_levels(with_levels: Built, built: Built) -> None:
    plain, levels = open_corpus(built[0]), open_corpus(with_levels[0])
    assert not (built[0] / "renditions.bin").exists()
    assert "rendition_bytes" not in plain.manifest.counts
    for sample in plain:
        assert levels.sample(sample.key).record == sample.record
    size = sum(path.stat().st_size for path in with_levels[0].rglob("renditions/*.tar"))
    assert levels.manifest.counts["rendition_bytes"] == size > 0
    assert "renditions" in (with_levels[0] / "report.html").read_text()
    assert "renditions/" in (with_levels[0] / "croissant.json").read_text()


def test_a_missing_sibling_is_made_again(mixed: Tree, with_levels: Built, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(with_levels[0], corpus)
    level = next(corpus.rglob("renditions/*.tar"))
    level.unlink()
    assert any(level.name in problem for problem in problems_of(corpus))
    build(mixed.root, corpus, renditions=POLICY)
    assert digests(corpus) == digests(with_levels[0])


def test_what_a_killed_build_left_is_removed(mixed: Tree, with_levels: Built, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(with_levels[0], corpus)
    folder = next(corpus.rglob("renditions"))
    (folder / ".train-image-png-r2-000001.r2.tar.4711.tmp").write_bytes(b"half")
    assert any("killed" in problem for problem in problems_of(corpus, quick=True))
    build(mixed.root, corpus, renditions=POLICY)
    assert digests(corpus) == digests(with_levels[0])


def test_beside_a_dataset_without_levels(mixed: Tree, tmp_path: Path) -> None:
    """Siblings are numbered through all shards of a corpus, of which some have none."""
    corpus = tmp_path / "corpus"
    build(mixed.root, corpus, name="alpha", renditions=POLICY)
    build(mixed.root, corpus, name="beta")
    build(mixed.root, corpus, name="gamma", renditions=POLICY)
    assert problems_of(corpus) == []


def test_verify_is_content_and_sees_damage(with_levels: Built, tmp_path: Path) -> None:
    assert problems_of(with_levels[0]) == []
    corpus = tmp_path / "corpus"
    shutil.copytree(with_levels[0], corpus)
    level = sorted(corpus.rglob("renditions/*png*.tar"))[0]
    data = bytearray(level.read_bytes())
    data[600] ^= 1
    level.write_bytes(data)
    for quick in (True, False):
        found = [problem for problem in problems_of(corpus, quick=quick) if level.name in problem]
        assert any("sha256" in problem for problem in found)
        assert any("renditions.bin" in problem for problem in found)
    (corpus / "renditions.bin").write_bytes((corpus / "renditions.bin").read_bytes()[:-8])
    assert any("renditions.bin" in problem for problem in problems_of(corpus))
    with pytest.raises(CorpusError, match="cut off"):
        _ = open_corpus(corpus).rendition_locator


def test_a_level_of_another_picture_is_told(mixed: Tree, with_levels: Built, tmp_path: Path) -> None:
    """All digests agree; only the pixels are wrong."""
    from medshard.corpus.verify_renditions import _differs
    from medshard.engine import encode_png

    corpus = open_corpus(with_levels[0])
    deep = next(sample for sample in corpus if sample.key.endswith("deep0"))
    whole = encode_png(deep.array("image"))
    half = reduced(deep.array("image"), [2])[2]
    assert _differs(whole, encode_png(half), 2) is None
    assert "not a level" in str(_differs(whole, encode_png(half + 1), 2))
    assert "holds" in str(_differs(whole, encode_png(half[:-1]), 2))


SLOT = "  image: {from: images, using: [id], kind: image, no_file: absent"


def spec_with(slot: str) -> Any:
    from mixed_tree import SPEC

    text = SPEC.replace("NAME", "mixed").replace("EXPECT", "").replace(SLOT, f"{SLOT}, {slot}")
    return load_spec_text(text, "mixed.yaml")[0]


def test_the_spec_says_it_for_a_slot() -> None:
    policy = spec_with("renditions: {from_px: 40, factors: [2]}").spec.media["image"].renditions
    assert (policy.from_px, policy.factors) == (40, [2])
    assert spec_with("renditions: {}").spec.media["image"].renditions.from_px == 1024


@pytest.mark.parametrize("wrong", ["{from_px: 1}", "{factors: [3]}", "{factors: []}", "{levels: 2}", "yes"])
def test_a_wrong_policy_is_an_error_of_the_spec(wrong: str) -> None:
    with pytest.raises(SpecError, match="renditions"):
        spec_with(f"renditions: {wrong}")


def test_only_images_have_renditions() -> None:
    from mixed_tree import SPEC

    mask = "like: image, no_file: not_annotated"
    text = SPEC.replace("NAME", "mixed").replace("EXPECT", "").replace(mask, f"{mask}, renditions: {{}}")
    with pytest.raises(SpecError, match="only for kind: image"):
        load_spec_text(text, "mixed.yaml")


def test_the_manifest_lists_siblings(with_levels: Built) -> None:
    tree = json.loads((with_levels[0] / "corpus.json").read_bytes())
    levels = [level for shard in tree["shards"] for level in shard["renditions"]]
    assert levels
    assert {*levels[0]} == {"path", "factor", "size_bytes", "sha256", "parts"}
    assert "renditions.bin" in tree["index"]
