"""``medshard verify``."""

from __future__ import annotations

import sys

import click

from medshard.cli.counted import counted
from medshard.cli.exit_codes import DAMAGED, EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.cli.opened import opened
from medshard.cli.progress import ProgressBar
from medshard.corpus.verify import verify_corpus

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("corpus")
@click.option("--quick", is_flag=True, help="Only sizes and digests, without opening records and pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(corpus: str, quick: bool, as_json: bool) -> None:
    """Compare CORPUS with its own index: digests of files, parts against tars, records against the schema.

    \b
    Example:
      medshard verify corpus/
      medshard verify s3://bucket/corpus --quick
    """
    whole = opened(corpus)
    with ProgressBar(shown=not as_json) as progress:
        problems, checked = verify_corpus(whole, quick=quick, progress=progress)
    if as_json:
        print_json({"checked": checked, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        told = ", ".join(f"{count} {name}" for name, count in checked.items())
        click.echo(f"checked {told}: {counted(len(problems), 'problem')}")
    sys.exit(DAMAGED if problems else 0)
