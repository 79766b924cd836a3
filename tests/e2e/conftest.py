"""The demo, run once for all tests that look at what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import medshard

CHECKOUT = Path(medshard.__file__).parents[1]


def environment() -> dict[str, str]:
    """The environment of a command that finds this checkout's package from any folder."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def medshard_command(arguments: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``medshard`` as a user would, in a folder of its own."""
    program = [sys.executable, "-c", "from medshard.cli import main; main()"]
    return subprocess.run(
        [*program, *map(str, arguments)], cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
    )


@dataclass(frozen=True)
class Demo:
    """What ``medshard demo`` left and said."""

    folder: Path
    corpus: Path
    told: dict[str, Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    done = medshard_command(["demo", "--out", folder / "demo", "--json"], folder)
    assert done.returncode == 0, done.stderr
    return Demo(folder / "demo", folder / "demo" / "corpus", json.loads(done.stdout))
