"""Commands as a user gives them, in this process and in one of their own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from mixed_tree import SPEC, Tree

import medshard
from medshard.cli import main

CHECKOUT = Path(medshard.__file__).parents[1]
PROGRAM = [sys.executable, "-c", "from medshard.cli import main; main()"]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def run_here(*arguments: str | Path) -> Ended:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Ended(code or 0, out.getvalue(), err.getvalue())


def run_apart(*arguments: str | Path, folder: Path) -> Ended:
    """Run a command in a process of its own, with pipes for its output."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    words = [*PROGRAM, *map(str, arguments)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return Ended(done.returncode, done.stdout, done.stderr)


def write_spec(path: Path, name: str = "mixed", expect: str = "") -> Path:
    """The spec of the mixed tree, as a file."""
    path.write_text(SPEC.replace("NAME", name).replace("EXPECT", expect))
    return path


@dataclass(frozen=True)
class Small:
    """A tree, its spec, and the corpus that ``medshard build`` made of them; nobody may change them."""

    tree: Tree
    spec: Path
    corpus: Path
    ended: Ended
