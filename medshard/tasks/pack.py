"""Template packs: YAML beside the task, Jinja2 in a sandbox, blocks instead of strings."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, ValidationError

from medshard.errors import Problem, SpecError
from medshard.record.base import Language
from medshard.record.conversation import Block, Keeps, TextBlock
from medshard.spec.schema.base import Node
from medshard.spec.yaml_text import Document, read_yaml
from medshard.tasks.words import Words

__all__ = ["Pack", "TemplateSet", "load_pack", "read_pack", "render"]

_OPEN, _CLOSE = "\ue000", "\ue001"  # private use area: no template or source text of ours holds them
_MARK = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


class _KeepsYaml(Node):
    mirror: str = "refuse"
    rotate: str = "refuse"
    crop: str = "refuse"
    resize: str = "free"
    intensity: str = "free"


class _Language(Node):
    q: Annotated[list[str], Field(min_length=1)]
    a: Annotated[list[str], Field(min_length=1)]


class _Variant(Node):
    keeps: _KeepsYaml
    en: _Language | None = None
    zh: _Language | None = None


class _PackYaml(Node):
    task: str
    version: Annotated[int, Field(ge=1)]
    variants: Annotated[dict[str, _Variant], Field(min_length=1)]


@dataclass(frozen=True)
class TemplateSet:
    """The wordings of one variant in one language.

    Attributes:
        questions, answers: (id, template); ids are ``task/variant-q01@version``.
    """

    questions: tuple[tuple[str, Template], ...]
    answers: tuple[tuple[str, Template], ...]


@dataclass(frozen=True)
class Pack:
    """All templates of one task."""

    task: str
    version: int
    keeps: Mapping[str, Keeps]
    sets: Mapping[tuple[str, Language], TemplateSet]

    def languages(self, variant: str) -> list[Language]:
        """The languages in which a variant can be said."""
        return [lang for name, lang in self.sets if name == variant]


class _Environment(ImmutableSandboxedEnvironment):
    """Inserts only ``Words``; everything that a template inserts becomes a mark, put back as blocks later."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=self._mark, keep_trailing_newline=False)
        self.filters.clear()
        self.tests.clear()
        self.globals.clear()
        self._local = threading.local()

    @property
    def written(self) -> list[Words]:
        """What the rendering in this thread has inserted so far."""
        if not hasattr(self._local, "written"):
            self._local.written = []
        found: list[Words] = self._local.written
        return found

    def _mark(self, value: Any) -> str:
        if not isinstance(value, Words):
            raise TemplateError(f"a template may only insert what the task offers, not {type(value).__name__}")
        self.written.append(value)
        return f"{_OPEN}{len(self.written) - 1}{_CLOSE}"


_ENVIRONMENT = _Environment()


def render(template: Template, offered: Mapping[str, Any]) -> list[Block]:
    """Render a template to blocks; neighbouring texts are one block.

    Raises:
        TemplateError: it inserts something that is not offered.
    """
    _ENVIRONMENT.written.clear()
    text = template.render(offered)
    written = list(_ENVIRONMENT.written)
    blocks: list[Block] = []
    for place, piece in enumerate(_MARK.split(text)):
        if place % 2:
            blocks += written[int(piece)].blocks()
        elif piece:
            blocks.append(TextBlock(text=piece))
    return merge_text(blocks)


def merge_text(blocks: Sequence[Block]) -> list[Block]:
    """Neighbouring text blocks as one."""
    merged: list[Block] = []
    for block in blocks:
        if isinstance(block, TextBlock) and merged and isinstance(merged[-1], TextBlock):
            merged[-1] = TextBlock(text=merged[-1].text + block.text)
        else:
            merged.append(block)
    return merged


@lru_cache(maxsize=64)
def load_pack(task: str) -> Pack:
    """The templates of a task, checked.

    Raises:
        SpecError: the file is not of the form, or a template writes a digit or a construct of its own.
    """
    return read_pack(Path(__file__).parent / "templates" / f"{task}.yaml", task)


def read_pack(path: Path, task: str) -> Pack:
    """The templates of a file; see ``load_pack``.

    Raises:
        SpecError: as ``load_pack``.
    """
    document = read_yaml(path)
    try:
        parsed = _PackYaml.model_validate(document.tree)
    except ValidationError as error:
        raise SpecError(
            [document.problem("pack", d["loc"], f"{d['msg']}.") for d in error.errors(include_url=False)]
        ) from error
    problems: list[Problem] = []
    if parsed.task != task:
        problems.append(document.problem("pack", ("task",), f"{parsed.task!r} is not {task!r}, the name of the file."))
    sets: dict[tuple[str, Language], TemplateSet] = {}
    for name, variant in parsed.variants.items():
        languages: tuple[tuple[Language, _Language | None], ...] = (("en", variant.en), ("zh", variant.zh))
        for lang, words in languages:
            if words is None:
                continue
            compiled = {
                kind: tuple(
                    (
                        f"{task}/{name}-{kind}{number:02d}@{parsed.version}",
                        _compile(text, document, ("variants", name, lang, kind, number - 1), problems),
                    )
                    for number, text in enumerate(getattr(words, kind), start=1)
                )
                for kind in ("q", "a")
            }
            sets[(name, lang)] = TemplateSet(compiled["q"], compiled["a"])
    if problems:
        raise SpecError(problems)
    keeps = {name: Keeps.model_validate(variant.keeps.model_dump()) for name, variant in parsed.variants.items()}
    return Pack(task, parsed.version, keeps, sets)


_ALLOWED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr)
"""All that a template is made of: text and names of what the task offers. What is computed is the task's affair; loops,
calls and arithmetic would let a pack claim something of its own, or never end."""


def _compile(text: str, document: Document, path: tuple[str | int, ...], problems: list[Problem]) -> Template:
    try:
        tree = _ENVIRONMENT.parse(text)
        for data in tree.find_all(nodes.TemplateData):
            if any(character.isdigit() for character in data.data):
                problems.append(document.problem("pack", path, "a template writes no number of its own."))
        other = sorted({type(node).__name__ for node in tree.find_all(nodes.Node) if not isinstance(node, _ALLOWED)})
        if other:
            message = f"a template holds text and {{{{ names }}}} only, not {', '.join(other)}."
            problems.append(document.problem("pack", path, message))
            return _ENVIRONMENT.from_string("")
        return _ENVIRONMENT.from_string(tree)
    except TemplateError as error:
        problems.append(document.problem("pack", path, f"is no template: {error}."))
        return _ENVIRONMENT.from_string("")
