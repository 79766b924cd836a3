"""``medshard schema``."""

from __future__ import annotations

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.spec.json_schema import spec_json_schema

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
def command() -> None:
    """Print the JSON Schema of the spec language, for editors.

    \b
    Example:
      medshard schema > medshard.schema.json
      # and in the spec's first line:  # yaml-language-server: $schema=medshard.schema.json
    """
    click.echo(spec_json_schema(), nl=False)
