"""How a command ends when it cannot go on: a message, an exit code, no traceback."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from medshard.cli.exit_codes import DAMAGED, FAILED, INTERRUPTED, PROBLEMS
from medshard.errors import CorpusError, MedshardError, Problem, SpecError

__all__ = ["print_json", "reported"]


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Turn errors that a user can do something about into messages and exit codes.

    Args:
        as_json: the message is JSON on standard output, else text on standard error.

    Raises:
        SystemExit: with the code. Other exceptions are bugs and keep their traceback.
    """
    try:
        yield
    except SpecError as error:
        _end(str(error), error, PROBLEMS, as_json=as_json, problems=error.problems)
    except MedshardError as error:
        _end(str(error), error, DAMAGED if isinstance(error, CorpusError) else FAILED, as_json=as_json)
    except click.exceptions.Abort as error:
        _end("interrupted", error, INTERRUPTED, as_json=as_json)
    except click.ClickException as error:
        if not as_json:
            error.show()
            sys.exit(error.exit_code)
        _end(error.format_message(), error, error.exit_code, as_json=True)
    except BrokenPipeError:
        # What is still buffered has no reader either; the interpreter would complain of it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        _end(f"{place}{error.strerror or error}", error, FAILED, as_json=as_json)


def _end(text: str, error: Exception, code: int, *, as_json: bool, problems: Sequence[Problem] = ()) -> None:
    if as_json:
        told = [problem.as_dict() for problem in problems]
        print_json({"error": text, "kind": type(error).__name__, "problems": told})
    else:
        click.echo(text, err=True)
    sys.exit(code)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))
