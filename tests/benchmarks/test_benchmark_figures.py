"""The arithmetic of the benchmarks, and what they write: not one timing is asserted."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import medshard

BENCHMARKS = Path(medshard.__file__).parents[1] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """A module of the folder, imported as its programs do, and forgotten again."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    found = importlib.import_module(request.param)
    for name in set(sys.modules) - before:
        monkeypatch.delitem(sys.modules, name)
    return found


@pytest.mark.parametrize("module", ["figures"], indirect=True)
def test_ratio_is_taken_within_rounds(module: ModuleType) -> None:
    # The machine is half as fast in the second round: each round still says 2.
    found = module.ratio([100.0, 50.0, 110.0], [50.0, 25.0, 50.0])
    assert (found.median, found.lowest, found.highest) == (2.0, 2.0, 2.2)
    assert str(found) == "2.00 [2.00-2.20]"
    assert not found.includes_one
    with pytest.raises(ValueError, match="zip"):
        module.ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize("module", ["figures"], indirect=True)
def test_spread(module: ModuleType) -> None:
    assert str(module.spread([480.0, 500.4, 451.0])) == "480 [451-500]"
    assert module.spread([0.9, 1.2]).includes_one


@pytest.mark.parametrize("module", ["figures"], indirect=True)
def test_psnr(module: ModuleType) -> None:
    expected = np.full((4, 5, 3), 100, np.uint8)
    assert module.psnr_db(expected, expected, 255) == math.inf
    assert module.psnr_db(expected + 1, expected, 255) == pytest.approx(20 * math.log10(255))  # 48.13 dB
    low = module.psnr_db(np.uint8([0]), np.uint8([255]), 255)  # the difference of bytes must not wrap
    assert low == pytest.approx(0.0)


@pytest.mark.parametrize("module", ["report"], indirect=True)
def test_tables(module: ModuleType) -> None:
    assert module.markdown(("a", "b"), [["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"
    assert module.text(("a", "long"), [["123", "x"]]).splitlines() == ["a    long", "---  ----", "123  x"]
    row = {"contestant": "c", "rate": "failed: no batch"}
    assert module.cells([row])[0][:5] == ["c", "", "", "", "failed: no batch"]


@pytest.mark.parametrize("module", ["report"], indirect=True)
def test_fill_in(module: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- A -->old<!-- /A -->\nafter\n")
    for content in ("new", "newer"):
        module.fill_in(page, "A", content)
        assert page.read_text() == f"before\n<!-- A -->\n\n{content}\n\n<!-- /A -->\nafter\n"
    with pytest.raises(ValueError, match="<!-- B -->"):
        module.fill_in(page, "B", "x")


def test_the_page_has_a_place_for_every_section() -> None:
    page = (BENCHMARKS.parent / "docs" / "performance.md").read_text()
    for name in ("machine", "A", "A-hi-xray", "A-hi-fundus", "fidelity", "codecs", "C", "settings"):
        assert page.count(f"<!-- {name} -->") == page.count(f"<!-- /{name} -->") == 1


@pytest.mark.parametrize("module", ["process_tree"], indirect=True)
def test_process_tree_counts_children(module: ModuleType) -> None:
    """A child that computes and holds 40 MB is in its parent's account."""
    child = "x = bytearray(b'1' * 40_000_000); t = __import__('time')\nwhile t.process_time() < 0.3: pass\n"
    program = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child + 'print(1, flush=True); input()'!r}])"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(module.members(parent.pid)) == 2
        assert parent.pid in module.members(os.getpid())
        assert module.cpu_s(parent.pid) >= 0.25
        found = module.memory(parent.pid)
        assert 40 < found.own <= found.pss <= found.rss
    finally:
        parent.communicate(b"\n")
        assert parent.returncode == 0
    deadline = time.monotonic() + 10
    while module.members(parent.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert module.members(parent.pid) == []


@pytest.mark.parametrize("module", ["crops"], indirect=True)
def test_crops_are_torchvisions(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of area and shapes lie in their bounds, and the whole of both ranges is drawn."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    workloads = importlib.import_module("workloads")
    workload = workloads.Workload(name="A", folder="", count=0, **workloads.WORKLOADS["A"])
    draw = module.random_crop(workload)
    parts = np.array([draw(1000, 800) for _ in range(4000)], float)
    x, y, w, h = parts.T
    assert (x >= 0).all()
    assert (y >= 0).all()
    assert (x + w <= 1000).all()
    assert (y + h <= 800).all()
    area, shape = w * h / 800_000, w / h
    assert 0.498 < area.min() < 0.52
    assert 0.9 < area.max() <= 1.0
    assert 0.74 < shape.min() < 0.78
    assert 1.3 < shape.max() < 1.34
