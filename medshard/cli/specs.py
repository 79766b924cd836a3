"""``medshard specs``."""

from __future__ import annotations

import click

from medshard.cli.failures import print_json
from medshard.spec.catalog import dataset_specs
from medshard.spec.load import load_spec_file

__all__ = ["command"]


@click.command()
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
    for row in rows:
        click.echo(f"{row['name']:24} {row['modality']:28} {row['title']}")
