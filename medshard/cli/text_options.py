"""The options of commands that write text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["with_text_options"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--lang",
        "languages",
        type=click.Choice(["en", "zh"]),
        multiple=True,
        default=("en", "zh"),
        show_default=True,
        help="Languages of the text; give it once a language.",
    ),
    click.option(
        "--items",
        type=click.IntRange(0),
        default=8,
        show_default=True,
        help="Conversations at most, a sample and language.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Draws other questions and wordings."),
)


def with_text_options(command: F) -> F:
    """Adds ``--lang``, ``--items`` and ``--seed``, as ``languages``, ``items`` and ``seed``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
