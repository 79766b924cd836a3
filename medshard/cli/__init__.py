"""The ``medshard`` command: one file a subcommand."""

from __future__ import annotations

from importlib import import_module

import click

from medshard import __version__
from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import reported

__all__ = ["main"]

_COMMANDS = ("build", "check", "demo", "doctor", "retext", "schema", "show", "specs", "stats", "verify", "why")


class _Lazy(click.Group):
    """Imports a subcommand when it is called, so that ``medshard --help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"medshard.cli.{cmd_name}").command
        return command


@click.group(cls=_Lazy, epilog=EXIT_CODES_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="medshard")
def _group() -> None:
    """Public medical datasets as sharded corpora, and batches for trainers.

    \b
    Example:
      medshard build busi-captions --data /data/busi --out corpus/
      medshard show corpus/
    """


def main() -> None:
    """Entry point of the console script."""
    with reported():
        _group()
