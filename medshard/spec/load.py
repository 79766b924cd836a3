"""From a YAML file to typed specs, with every problem at once and each with its line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from medshard.errors import Problem, SpecError, nearest
from medshard.spec.mend import Mistake, mended
from medshard.spec.schema import Spec
from medshard.spec.variants import expand_variants
from medshard.spec.yaml_text import Document, TextTree, parse_yaml, read_yaml

__all__ = ["LoadedSpec", "load_spec_file", "load_spec_text", "load_spec_tree", "typed_as_far_as_possible"]


@dataclass(frozen=True)
class LoadedSpec:
    """A typed spec and where it was written.

    Attributes:
        spec: the typed spec.
        document: the text it came from, for messages with lines.
        digest: sha256 over the spec's content, independent of layout, comments and file name.
    """

    spec: Spec
    document: Document
    digest: str

    def problem(self, code: str, path: tuple[str | int, ...], message: str, **details: Any) -> Problem:
        """A problem at ``path`` of the spec, with file and line filled in."""
        return self.document.problem(code, path, message, **details)


def load_spec_file(path: Path) -> list[LoadedSpec]:
    """The specs of a file: one, or one a row of its ``variants``.

    Raises:
        SpecError: anything is wrong with it; holds all problems.
    """
    return _typed(read_yaml(path))


def load_spec_text(text: str, file: str = "<spec>") -> list[LoadedSpec]:
    """The specs of YAML text; see ``load_spec_file``."""
    return _typed(parse_yaml(text, file))


def load_spec_tree(tree: TextTree, file: str) -> LoadedSpec:
    """The spec of a tree that was kept with a build."""
    return _typed(Document(file, tree, {}))[0]


def typed_as_far_as_possible(document: Document) -> tuple[list[LoadedSpec], list[Problem]]:
    """The specs of a document, and what is wrong with their form.

    A spec of wrong form is mended where that can be done, so that its names, expressions and concepts can be looked at
    in the same go. Where there are problems, nothing may be built from what is given.
    """
    loaded: list[LoadedSpec] = []
    problems: list[Problem] = []
    for variant in expand_variants(document):
        tree = variant.tree
        for attempt in range(_MENDINGS):
            try:
                spec = Spec.model_validate(tree)
            except ValidationError as error:
                details = _without_echoes(tree, error.errors(include_url=False))
                told = [_problem(variant, detail) for detail in details]
                if attempt == 0:
                    problems += told
                mistakes = [_mistake(tree, detail, problem) for detail, problem in zip(details, told, strict=True)]
                whole = mended(tree, mistakes)
                if whole is None:
                    break
                tree = whole
                continue
            content = spec.model_dump_json(by_alias=True, exclude_defaults=True)
            digest = hashlib.sha256(content.encode()).hexdigest()
            loaded.append(LoadedSpec(spec, variant, digest))
            break
    return loaded, list(dict.fromkeys(problems))


def _typed(document: Document) -> list[LoadedSpec]:
    loaded, problems = typed_as_far_as_possible(document)
    if problems:
        raise SpecError(problems)
    return loaded


_MENDINGS = 3

_SHAPE_ERRORS = {"string_type", "model_type", "dict_type", "list_type", "tuple_type"}


def _without_echoes(tree: TextTree, details: list[Any]) -> list[Any]:
    """A union reports one error a member; where one member got further than the others, only its errors matter."""
    paths = [_path_in_document(tree, detail["loc"]) for detail in details]
    kept = []
    for detail, path in zip(details, paths, strict=True):
        echo = detail["type"] in _SHAPE_ERRORS and any(
            other[: len(path)] == path and (other != path or further["type"] not in _SHAPE_ERRORS)
            for further, other in zip(details, paths, strict=True)
        )
        if not echo:
            kept.append(detail)
    return kept


def _mistake(tree: TextTree, detail: Any, problem: Problem) -> Mistake:
    kind = str(detail["type"])
    meant = problem.nearest or (problem.allowed[0] if problem.allowed and kind == "literal_error" else "")
    return Mistake(_path_in_document(tree, detail["loc"]), kind, meant)


def _problem(document: Document, detail: Any) -> Problem:
    """One pydantic error as a problem in the words of the spec language."""
    path = _path_in_document(document.tree, detail["loc"])
    kind = str(detail["type"])
    found = detail.get("input")
    shown = found if isinstance(found, str) else "" if found is None else json.dumps(found, ensure_ascii=False)[:80]
    if kind == "missing":
        field = str(detail["loc"][-1])
        message = f"the line {field!r} is missing."
        return document.problem("missing-field", path, message)
    if kind == "extra_forbidden":
        field = str(detail["loc"][-1])
        allowed = _fields_beside(detail["loc"])
        message = f"{field!r} is not a field here."
        return document.problem(
            "unknown-field",
            path,
            message,
            found=field,
            allowed=tuple(allowed),
            nearest=nearest(field, allowed),
        )
    if kind == "literal_error":
        allowed = [part.strip("' ") for part in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(",")]
        message = f"{shown!r} is not allowed here."
        return document.problem(
            "not-allowed", path, message, found=shown, allowed=tuple(allowed), nearest=nearest(shown, allowed)
        )
    if kind in ("source_kind", "fact_kind"):
        allowed = str(detail["msg"]).rsplit(": " if kind == "source_kind" else "one of ", 1)[-1].split(", ")
        words = [str(found.get("kind", ""))] if kind == "fact_kind" and isinstance(found, dict) else list(found or [])
        guess = next((guess for word in words if (guess := nearest(word, allowed))), "")
        message = f"{'a source has exactly one kind of listing' if kind == 'source_kind' else 'a fact has a kind'}."
        return document.problem(
            kind.replace("_", "-"), path, message, found=shown, allowed=tuple(allowed), nearest=guess
        )
    message = f"{str(detail['msg']).removeprefix('Value error, ')}; found {shown!r}."
    return document.problem(kind.replace("_", "-"), path, message, found=shown)


def _path_in_document(tree: TextTree, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Pydantic's location holds tags of unions and names of types; keep only what stands in the document."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(tree, dict) and part in tree) or (isinstance(tree, list) and isinstance(part, int)):
            tree = tree[part]  # type: ignore[index]
            path.append(part)
    return tuple(path)


def _fields_beside(loc: tuple[str | int, ...]) -> list[str]:
    """The fields that the model at the parent of ``loc`` has, found by walking the schema's models."""
    models = _models_at(Spec, loc[:-1])
    names = {field.alias or name for model in models for name, field in model.model_fields.items()}
    return sorted(names)


def _models_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    current: list[Any] = [model]
    for part in loc:
        following: list[Any] = []
        for annotation in current:
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                by_name = {field.alias or name: field for name, field in annotation.model_fields.items()}
                if part in by_name:
                    following += _leaves(by_name[str(part)].annotation)
                elif part == annotation.__name__ or _is_tag(annotation, str(part)):
                    following.append(annotation)
            else:
                following.append(annotation)
        current = following or current
    return [item for item in current if isinstance(item, type) and issubclass(item, BaseModel)]


def _is_tag(model: type[BaseModel], tag: str) -> bool:
    kind = model.model_fields.get("kind")
    if kind is not None:
        return repr(kind.annotation).endswith(f"['{tag}']")
    return any((field.alias or name) == tag for name, field in model.model_fields.items())


def _leaves(annotation: Any) -> list[Any]:
    """The types inside unions, lists and mappings."""
    arguments = getattr(annotation, "__args__", ())
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [leaf for argument in arguments for leaf in _leaves(argument)]
