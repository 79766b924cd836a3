"""The same bytes with any number of workers, in any place, after any crash; and no work where nothing changed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mixed_tree import LIMITS, Quiet, Tree, build, digests, write_mixed_tree

from medshard.convert.atomic import only_writer
from medshard.convert.dataset import DatasetBuild
from medshard.errors import MedshardError

Built = tuple[Path, DatasetBuild]


def test_the_tree_makes_many_units_of_all_kinds(built: Built) -> None:
    _, account = built
    assert account.units > 8
    assert {shard["set"] for shard in account.shards} == {
        "record", "text", "image-jpg_text", "image-png_text", "image-png_mask-png_text", "volume_text",
    }  # fmt: skip
    assert max(shard["samples"] for shard in account.shards) == LIMITS.samples


def test_eight_workers_give_the_same_bytes(mixed: Tree, built: Built, tmp_path: Path) -> None:
    assert build(mixed.root, tmp_path / "corpus", workers=8) == built[1]
    assert digests(tmp_path / "corpus") == digests(built[0])


def test_neither_place_nor_time_nor_order_of_listing_matters(mixed: Tree, built: Built, tmp_path: Path) -> None:
    moved = tmp_path / "data of another machine"
    moved.mkdir()
    for folder in sorted(path for path in mixed.root.iterdir() if path.is_dir()):
        (moved / folder.name).mkdir()
        for path in sorted(folder.iterdir(), reverse=True):  # made in the other order, at another time
            shutil.copy(path, moved / folder.name / path.name)
            os.utime(moved / folder.name / path.name, (10**9, 10**9))
    for name in ("questions.csv", "cases.csv"):
        shutil.copy(mixed.root / name, moved / name)
    earlier = os.umask(0o077)
    try:
        build(moved, tmp_path / "corpus")
    finally:
        os.umask(earlier)
    assert digests(tmp_path / "corpus") == digests(built[0])


DRIVER = """\
import os, signal, sys
from pathlib import Path
from mixed_tree import build
moment, renames = int(sys.argv[3]), 0
replace = os.replace
def counting(source, target, **options):
    global renames
    if renames == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    renames += 1
    replace(source, target, **options)
