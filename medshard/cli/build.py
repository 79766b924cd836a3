"""``medshard build``."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from medshard.cli.counted import counted
from medshard.cli.data_roots import data_roots
from medshard.cli.exit_codes import CLAIMS_FAILED, EXIT_CODES_HELP, QUARANTINED
from medshard.cli.failures import print_json
from medshard.cli.progress import ProgressBar
from medshard.cli.text_options import with_text_options
from medshard.convert.corpus import build_corpus
from medshard.convert.dataset import DatasetBuild
from medshard.convert.options import BuildOptions, default_workers
from medshard.corpus.manifest import MANIFEST_NAME
from medshard.errors import MedshardError, Problem, SpecError
from medshard.plan.units import UnitLimits
from medshard.privacy.remap import PUBLIC_KEY, load_id_key
from medshard.spec.catalog import find_spec
from medshard.spec.check import check_file
from medshard.spec.load import LoadedSpec
from medshard.spec.schema.media import Renditions
from medshard.spec.taxonomy import load_taxonomy
from medshard.tasks.budget import Budget
from medshard.tasks.write import TextOptions

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("specs", nargs=-1, required=True)
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of the data, or a YAML of lines NAME: FOLDER, one a dataset.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The corpus; it is made, or the datasets are added to it.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=None,
    help="Worker processes; as many as there are cores by default.",
)
@click.option("--partial", is_flag=True, help="The data are a part of the release: values never seen are no error.")
@click.option(
    "--split-policy",
    type=click.Choice(["official", "official_strict", "by_patient"]),
    default="official",
    show_default=True,
    help="What becomes of patients or images that stand in several splits.",
)
@click.option(
    "--max-failures",
    default=None,
    help="Samples that may fail to be read, as a number or a share such as 5%; any number by default.",
)
@with_text_options
@click.option(
    "--shard-mib",
    type=click.IntRange(1),
    default=512,
    show_default=True,
    help="Listed MiB of sources a shard.",
)
@click.option(
    "--renditions",
    type=click.IntRange(16),
    default=None,
    metavar="PIXELS",
    help="Store smaller levels of pictures whose longer side has so many pixels or more, for slots whose spec says "
    "nothing of them; the loader reads the smallest that a crop needs.",
)
@click.option(
    "--id-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="File with the key of identity tokens, at least 16 bytes; needed for private data.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    specs: tuple[str, ...],
    data: Path,
    out: Path,
    workers: int | None,
    partial: bool,
    split_policy: str,
    max_failures: str | None,
    languages: tuple[str, ...],
    items: int,
    seed: int,
    shard_mib: int,
    renditions: int | None,
    id_key: Path | None,
    as_json: bool,
) -> None:
    """Convert datasets into a corpus.

    SPECS are names of shipped specs or paths of .yaml files. Everything that they name is checked before any pixel is
    read. What is built already and unchanged is kept, so an interrupted build goes on when it is run again.

    \b
    Example:
      medshard build vqa-rad --data /data/vqa_rad --out corpus/
      medshard build bccd busi-captions --data roots.yaml --out corpus/ --workers 8
    """
    count, share = _failures(max_failures)
    loaded = _load_all(specs)
    roots = data_roots(data, [(spec.spec.name, stem) for stem, spec in loaded])
    _check_out(out, roots)
    options = BuildOptions(
        workers=workers or default_workers(),
        split_policy=split_policy,  # type: ignore[arg-type]
        partial=partial,
        max_failures=count,
        max_failure_share=share,
        limits=UnitLimits(source_bytes=shard_mib * 2**20),
        text=TextOptions(languages=languages, budget=Budget(items=items, seed=seed)),  # type: ignore[arg-type]
        renditions=Renditions(from_px=renditions) if renditions is not None else None,
        id_key=load_id_key(id_key) if id_key is not None else PUBLIC_KEY,
    )
    datasets = [(spec, root) for (_, spec), root in zip(loaded, roots, strict=True)]
    try:
        with ProgressBar(shown=not as_json) as progress:
            manifest, made = build_corpus(datasets, out, options, progress)
    except KeyboardInterrupt:
        if not as_json:
            click.echo("what is finished is kept; the same command goes on from there", err=True)
        raise
    except MedshardError:
        with suppress(OSError):  # nothing came of it: a folder without anything in it says otherwise
            out.rmdir()
        raise
    if as_json:
        print_json({"corpus": str(out), "counts": manifest.counts, "datasets": [asdict(build) for build in made]})
    else:
        _print(made, out)
    failed = any(build.account["failed_samples"] for build in made)
    claims = any(build.failed_claims for build in made) and not partial
    sys.exit(CLAIMS_FAILED if claims else QUARANTINED if failed else 0)


def _load_all(names: tuple[str, ...]) -> list[tuple[str, LoadedSpec]]:
    """All specs, or the problems of all of them."""
    loaded: list[tuple[str, LoadedSpec]] = []
    problems: list[Problem] = []
    taxonomy = load_taxonomy()
    for name in names:
        try:
            path = find_spec(name)
            found, wrong = check_file(path, taxonomy)
            loaded += [(path.stem, spec) for spec in found]
            problems += [problem for problem in wrong if problem.severity == "error"]
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    twice = [name for name, count in Counter(spec.spec.name for _, spec in loaded).items() if count > 1]
    if twice:
        raise click.BadParameter(f"{', '.join(map(repr, twice))} is given more than once.", param_hint="SPECS")
    return loaded


def _check_out(out: Path, roots: list[Path]) -> None:
    """A corpus has a folder of its own.

    Raises:
        click.BadParameter: it holds other things, or lies in a folder of data, where the next build would take it for
            data.
    """
    within = next((root for root in roots if out.resolve().is_relative_to(root.resolve())), None)
    if within is not None:
        raise click.BadParameter(
            f"{out} lies in the data folder {within}; give a folder outside it.", param_hint="--out"
        )
    if not out.exists():
        return
    held = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if held and not {MANIFEST_NAME, "datasets"} & set(held):
        message = f"{out} holds other things (such as {held[0]!r}) and no corpus; give a new or empty folder."
        raise click.BadParameter(message, param_hint="--out")


def _failures(text: str | None) -> tuple[int | None, float | None]:
    if text is None:
        return None, None
    try:
        count, share = (None, float(text[:-1]) / 100) if text.endswith("%") else (int(text), None)
    except ValueError:
        count, share = None, None
    if (count is None or count < 0) and (share is None or not 0 <= share <= 1):
        raise click.BadParameter(f"{text!r} is neither a number nor a share such as 5%", param_hint="--max-failures")
    return count, share


def _print(made: list[DatasetBuild], out: Path) -> None:
    for build in made:
        account = build.account
        items = sum(build.counts.get("items", {}).values())
        size_mib = sum(entry["size_bytes"] for entry in (*build.shards, *build.volumes)) / 2**20
        samples, conversations = counted(account["samples"], "sample"), counted(items, "conversation")
        click.echo(f"{build.slug}: {samples}, {conversations}, {size_mib:.1f} MiB")
        extra = sum(level["size_bytes"] for shard in build.shards for level in shard.get("renditions", ()))
        if extra:
            click.echo(f"  renditions: {extra / 2**20:.1f} MiB, {extra / 2**20 / size_mib:.1%} more")
        for warning in build.warnings:
            click.echo(f"  warning: {warning}")
        for row in build.left_out:
            click.echo(f"  left out: {row['count']} of {row['source']} ({row['stage']}: {row['error_class']})")
        for name, count in build.split_conflicts.items():
            click.echo(f"  {count} patients or images stand in {name.replace('+', ' and ')}")
        for claim in build.failed_claims:
            click.echo(f"  claim: {claim}")
    click.echo(f"{out / 'report.html'} says what was left out and why")
