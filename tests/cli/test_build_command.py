"""``medshard build``: what is given, where it goes, and what its options change."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_runs import Ended, Small, run_here, write_spec
from mixed_tree import digests

import medshard
from medshard.cli import exit_codes

PICTURES = """\
spec: 1
name: NAME
about: {title: Pictures, modality: xray, anatomy: chest}
licence: {id: MIT, access: ACCESS, evidence: page}
sources: {images: {files: "img/{id}.png"}}
samples: {from: images, patient: unknown, split: train}
media: {image: {from: images, kind: image}}
"""


def write_pictures(path: Path, name: str, access: str = "open") -> Path:
    """A spec of the PNGs of the mixed tree."""
    path.write_text(PICTURES.replace("NAME", name).replace("ACCESS", access))
    return path


def build(*words: str | Path) -> Ended:
    return run_here("build", *words, "--workers", "1")


def told(ended: Ended) -> dict[str, Any]:
    """The document that ``--json`` printed."""
    assert ended.code == 0, ended.out
    document: dict[str, Any] = json.loads(ended.out)
    return document


def test_what_it_prints(small: Small) -> None:
    lines = small.ended.out.splitlines()
    assert lines[0].startswith("mixed: 24 samples, ")
    assert lines[-1] == f"{small.corpus / 'report.html'} says what was left out and why"
    assert small.ended.err.splitlines()[-1] == "putting the corpus together"


def test_several_specs_from_one_folder_come_into_one_corpus(small: Small, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "pictures.yaml", "pictures")
    out = tmp_path / "corpus"
    made = told(build(small.spec, other, "--data", small.tree.root, "--out", out, "--json"))
    assert [dataset["slug"] for dataset in made["datasets"]] == ["mixed", "pictures"]
    corpus = medshard.open(out)
    assert {line.slug: line.samples for line in corpus.manifest.datasets} == {"mixed": 24, "pictures": 8}
    assert run_here("verify", out).code == 0


def test_datasets_are_added_to_a_corpus_and_one_that_is_unchanged_is_kept(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    shutil.copytree(small.corpus, out)
    tars = {path: path.stat().st_mtime_ns for path in out.rglob("*.tar")}
    other = write_pictures(tmp_path / "pictures.yaml", "pictures")
    ended = build(other, "--data", small.tree.root, "--out", out)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0].startswith("pictures: 8 samples")
    assert len(medshard.open(out)) == 32
    again = build(small.spec, other, "--data", small.tree.root, "--out", out)
    assert again.code == 0, again.err
    assert {path: path.stat().st_mtime_ns for path in tars} == tars
    both = build(other, small.spec, "--data", small.tree.root, "--out", tmp_path / "at-once")
    assert both.code == 0, both.err
    assert digests(tmp_path / "at-once") == digests(out), "in one go or one after another: the same corpus"


def test_roots_in_a_file_by_name_of_dataset_and_of_spec(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.tree.root, tmp_path / "here" / "images")
    other = write_pictures(tmp_path / "a-file.yaml", "pictures")
    roots = tmp_path / "here" / "roots.yaml"
    for name in ("pictures", "a-file"):
        roots.write_text(f"# where the data lie\nmixed: {small.tree.root}\n{name}: images\n")
        out = tmp_path / name
        made = told(build(small.spec, other, "--data", roots, "--out", out, "--json"))
        assert [dataset["account"]["samples"] for dataset in made["datasets"]] == [24, 8]
    assert digests(tmp_path / "pictures") == digests(tmp_path / "a-file")


def test_all_roots_that_are_missing_are_told_before_anything_is_written(small: Small, tmp_path: Path) -> None:
    specs = [write_pictures(tmp_path / f"{name}.yaml", name) for name in ("one", "two", "three", "four")]
    roots = tmp_path / "roots.yaml"
    roots.write_text(f"one: {small.tree.root}\ntwo: nowhere\nthre: {small.tree.root}\nfour: [a]\n")
    ended = build(*specs, "--data", roots, "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.USAGE, "")
    assert f"{roots}:2 two: there is no folder '{tmp_path / 'nowhere'}'" in ended.err
    assert f"{roots} names no folder for 'three'. Did you mean 'thre'? It names: four, one, thre, two." in ended.err
    assert f"{roots}:4 four: a folder is needed" in ended.err
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("roots.yaml", "- a\n- b\n", "a mapping of datasets to folders is needed"),
        ("roots.yaml", "one: [a\n", "roots.yaml:2: is not valid YAML"),
        ("data.zip", "PK", "data.zip is a file; give the folder"),
    ],
)
def test_data_that_is_no_folder_and_no_file_of_folders(name: str, text: str, said: str, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "one.yaml", "one")
    (tmp_path / name).write_text(text)
    ended = build(spec, "--data", tmp_path / name, "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.USAGE, "")
    assert said in ended.err


def test_problems_of_all_specs_come_before_anything_is_written(small: Small, tmp_path: Path) -> None:
    first = write_pictures(tmp_path / "first.yaml", "first")
    first.write_text(first.read_text().replace("anatomy: chest", "anatomy: chst"))
    second = write_pictures(tmp_path / "second.yaml", "second")
    second.write_text(second.read_text().replace("kind: image", "kind: imag"))
    ended = build(small.spec, first, second, "no-such", "--data", small.tree.root, "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.PROBLEMS, "")
    for place in (f"{first}:3 about.anatomy", f"{second}:7 media.image.kind", "'no-such'"):
        assert place in ended.err
    assert not (tmp_path / "corpus").exists()


def test_data_that_contradict_the_spec_leave_nothing_behind(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.tree.root, tmp_path / "data")
    cases = tmp_path / "data" / "cases.csv"
    cases.write_text(cases.read_text().replace(",n,", ",q,"))
    ended = build(small.spec, "--data", tmp_path / "data", "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.PROBLEMS, "")
    assert f"{small.spec}:22 facts.finding" in ended.err
    assert not (tmp_path / "corpus").exists()


def test_one_dataset_given_twice(small: Small, tmp_path: Path) -> None:
    ended = build(small.spec, small.spec, "--data", small.tree.root, "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.USAGE, "")
    assert "'mixed' is given more than once" in ended.err


def test_a_corpus_has_a_folder_of_its_own(small: Small, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(small.tree.root, data)
    before = digests(tmp_path)
    within = build(small.spec, "--data", data, "--out", data / "corpus")
    assert within.code == exit_codes.USAGE
    assert f"lies in the data folder {data}" in within.err
    over = build(small.spec, "--data", data, "--out", data / "img" / "photo0.jpg")
    assert over.code == exit_codes.USAGE
    assert "is a file" in over.err
    other = build(small.spec, "--data", small.tree.root, "--out", data)
    assert other.code == exit_codes.USAGE
    assert "holds other things (such as 'cases.csv') and no corpus" in other.err
    assert digests(tmp_path) == before


def test_an_empty_folder_and_what_an_interrupted_build_left_are_built_into(small: Small, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert build(small.spec, "--data", small.tree.root, "--out", tmp_path / "empty").code == 0
    left = tmp_path / "left"
    shutil.copytree(small.corpus / "datasets", left / "datasets")
    assert build(small.spec, "--data", small.tree.root, "--out", left).code == 0
    assert digests(left) == digests(tmp_path / "empty") == digests(small.corpus)


def test_a_damaged_corpus_is_not_built_into(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "corpus.json").write_text("{")
    ended = build(small.spec, "--data", small.tree.root, "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.DAMAGED, "")
    assert "corpus.json is not JSON" in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to(small: Small, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    ended = build(small.spec, "--data", small.tree.root, "--out", tmp_path / "closed" / "corpus")
    assert (ended.code, ended.out) == (exit_codes.FAILED, "")
    assert "Permission denied" in ended.err
    assert "Traceback" not in ended.err


def test_what_the_system_refuses_is_a_message(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "corpus"))

    monkeypatch.setattr("medshard.cli.build.build_corpus", full)
    ended = build(small.spec, "--data", small.tree.root, "--out", tmp_path / "corpus")
    assert (ended.code, ended.out) == (exit_codes.FAILED, "")
    assert ended.err == f"{tmp_path / 'corpus'}: No space left on device\n"


def test_partial_allows_values_that_are_never_seen_and_claims_that_do_not_hold(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.tree.root, tmp_path / "data")
    cases = tmp_path / "data" / "cases.csv"
    cases.write_text("".join(line for line in cases.read_text().splitlines(keepends=True) if ",m," not in line))
    spec = write_spec(tmp_path / "mixed.yaml", expect="expect:\n  - {samples: 24, evidence: page}\n")
    words = [spec, "--data", tmp_path / "data", "--out", tmp_path / "corpus"]
    refused = build(*words)
    assert refused.code == exit_codes.PROBLEMS
    assert "--partial" in refused.err
    ended = build(*words, "--partial")
    assert ended.code == 0, ended.err
    assert "  claim: mixed.yaml:27 expect[0].samples: samples is claimed to be 24" in ended.out


def test_warnings_are_printed(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.tree.root, tmp_path / "data")
    for path in (tmp_path / "data" / "ct").iterdir():
        path.unlink()
    ended = build(small.spec, "--data", tmp_path / "data", "--out", tmp_path / "corpus")
    assert ended.code == 0, ended.err
    assert "  warning: mixed.yaml:10 sources.scans: no file below the data root matches." in ended.out.splitlines()


def test_failures_are_allowed_up_to_a_number_or_a_share(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.tree.root, tmp_path / "data")
    for name in ("photo0", "photo1", "photo2"):
        (tmp_path / "data" / "img" / f"{name}.jpg").write_bytes(b"not a picture")
    words = [small.spec, "--data", tmp_path / "data"]
    for number, (allowed, code) in enumerate({
        "2": exit_codes.FAILED, "3": exit_codes.QUARANTINED,  # of 24, so that 12.5 % are three
        "12%": exit_codes.FAILED, "12.5%": exit_codes.QUARANTINED, "100%": exit_codes.QUARANTINED,
    }.items()):  # fmt: skip
        ended = build(*words, "--out", tmp_path / str(number), "--max-failures", allowed)
        assert ended.code == code, (allowed, ended)
        if code == exit_codes.FAILED:
            assert "--max-failures allows 2; the last: img/photo" in ended.err
        else:
            assert ended.out.splitlines()[0].startswith("mixed: 21 samples")
            assert "  left out: 3 of cases (read: " in ended.out


def conversations(corpus: Path) -> list[tuple[str, str, str]]:
    """(key, task, language) of every conversation."""
    return [(sample.key, c.task, c.lang) for sample in medshard.open(corpus) for c in sample.conversations]


def test_languages(small: Small, tmp_path: Path) -> None:
    told(build(small.spec, "--data", small.tree.root, "--out", tmp_path / "zh", "--lang", "zh", "--json"))
    written = conversations(tmp_path / "zh")
    assert {lang for _, task, lang in written if task == "classification"} == {"zh"}
    assert {lang for _, _, lang in conversations(small.corpus)} == {"en", "zh"}


def test_the_number_of_conversations(small: Small, tmp_path: Path) -> None:
    told(build(small.spec, "--data", small.tree.root, "--out", tmp_path / "few", "--items", "1", "--json"))
    assert max(Counter((key, lang) for key, _, lang in conversations(tmp_path / "few")).values()) == 1
    assert max(Counter((key, lang) for key, _, lang in conversations(small.corpus)).values()) > 1
    told(build(small.spec, "--data", small.tree.root, "--out", tmp_path / "none", "--items", "0", "--json"))
    assert conversations(tmp_path / "none") == []


def test_another_seed_asks_otherwise_of_the_same_pixels(small: Small, tmp_path: Path) -> None:
    ended = build(small.spec, "--data", small.tree.root, "--out", tmp_path / "corpus", "--seed", "1")
    assert ended.code == 0, ended.err
    first, second = medshard.open(small.corpus), medshard.open(tmp_path / "corpus")
    mine, other = ({s.key: s for s in corpus} for corpus in (first, second))
    assert set(mine) == set(other)
    assert {key: [str(c) for c in s.conversations] for key, s in mine.items()} != {
        key: [str(c) for c in s.conversations] for key, s in other.items()
    }
    for key, sample in mine.items():
        assert [m.digest for m in sample.record.media] == [m.digest for m in other[key].record.media]


def test_a_small_shard_size_makes_more_shards(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    folder = tmp_path / "data" / "img"
    folder.mkdir(parents=True)
    for number in range(5):  # about 0.6 MB each
        pixels = np.random.default_rng(number).integers(0, 256, (800, 800), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=0)
    spec = write_pictures(tmp_path / "pictures.yaml", "pictures")
    words = [spec, "--data", tmp_path / "data", "--json"]
    one = told(build(*words, "--out", tmp_path / "one"))
    many = told(build(*words, "--out", tmp_path / "many", "--shard-mib", "1"))
    assert one["counts"]["samples"] == many["counts"]["samples"] == 5
    assert one["datasets"][0]["units"] == 1
    assert many["datasets"][0]["units"] >= 3


def test_renditions_are_asked_for_and_told(small: Small, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "pictures.yaml", "pictures")
    words = [spec, "--data", small.tree.root]
    plain = build(*words, "--out", tmp_path / "plain")
    assert "renditions:" not in plain.out
    levels = build(*words, "--out", tmp_path / "levels", "--renditions", "32")
    assert levels.code == 0
    assert re.search(r"renditions: \d+\.\d MiB, \d+\.\d% more", levels.out)
    assert list((tmp_path / "levels").rglob("renditions/*.r2.tar"))
    assert build(*words, "--out", tmp_path / "few", "--renditions", "1").code != 0


def test_private_data_need_a_key(small: Small, tmp_path: Path) -> None:
    spec = write_pictures(tmp_path / "mine.yaml", "mine", access="private")
    words = [spec, "--data", small.tree.root, "--out", tmp_path / "corpus"]
    ended = build(*words)
    assert ended.code == exit_codes.PROBLEMS
    assert "private data need a key of your own for identity tokens: --id-key FILE" in ended.err
    key = tmp_path / "id.key"
    key.write_text("short")
    ended = build(*words, "--id-key", key)
    assert (ended.code, ended.out) == (exit_codes.FAILED, "")
    assert "at least 16 bytes, this has 5" in ended.err
    assert "short" not in ended.err
    key.write_text("0123456789abcdef-secret")
    ended = build(*words, "--id-key", key)
    assert ended.code == 0, ended.err
    assert all(b"secret" not in path.read_bytes() for path in (tmp_path / "corpus").rglob("*") if path.is_file())


def test_a_split_policy(small: Small, tmp_path: Path) -> None:
    shutil.copytree(small.tree.root, tmp_path / "data")
    cases = tmp_path / "data" / "cases.csv"
    head, *rows = cases.read_text().splitlines()
    one = [",".join(["same" if place == 1 else cell for place, cell in enumerate(row.split(","))]) for row in rows]
    cases.write_text("\n".join([head, *one]) + "\n")  # one patient, in both splits
    words = [small.spec, "--data", tmp_path / "data"]
    official = build(*words, "--out", tmp_path / "official")
    assert official.code == 0, official.err
    assert "  1 patients or images stand in test and train" in official.out
    strict = build(*words, "--out", tmp_path / "strict", "--split-policy", "official_strict")
    assert strict.code == 0, strict.err
    assert {sample.record.split for sample in medshard.open(tmp_path / "strict")} == {"test"}


def test_workers_change_no_byte(small: Small, tmp_path: Path) -> None:
    ended = run_here("build", small.spec, "--data", small.tree.root, "--out", tmp_path / "corpus", "--workers", "2")
    assert ended.code == 0, ended.err
    assert digests(tmp_path / "corpus") == digests(small.corpus)
