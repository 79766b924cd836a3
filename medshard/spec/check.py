"""What can be checked of a spec without any data."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medshard.errors import Problem, nearest
from medshard.spec.expression import ExpressionError, parse_expression
from medshard.spec.load import LoadedSpec, typed_as_far_as_possible
from medshard.spec.schema import ExpressionMark, Spec
from medshard.spec.schema.facts import (
    BoxFact,
    ClassFact,
    FlagFact,
    InstanceFact,
    MaskClassFact,
    NumberFact,
    TextColumnFact,
)
from medshard.spec.schema.sources import FilePattern, FirstOf
from medshard.spec.taxonomy import Taxonomy
from medshard.spec.value_map import ValueMap, regex_problem
from medshard.spec.yaml_text import read_yaml

__all__ = ["check_file", "check_spec", "expressions_of"]


def check_file(path: Path, taxonomy: Taxonomy) -> tuple[list[LoadedSpec], list[Problem]]:
    """The specs of a file and all their problems; with an error among these, there are no specs.

    Raises:
        SpecError: it cannot be read as YAML.
    """
    loaded, problems = typed_as_far_as_possible(read_yaml(path))
    wrong = {(problem.line, problem.field) for problem in problems}
    for spec in loaded:
        # What was mended is not complained of again.
        problems += [found for found in check_spec(spec, taxonomy) if (found.line, found.field) not in wrong]
    failed = any(problem.severity == "error" for problem in problems)
    return [] if failed else loaded, sorted(dict.fromkeys(problems), key=lambda problem: problem.line)


def check_spec(loaded: LoadedSpec, taxonomy: Taxonomy) -> list[Problem]:
    """Names, patterns, expressions and concepts; all problems at once."""
    return [
        *_check_expressions(loaded),
        *_check_patterns(loaded),
        *_check_sources_named(loaded),
        *_check_slots_named(loaded),
        *_check_concepts(loaded, taxonomy),
        *_check_tasks(loaded),
    ]


def expressions_of(spec: Spec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Path and text of every expression of a spec, found by the types of its fields."""
    yield from _expressions(spec, ())


