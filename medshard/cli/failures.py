"""How a command ends when it cannot go on: a message, an exit code, no traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from medshard.cli.exit_codes import DAMAGED, FAILED, PROBLEMS
from medshard.errors import CorpusError, MedshardError, SpecError

__all__ = ["print_json", "reported"]


@contextmanager
def reported() -> Iterator[None]:
    """Turn medshard's errors into messages and exit codes; with ``--json`` the message is JSON on standard output."""
    try:
        yield
    except MedshardError as error:
        code = PROBLEMS if isinstance(error, SpecError) else DAMAGED if isinstance(error, CorpusError) else FAILED
        if "--json" in sys.argv:
            problems = [problem.as_dict() for problem in error.problems] if isinstance(error, SpecError) else []
            print_json({"error": str(error), "kind": type(error).__name__, "problems": problems})
        else:
            click.echo(str(error), err=True)
        sys.exit(code)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))
