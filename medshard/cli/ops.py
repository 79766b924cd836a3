"""``medshard ops``."""

from __future__ import annotations

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with arguments, ranges of values and oracles.")
def command(as_json: bool) -> None:
    """List the operations of augmentation, and which of them the numpy reference, C++, SIMD and CUDA do.

    Those on pictures come first, by stage, then those on crops of volumes. SIMD names the levels that loops are
    compiled for; all give the same bits. docs/augment.md shows each operation, docs/volumes.md those on volumes.

    \b
    Example:
      medshard ops
      medshard ops --json
    """
    from medshard.testing.operation_paths import operation_paths
    from medshard.testing.volume_operations import volume_operation_paths

    lists = (("on pictures", operation_paths()), ("on volumes", volume_operation_paths()))
    if as_json:
        print_json([path.as_dict() for _, paths in lists for path in paths])
        return
    row = "{:24} {:14} {:21} {:4} {:20} {}"
    for title, paths in lists:
        click.echo(row.format(title, "stage", "numpy reference", "C++", "SIMD", "CUDA"))
        for path in paths:
            simd = " ".join(path.simd) or "-"
            cells = (path.numpy or "-", "yes" if path.cpp else "-", simd, "yes" if path.cuda else "-")
            click.echo(row.format(path.name, path.stage, *cells))
