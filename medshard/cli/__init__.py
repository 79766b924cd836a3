"""The ``medshard`` command: one file a subcommand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from medshard import __version__
from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import reported
from medshard.errors import nearest

__all__ = ["main"]

_COMMANDS = {
    "build": "Convert datasets into a corpus.",
    "check": "Find all that is wrong with specs, and what they make of data.",
    "demo": "Convert five small datasets and stream the corpus.",
    "doctor": "Say what this installation can do and what is missing.",
    "ops": "List the operations of augmentation and what does each.",
    "retext": "Write the text of a corpus anew; no shard is touched.",
    "schema": "Print the JSON Schema of the spec language.",
    "show": "Show what is in a corpus, or all that is known of a sample.",
    "specs": "List the shipped specs.",
    "stats": "Count what is in a corpus.",
    "verify": "Compare a corpus with its own index.",
    "why": "Say where a sample and each of its words come from.",
}
"""What each does, written here because the list must not import them: pyarrow and duckdb take most of a second."""


class _Lazy(click.Group):
    """Imports a subcommand when it is called, so that ``medshard --help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"medshard.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            guess = nearest(args[0], list(_COMMANDS))
            hint = f" Did you mean {guess!r}?" if guess else ""
            ctx.fail(f"there is no command {args[0]!r}.{hint} Commands: {', '.join(_COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, epilog=EXIT_CODES_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="medshard")
def _group() -> None:
    """Public medical datasets as sharded corpora, and batches for trainers.

    \b
    Example:
      medshard build busi-captions --data /data/busi --out corpus/
      medshard show corpus/
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script.

    Args:
        arguments: words after the program's name; those of the process when None.

    Raises:
        SystemExit: with one of the codes of ``exit_codes``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    with reported(as_json="--json" in words):
        sys.exit(_group.main(words, prog_name="medshard", standalone_mode=False))
