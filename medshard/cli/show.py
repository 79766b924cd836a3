"""``medshard show``."""

from __future__ import annotations

import json

import click

from medshard.cli.counted import counted
from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.cli.opened import opened, sample_of, selected
from medshard.corpus.corpus import Corpus
from medshard.corpus.sample import CorpusSample

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("corpus")
@click.argument("key", required=False)
@click.option(
    "--where",
    default=None,
    help="Only samples (or items) for which this is true, such as \"modality = 'ct'\".",
)
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Samples to list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for a KEY the full record.")
def command(corpus: str, key: str | None, where: str | None, limit: int, as_json: bool) -> None:
    """Show what is in CORPUS (a folder or s3://...), or all that is known of one sample.

    \b
    Example:
      medshard show corpus/
      medshard show corpus/ --where "task = 'detection' and lang = 'zh'"
      medshard show corpus/ bccd-BloodImage_00000
    """
    whole = opened(corpus)
    if key is not None:
        sample = sample_of(whole, key)
        if as_json:
            print_json(json.loads(sample.record.model_dump_json(by_alias=True)))
        else:
            _print_sample(sample)
        return
    chosen = selected(whole, where)
    if as_json:
        keys = [sample.key for sample, _ in zip(chosen, range(limit), strict=False)]
        print_json({"samples": len(chosen), "items": len(chosen.item_rows), "keys": keys})
        return
    _print_corpus(whole, chosen, limit)


def _print_corpus(whole: Corpus, chosen: Corpus, limit: int) -> None:
    manifest = whole.manifest
    for line in manifest.datasets:
        splits = ", ".join(f"{name} {count}" for name, count in line.counts.get("samples", {}).items())
        click.echo(f"{line.slug:24} {counted(line.samples, 'sample'):>14} ({splits})  {line.licence['id']}")
    counts = manifest.counts
    size_mib = counts["bytes"] / 2**20
    click.echo(
        f"{counted(counts['samples'], 'sample')}, {counted(counts['items'], 'item')}, "
        f"{counted(counts['facts'], 'fact')}; {counted(counts['shards'], 'shard')} and "
        f"{counted(counts['volumes'], 'volume')}, {size_mib:.1f} MiB"
    )
    if len(chosen) != len(whole) or len(chosen.item_rows) != len(whole.item_rows):
        click.echo(f"selected: {counted(len(chosen), 'sample')}, {counted(len(chosen.item_rows), 'item')}")
    for sample, _ in zip(chosen, range(limit), strict=False):
        click.echo(f"  {repr(sample).strip('<>')}")
    if len(chosen) > limit:
        click.echo(f"  and {len(chosen) - limit} more (--limit)")


def _print_sample(sample: CorpusSample) -> None:
    record = sample.record
    axes = ", ".join(f"{name}: {' '.join(words)}" for name, words in record.axes.model_dump().items() if words)
    click.echo(f"{record.key}  ({record.dataset}, {record.split}{f', {record.group}' if record.group else ''})")
    click.echo(f"  {axes}; licence {record.licence}")
    for medium in record.media:
        if not medium.present:
            click.echo(f"  {medium.slot}: {medium.kind}, {medium.absent_reason}")
            continue
        size = " x ".join(str(length) for length in medium.shape or ())
        spacing = "spacing unknown"
        if medium.spacing_mm is not None:
            spacing = "spacing " + " x ".join(f"{step:.4g}" for step in medium.spacing_mm) + " mm"
        click.echo(f"  {medium.slot}: {medium.kind} {medium.axes} {size} {medium.dtype}, {spacing}, {medium.part}")
    for scope in record.scopes:
        click.echo(f"  looked for all {scope.of} of {scope.concepts} in {', '.join(scope.slots)}")
    for fact in record.facts:
        rest = {
            name: value
            for name, value in fact.model_dump(by_alias=True, exclude_defaults=True).items()
            if name not in ("id", "concept", "slots", "source", "by")
        }
        shown = ", ".join(f"{name} {value}" for name, value in rest.items())
        click.echo(f"  {fact.id} {fact.kind} {fact.concept or ''} ({fact.by}) {shown[:160]}".rstrip())
    for conversation in sample.conversations:
        click.echo(f"  {conversation.id} {conversation.task}.{conversation.lang}")
        for message in sample.text(conversation):
            content = message["content"].replace("\n", " ")
            click.echo(f"    {message['role']}: {content[:300]}")
