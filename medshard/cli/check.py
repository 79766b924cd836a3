"""``medshard check``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from medshard.cli.counted import counted
from medshard.cli.data_roots import data_roots
from medshard.cli.exit_codes import CLAIMS_FAILED, EXIT_CODES_HELP, PROBLEMS
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
    help="Folder of the data, or a YAML of lines NAME: FOLDER: also say what would match and what would be left out.",
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
    listed = _listed(paths) if paths is not None else None
    problems: list[Problem] = []
    previews: list[dict[str, Any]] = []
    for name in specs:
        try:
            path = find_spec(name)
            loaded, found = check_file(path, load_taxonomy())
            problems += found
            if data is None and paths is None:
                continue
            names = [(spec.spec.name, path.stem) for spec in loaded]
            roots = data_roots(data, names) if data is not None else [None] * len(loaded)
            for spec, root in zip(loaded, roots, strict=True):
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
    claims = any(shown["failed_claims"] for shown in previews) and not partial
    wrong = any(problem.severity == "error" for problem in problems)
    sys.exit(PROBLEMS if wrong else CLAIMS_FAILED if claims else 0)


def _listed(path: Path) -> list[str]:
    lines = path.read_bytes().decode(errors="replace").split("\n")
    listed = [line.removesuffix("\r").removeprefix("./") for line in lines if line.strip()]
    if listed and all(line.startswith("/") for line in listed):
        message = "its paths begin with '/'; list them from within the folder: (cd FOLDER && find . -type f) > list.txt"
        raise click.BadParameter(f"{path}: {message}", param_hint="--paths")
    return listed


def _print(specs: tuple[str, ...], problems: list[Problem], previews: list[dict[str, Any]]) -> None:
    for problem in problems:
        click.echo(("warning: " if problem.severity == "warning" else "") + str(problem))
    for shown in previews:
        click.echo(f"{shown['name']}:")
        for source, counts in shown["sources"].items():
            click.echo(f"  {source}: {counted(counts['files'], 'file')}, {counted(counts['rows'], 'row')}")
            for what, count in shown["series"].get(source, {}).items():
                click.echo(f"    {what}: {count}")
        if "samples" in shown:
            splits = ", ".join(f"{name} {count}" for name, count in shown["splits"].items())
            click.echo(f"  {counted(shown['samples'], 'sample')}{f' ({splits})' if splits else ''}")
        for name, count in shown["split_conflicts"].items():
            click.echo(f"  {count} patients or images stand in {name.replace('+', ' and ')}")
        for row in shown["left_out"][:_SHOWN]:
            click.echo(f"  left out: {row['count']} of {row['source']}: {row['message']} (such as {row['example']})")
        if len(shown["left_out"]) > _SHOWN:
            click.echo(f"  and {len(shown['left_out']) - _SHOWN} more reasons (--json tells all)")
        for claim in shown["failed_claims"]:
            click.echo(f"  claim: {claim}")
        if shown["unmatched"]:
            examples = ", ".join(shown["unmatched_examples"])
            verb = "matches" if shown["unmatched"] == 1 else "match"
            click.echo(f"  {counted(shown['unmatched'], 'file')} {verb} no source, such as {examples}")
        for what in shown["unchecked"]:
            click.echo(f"  not checked without data: {what}")
    warnings = sum(problem.severity == "warning" for problem in problems)
    claims = sum(len(shown["failed_claims"]) for shown in previews)
    told = [counted(len(problems) - warnings, "problem") if len(problems) > warnings else "no problems"]
    told += [counted(warnings, "warning")] if warnings else []
    told += [f"{counted(claims, 'claim')} that the data do not meet"] if claims else []
    click.echo(f"{counted(len(specs), 'spec')}: {', '.join(told)}")
