"""``medshard check``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from medshard.cli.data_roots import data_root
from medshard.cli.exit_codes import EXIT_CODES_HELP, PROBLEMS
from medshard.cli.failures import print_json
from medshard.convert.preview import preview
from medshard.errors import Problem, SpecError
from medshard.spec.catalog import find_spec
from medshard.spec.check import check_file
from medshard.spec.taxonomy import load_taxonomy

__all__ = ["command"]

_SHOWN = 20


@click.command(epilog=EXIT_CODES_HELP)
@click.argument("specs", nargs=-1, required=True)
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="Folder of the data, or a YAML of folders by dataset: also say what would match and what would be left out.",
)
@click.option(
    "--paths",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Instead of data, a file that lists their paths, one a line (as find prints them).",
)
@click.option("--partial", is_flag=True, help="The data are a part of the release: values never seen are no error.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(specs: tuple[str, ...], data: Path | None, paths: Path | None, partial: bool, as_json: bool) -> None:
    """Find everything that is wrong with specs, and what they would make of data.

    Without data: form, names, patterns, expressions, concepts. With --data or --paths also which files match, which
    samples would be made, and what would be left out and why; no pixel is read and nothing is written.

    \b
    Example:
      medshard check my-dataset.yaml
      medshard check my-dataset.yaml --data /data/mine
      (cd /data/mine && find . -type f) > list.txt; medshard check my-dataset.yaml --paths list.txt
    """
    if data is not None and paths is not None:
        raise click.UsageError("give --data or --paths, not both")
    problems: list[Problem] = []
    previews: list[dict[str, Any]] = []
    for name in specs:
        try:
            path = find_spec(name)
            loaded, found = check_file(path, load_taxonomy())
            problems += found
            if data is None and paths is None:
                continue
            for spec in loaded:
                root = data_root(data, path.stem) if data is not None else None
                listed = _listed(paths) if paths is not None else None
                shown, more = preview(spec, root, listed, partial=partial)
                previews.append(shown)
                problems += more
        except SpecError as error:
            problems += error.problems
    problems = list(dict.fromkeys(problems))
    if as_json:
        print_json({"problems": [problem.as_dict() for problem in problems], "previews": previews})
    else:
        _print(specs, problems, previews)
    sys.exit(PROBLEMS if any(problem.severity == "error" for problem in problems) else 0)


def _listed(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [line.removeprefix("./") for line in lines if line.strip()]


def _print(specs: tuple[str, ...], problems: list[Problem], previews: list[dict[str, Any]]) -> None:
    for problem in problems:
        click.echo(("warning: " if problem.severity == "warning" else "") + str(problem))
    for shown in previews:
        click.echo(f"{shown['name']}:")
        for source, counts in shown["sources"].items():
            click.echo(f"  {source}: {counts['files']} files, {counts['rows']} rows")
        if "samples" in shown:
            splits = ", ".join(f"{name} {count}" for name, count in shown["splits"].items())
            click.echo(f"  {shown['samples']} samples ({splits})")
        for name, count in shown["split_conflicts"].items():
            click.echo(f"  {count} patients or images stand in {name.replace('+', ' and ')}")
        for row in shown["left_out"][:_SHOWN]:
            click.echo(f"  left out: {row['count']} of {row['source']}: {row['message']} (such as {row['example']})")
        for claim in shown["failed_claims"]:
            click.echo(f"  claim: {claim}")
        if shown["unmatched"]:
            examples = ", ".join(shown["unmatched_examples"])
            click.echo(f"  {shown['unmatched']} files match no source, such as {examples}")
        for what in shown["unchecked"]:
            click.echo(f"  not checked without data: {what}")
    if not problems:
        click.echo(f"{len(specs)} spec{'s' if len(specs) != 1 else ''}: no problems")