def _expressions(node: BaseModel, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, field in type(node).model_fields.items():
        value = getattr(node, name)
        marked = any(isinstance(mark, ExpressionMark) for mark in field.metadata) or _mentions(field.annotation)
        yield from _in_value(value, (*path, field.alias or name), marked=marked)


def _in_value(value: Any, path: tuple[str | int, ...], *, marked: bool) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, BaseModel):
        yield from _expressions(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _in_value(item, (*path, key), marked=marked)
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _in_value(item, (*path, place), marked=marked)
    elif marked and isinstance(value, str):
        yield path, value


def _mentions(annotation: Any) -> bool:
    """Whether a type holds an ``Expression`` somewhere inside."""
    if any(isinstance(mark, ExpressionMark) for mark in getattr(annotation, "__metadata__", ())):
        return True
    return any(_mentions(argument) for argument in typing.get_args(annotation))


def _check_expressions(loaded: LoadedSpec) -> list[Problem]:
    problems = []
    for path, text in expressions_of(loaded.spec):
        try:
            parse_expression(text)
        except ExpressionError as error:
            problems.append(loaded.problem("expression", path, f"{error}.", found=text))
    return problems


def _check_patterns(loaded: LoadedSpec) -> list[Problem]:
    from medshard.source.pattern import PatternError, compile_pattern

    problems = []
    for name, source in loaded.spec.sources.items():
        kind = type(source).__name__.removesuffix("Source").lower()
        patterns = getattr(source, "json_" if kind == "json" else kind)
        for path, text in _patterns(patterns, ("sources", name, kind)):
            try:
                compile_pattern(text)
            except PatternError as error:
                problems.append(loaded.problem("pattern", path, f"{error}.", found=text))
        rows = getattr(source, "rows", None)
        if kind == "json" and rows is not None:
            from medshard.source.json_rows import JsonPathError, parse_rows_path

            try:
                parse_rows_path(rows)
            except JsonPathError as error:
                problems.append(loaded.problem("rows", ("sources", name, "rows"), f"{error}.", found=rows))
    return problems


def _patterns(patterns: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(patterns, str):
        yield path, patterns
    elif isinstance(patterns, FilePattern):
        yield (*path, "pattern"), patterns.pattern
        for place, text in enumerate(patterns.exclude):
            yield (*path, "exclude", place), text
    elif isinstance(patterns, FirstOf):
        for place, choice in enumerate(patterns.first_of):
            yield from _patterns(choice, (*path, "first_of", place))
    else:
        for place, item in enumerate(patterns):
            yield from _patterns(item, (*path, place))


def _check_sources_named(loaded: LoadedSpec) -> list[Problem]:
    spec = loaded.spec
    known = list(spec.sources)
    named: list[tuple[tuple[str | int, ...], str]] = [(("samples", "from"), spec.samples.from_)]
    named += [(("samples", "join", source), source) for source in spec.samples.join]
    named += [(("media", slot, "from"), medium.from_) for slot, medium in spec.media.items()]
    problems = []
    for path, source in named:
        if source not in known:
            message = f"{source!r} is no source of this spec."
            guess = nearest(source, known)
            problems.append(
                loaded.problem("unknown-source", path, message, found=source, allowed=tuple(known), nearest=guess)
            )
    if spec.samples.from_ in spec.samples.join:
        message = "the samples' own source is not joined to itself."
        problems.append(loaded.problem("self-join", ("samples", "join", spec.samples.from_), message))
    for slot, medium in spec.media.items():
        if medium.kind != "volume" and medium.channels is not None:
            message = "channels are for kind: volume."
            problems.append(loaded.problem("channels", ("media", slot, "channels"), message))
    return problems


def _check_slots_named(loaded: LoadedSpec) -> list[Problem]:
    spec = loaded.spec
    problems = []
    known = list(spec.media)
    masks = [slot for slot, medium in spec.media.items() if medium.kind == "mask"]
    for slot, medium in spec.media.items():
        if medium.like is not None and medium.like not in known:
            message = f"{medium.like!r} is no slot."
            guess = nearest(medium.like, known)
            problems.append(
                loaded.problem("unknown-slot", ("media", slot, "like"), message, allowed=tuple(known), nearest=guess)
            )
        elif medium.grid == "resample" and medium.like is not None and spec.media[medium.like].kind != "volume":
            message = f"masks are resampled onto volumes; {medium.like!r} is kind: {spec.media[medium.like].kind}."
            problems.append(loaded.problem("grid", ("media", slot, "grid"), message))
        elif medium.slices is not None and medium.like is not None and spec.media[medium.like].slices is None:
            message = f"slices of a mask are paired with those of its image: {medium.like!r} needs slices: as well."
            problems.append(loaded.problem("slices", ("media", slot, "slices"), message))
    for name, fact in spec.facts.items():
        path: tuple[str | int, ...] = ("facts", name)
        if isinstance(fact, (MaskClassFact, InstanceFact)):
            if fact.of not in masks:
                message = f"{fact.of!r} is no mask slot."
                guess = nearest(fact.of, masks)
                problems.append(
                    loaded.problem("unknown-slot", (*path, "of"), message, allowed=tuple(masks), nearest=guess)
                )
            elif isinstance(fact, MaskClassFact) and spec.media[fact.of].instances is not None:
                message = f"the slot {fact.of!r} holds instances; use kind: mask_instances."
                problems.append(loaded.problem("instances", (*path, "kind"), message))
        elif fact.of is not None and fact.of not in spec.samples.join:
            allowed = tuple(spec.samples.join)
            message = f"{fact.of!r} is not joined; name it under samples.join."
            guess = nearest(fact.of, allowed)
            problems.append(loaded.problem("not-joined", (*path, "of"), message, allowed=allowed, nearest=guess))
        for place, slot in enumerate(fact.slots or ()):
            if slot not in known:
                message = f"{slot!r} is no slot."
                guess = nearest(slot, known)
                problems.append(
                    loaded.problem(
                        "unknown-slot", (*path, "slots", place), message, allowed=tuple(known), nearest=guess
                    )
                )
    return problems


def _check_concepts(loaded: LoadedSpec, taxonomy: Taxonomy) -> list[Problem]:
    problems = []

    def find(path: tuple[str | int, ...], name: str, categories: tuple[str, ...] = ()) -> None:
        try:
            taxonomy.find(name, categories)
        except KeyError as error:
            problems.append(loaded.problem("unknown-concept", path, f"{error.args[0]}.", found=name))

    about = loaded.spec.about
    for axis in ("modality", "anatomy", "department"):
        words = getattr(about, axis)
        for word in [words] if isinstance(words, str) else words:
            find(("about", axis), word, (axis,))
    for slot, medium in loaded.spec.media.items():
        if medium.view is not None:
            find(("media", slot, "view"), medium.view, ("view",))
    for name, fact in loaded.spec.facts.items():
        path: tuple[str | int, ...] = ("facts", name)
        if isinstance(fact, NumberFact):
            find((*path, "concept"), fact.concept, ("quantity",))
        elif isinstance(fact, TextColumnFact):
            find((*path, "section"), fact.section, ("section",))
        elif isinstance(fact, InstanceFact):
            find((*path, "concept"), fact.concept)
        elif isinstance(fact, FlagFact):
            for place, column in enumerate(fact.columns):
                if fact.map == "same_name":
                    find((*path, "columns", place), column)
        if isinstance(fact, BoxFact) and fact.concept is not None:
            find((*path, "concept"), fact.concept)
        if isinstance(fact, MaskClassFact):
            for union in fact.unions:
                find((*path, "unions", union), union)
        if isinstance(fact, (ClassFact, BoxFact, MaskClassFact, FlagFact)):
            problems += _check_map(loaded, path, fact, taxonomy)
    return problems


def _check_map(
    loaded: LoadedSpec,
    path: tuple[str | int, ...],
    fact: ClassFact | BoxFact | MaskClassFact | FlagFact,
    taxonomy: Taxonomy,
) -> list[Problem]:
    problems = []
    for part in ("match", "drop"):
        for pattern in getattr(fact, part, {}):
            reason = regex_problem(pattern)
            if reason is not None:
                message = f"is no regular expression of RE2: {reason}."
                problems.append(loaded.problem("regex", (*path, part, pattern), message, found=pattern))
    named = fact.map if isinstance(fact.map, dict) else {}
    for value, target in named.items():
        name = target if isinstance(target, str) else target.concept
        try:
            taxonomy.find(name)
        except KeyError as error:
            problems.append(loaded.problem("unknown-concept", (*path, "map", value), f"{error.args[0]}.", found=name))
    if not problems:
        try:
            ValueMap(fact.map, getattr(fact, "match", {}), getattr(fact, "drop", {}), taxonomy)
        except KeyError as error:
            problems.append(loaded.problem("unknown-concept", (*path, "match"), f"{error.args[0]}."))
    return problems


def _check_tasks(loaded: LoadedSpec) -> list[Problem]:
    from medshard.tasks.write import TASKS

    choice = loaded.spec.tasks
    known = TASKS.names()
    problems = []
    for part in ("only", "never", "weight"):
        for place, name in enumerate(getattr(choice, part)):
            if name not in known:
                path = ("tasks", part, name if part == "weight" else place)
                message = f"no task is called {name!r}."
                problems.append(
                    loaded.problem(
                        "unknown-task",
                        path,
                        message,
                        found=name,
                        allowed=tuple(known),
                        nearest=nearest(name, known),
                    )
                )
    return problems
