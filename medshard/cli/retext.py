"""``medshard retext``."""

from __future__ import annotations

from pathlib import Path

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.cli.opened import opened
from medshard.cli.progress import ProgressBar
from medshard.cli.text_options import with_text_options
from medshard.convert.retext import retext
from medshard.tasks.budget import Budget
from medshard.tasks.write import TextOptions

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("corpus")
@click.option("--name", default="retext", show_default=True, help="Name of the text set.")
@with_text_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(corpus: str, name: str, languages: tuple[str, ...], items: int, seed: int, as_json: bool) -> None:
    """Write the text of CORPUS anew, with today's templates and terms; no shard is touched.

    \b
    Example:
      medshard retext corpus/ --seed 1 --items 16
    """
    if "://" in corpus:
        raise click.BadParameter(f"text is written into a folder; {corpus} is an address.", param_hint="CORPUS")
    opened(corpus)  # before a folder for the lock is made
    options = TextOptions(languages=languages, budget=Budget(items=items, seed=seed), name=name)  # type: ignore[arg-type]
    with ProgressBar(shown=not as_json) as progress:
        line = retext(Path(corpus), options, progress)
    if as_json:
        print_json(line.model_dump())
    else:
        click.echo(f"the text of {corpus} is now {line.path}")