os.replace = counting
build(Path(sys.argv[1]), Path(sys.argv[2]), workers=int(sys.argv[4]))
print(renames)
"""


def drive(tree: Path, corpus: Path, moment: int, workers: int = 1) -> subprocess.CompletedProcess[str]:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", DRIVER, str(tree), str(corpus), str(moment), str(workers)]
    return subprocess.run(command, env=here, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.55, 0.8, 0.93, 0.97, 1.0])
def test_killed_before_any_renaming_a_rerun_gives_the_same_bytes(
    mixed: Tree, built: Built, tmp_path: Path, share: float
) -> None:
    """Every step of a build ends in a renaming, so these are the moments that leave different things behind."""
    corpus = tmp_path / "corpus"
    last = renames(built[1]) - 1
    told = drive(mixed.root, corpus, round(share * last))
    assert told.returncode == -signal.SIGKILL, told.stderr
    assert digests(corpus) != digests(built[0])
    build(mixed.root, corpus)
    assert digests(corpus) == digests(built[0])


def renames(account: DatasetBuild) -> int:
    """Shards and volumes; five tables and the marker a unit; four files a dataset; ten a corpus."""
    return len(account.shards) + len(account.volumes) + 6 * account.units + 4 + 10


def test_the_moments_are_all_renamings(mixed: Tree, built: Built, tmp_path: Path) -> None:
    told = drive(mixed.root, tmp_path / "corpus", -1)
    assert told.returncode == 0, told.stderr
    assert int(told.stdout) == renames(built[1])


@pytest.mark.parametrize("units_done", [1, 6])
def test_killed_from_outside_with_workers(mixed: Tree, built: Built, tmp_path: Path, units_done: int) -> None:
    corpus = tmp_path / "corpus"
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", DRIVER, str(mixed.root), str(corpus), "-1", "2"]
    process = subprocess.Popen(command, env=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list(corpus.glob("datasets/*/*/units/*.json"))) < units_done:
        time.sleep(0.002)
    process.kill()
    # Reading to the end waits for the workers too: they hold these pipes, and end when their parent is gone.
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    build(mixed.root, corpus, workers=2)
    assert digests(corpus) == digests(built[0])


@pytest.fixture
def copied(built: Built, tmp_path: Path) -> Path:
    """A copy of the corpus that a test may change; times are kept."""
    shutil.copytree(built[0], tmp_path / "corpus")
    return tmp_path / "corpus"


def stamps(corpus: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder in ("shards", "volumes", "units"):
        for path in corpus.glob(f"datasets/*/*/{folder}/**/*"):
            if path.is_file():
                found[str(path.relative_to(corpus))] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


def test_where_nothing_changed_nothing_is_made_again(mixed: Tree, built: Built, copied: Path) -> None:
    before, progress = stamps(copied), Quiet()
    build(mixed.root, copied, progress=progress)
    assert stamps(copied) == before
    assert progress.stages["mixed: building"] == 0
    assert digests(copied) == digests(built[0])


@pytest.mark.parametrize(
    "lost", ["shards/*.tar", "units/*.json", "units/*.items.parquet", "units/*.locator", "volumes/*"]
)
def test_what_is_lost_is_made_again_and_nothing_else(mixed: Tree, built: Built, copied: Path, lost: str) -> None:
    path = sorted(copied.glob(f"datasets/*/*/{lost}"))[0]
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    progress = Quiet()
    build(mixed.root, copied, progress=progress)
    assert 1 <= progress.stages["mixed: building"] <= LIMITS.samples
    assert digests(copied) == digests(built[0])


def test_a_shard_cut_short_is_made_again(mixed: Tree, built: Built, copied: Path) -> None:
    path = sorted(copied.glob("datasets/*/*/shards/*.tar"))[3]
    path.write_bytes(path.read_bytes()[:1000])
    build(mixed.root, copied)
    assert digests(copied) == digests(built[0])


def test_a_file_changed_in_place_is_read_again(tmp_path: Path) -> None:
    tree = write_mixed_tree(tmp_path / "data", each=1)
    corpus = tmp_path / "corpus"
    build(tree.root, corpus)
    before = stamps(corpus)
    path = tree.root / "mask" / "flat0.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF  # of the same size, and no PNG any more
    path.write_bytes(bytes(data))
    later = time.time() + 5
    os.utime(path, (later, later))
    progress = Quiet()
    account = build(tree.root, corpus, progress=progress)
    assert progress.stages["mixed: building"] == 1
    assert account.account["failed_samples"] == 1
    after = stamps(corpus)
    assert not [name for name in after if "image-png_mask-png_text" in name]  # its old shard is gone
    untouched = {name: stamp for name, stamp in after.items() if before.get(name) == stamp}
    assert len(untouched) > len(after) * 0.6
    build(tree.root, tmp_path / "fresh")
    assert {n: d for n, d in digests(corpus).items() if "/units/" not in n} == {
        n: d for n, d in digests(tmp_path / "fresh").items() if "/units/" not in n
    }


def test_two_builds_do_not_write_to_one_corpus(mixed: Tree, tmp_path: Path) -> None:
    with only_writer(tmp_path / "corpus"), pytest.raises(MedshardError, match="another process is writing"):
        build(mixed.root, tmp_path / "corpus")
    assert list((tmp_path / "corpus").iterdir()) == []


class KillsAWorker(Quiet):
    """Kills a worker process once the first sample is made."""

    def step(self, count: int) -> None:
        super().step(count)
        if "building" in self._now:
            for child in multiprocessing.active_children():
                child.kill()


def test_a_worker_that_dies_is_told_and_what_is_done_is_kept(mixed: Tree, built: Built, tmp_path: Path) -> None:
    with pytest.raises(MedshardError, match="a worker process died"):
        build(mixed.root, tmp_path / "corpus", workers=2, progress=KillsAWorker())
    assert not (tmp_path / "corpus" / "corpus.json").exists()
    build(mixed.root, tmp_path / "corpus")
    assert digests(tmp_path / "corpus") == digests(built[0])
