"""``medshard specs``."""

from __future__ import annotations

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.spec.catalog import dataset_specs
from medshard.spec.load import load_spec_file

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def command(words: tuple[str, ...], as_json: bool) -> None:
    """List the shipped specs, or those whose name, title or modality holds all WORDS.

    \b
    Example:
      medshard specs
      medshard specs ultrasound
    """
    rows = []
    for name, path in dataset_specs().items():
        for loaded in load_spec_file(path):
            about = loaded.spec.about
            modality = about.modality if isinstance(about.modality, str) else " ".join(about.modality)
            row = {"spec": name, "name": loaded.spec.name, "modality": modality, "title": about.title}
            if all(word.lower() in " ".join(row.values()).lower() for word in words):
                rows.append(row)
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"no shipped spec matches {' '.join(words)!r}", err=True)
    for row in rows:
        # What build and check take is the spec's name; one spec may hold several datasets.
        name = row["spec"] if row["spec"] == row["name"] else f"{row['spec']}: {row['name']}"
        click.echo(f"{name:31} {_short(row['modality']):26} {row['title']}")


def _short(modality: str) -> str:
    first, *others = modality.split()
    return f"{first} +{len(others)}" if others else first
