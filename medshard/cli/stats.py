"""``medshard stats``."""

from __future__ import annotations

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.cli.opened import opened, selected
from medshard.corpus.statistics import statistics

__all__ = ["command"]

_SHOWN = 15


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("corpus")
@click.option("--where", default=None, help="Only samples (or items) for which this is true.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all rows.")
def command(corpus: str, where: str | None, as_json: bool) -> None:
    """Count what is in CORPUS: samples, items, concepts, shapes, sizes.

    \b
    Example:
      medshard stats corpus/
      medshard stats corpus/ --where "split = 'train'" --json
    """
    told = statistics(selected(opened(corpus), where))
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        if not isinstance(value, dict):
            click.echo(f"{name}: {value}")
            continue
        click.echo(f"{name}:")
        rows = list(value.items())
        for what, count in rows[:_SHOWN]:
            click.echo(f"  {count:>9}  {what}")
        if len(rows) > _SHOWN:
            click.echo(f"  {'':>9}  and {len(rows) - _SHOWN} more")
