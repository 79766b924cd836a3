"""``medshard ops``."""

from __future__ import annotations

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with arguments, ranges of values and oracles.")
def command(as_json: bool) -> None:
    """List the operations of augmentation by stage, and which of them the numpy reference, C++, SIMD and CUDA do.

    SIMD names the levels that loops are compiled for; all give the same bits. docs/augment.md shows each operation.

    \b
    Example:
      medshard ops
      medshard ops --json
    """
    from medshard.testing.operation_paths import operation_paths

    paths = operation_paths()
    if as_json:
        print_json([path.as_dict() for path in paths])
        return
    row = "{:24} {:14} {:21} {:4} {:20} {}"
    click.echo(row.format("operation", "stage", "numpy reference", "C++", "SIMD", "CUDA"))
    for path in paths:
        cells = (path.numpy or "-", "yes" if path.cpp else "-", " ".join(path.simd) or "-", "yes" if path.cuda else "-")
        click.echo(row.format(path.name, path.stage, *cells))
