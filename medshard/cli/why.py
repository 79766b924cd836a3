"""``medshard why``."""

from __future__ import annotations

from typing import Any

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.cli.opened import opened, sample_of
from medshard.corpus.provenance import provenance
from medshard.errors import MedshardError

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("corpus")
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(corpus: str, key: str, as_json: bool) -> None:
    """Say where a sample, each of its facts and each of its words come from.

    KEY is a sample's key, or KEY/c1 for one conversation of it.

    \b
    Example:
      medshard why corpus/ bccd-BloodImage_00000
      medshard why corpus/ bccd-BloodImage_00000/c1
    """
    name, _, conversation = key.partition("/")
    sample = sample_of(opened(corpus), name)
    known = [entry.id for entry in sample.conversations]
    if conversation and conversation not in known:
        text = ", ".join(known) or "none"
        raise MedshardError(f"{name} has no conversation {conversation!r}; it has: {text}")
    told = provenance(sample, conversation or None)
    if as_json:
        print_json(told)
        return
    click.echo(f"{told['key']}: {told['title']} ({told['dataset']}), licence {told['licence']['id']}")
    digests = f"spec {told['spec_digest'][:16]}, build {told['build_digest'][:16]}"
    click.echo(f"  {digests}, shard {told['shard']} sample {told['row']}")
    for row in told["source"]:
        place = row["file"] if row["row"] is None else f"{row['file']} row {row['row']}"
        click.echo(f"  {row['id']}: {place}  {row['digest'] or 'digest not taken'}")
    for medium in told["media"]:
        click.echo(
            f"  {medium['slot']}: {medium['part'] or medium['absent_reason']}  {medium['digest'] or ''}".rstrip()
        )
    for fact in told["facts"]:
        origin = "; ".join(map(_cited, fact["source"])) or f"{fact['rule']} of {', '.join(fact['from'])}"
        click.echo(f"  {fact['id']} {fact['kind']} {fact['concept'] or ''} {fact['state']} <- {origin} ({fact['by']})")
    for line in told["conversations"]:
        click.echo(f"  {line['id']} {line['task']}.{line['lang']}: {', '.join(filter(None, line['templates']))}")
        for block in line["blocks"]:
            if block["facts"]:
                click.echo(f"    {block['text']!r} <- {', '.join(block['facts'])}")


def _cited(citation: dict[str, Any]) -> str:
    """The place, and what stood there; that is not kept of a text, of pixels, and of what identifies a person."""
    place = f"{citation['id']}.{citation['field']}"
    return place if citation["raw"] is None else f"{place} = {citation['raw']!r}"
