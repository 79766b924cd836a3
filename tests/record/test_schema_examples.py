"""The examples of the page that defines the record are records, and come back as they were."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from medshard.record import Conversation, Fact, Sample
from medshard.record.check import check_sample
from medshard.shards.sample_parts import parse_record, record_bytes

FACTS = TypeAdapter(list[Fact])


@pytest.fixture(scope="module")
def blocks(shared: Path) -> list[Any]:
    """The three JSON examples: a sample, facts, a conversation."""
    text = (shared / "sample-schema.md").read_text()
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


@pytest.fixture
def whole(blocks: list[Any]) -> dict[str, Any]:
    """The sample with those facts of the page that are of its slots, and the conversation."""
    sample, facts, conversation = copy.deepcopy(blocks)
    sample["facts"] = facts[:5]
    sample["conversations"] = [conversation]
    return sample  # type: ignore[no-any-return]


def set_fields(model: Any) -> Any:
    return json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))


def test_the_page_has_the_three_examples(blocks: list[Any]) -> None:
    assert [type(block) for block in blocks] == [dict, list, dict]
    assert [fact["kind"] for fact in blocks[1]] == ["label", "region", "measure", "relation", "text", "interval", "qa"]


def test_what_the_examples_say_is_what_the_models_hold(blocks: list[Any]) -> None:
    sample, facts, conversation = blocks
    assert set_fields(Sample.model_validate(sample)) == sample
    assert [set_fields(fact) for fact in FACTS.validate_python(facts)] == facts
    assert set_fields(Conversation.model_validate(conversation)) == conversation


def test_the_examples_together_are_one_record_without_contradiction(whole: dict[str, Any]) -> None:
    sample = Sample.model_validate(whole)
    assert check_sample(sample) == []
    assert parse_record(record_bytes(sample)) == sample
    assert record_bytes(parse_record(record_bytes(sample))) == record_bytes(sample)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every object within a document."""
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from places(inner, (*path, place))


FREE = {"tolerance", "derived_from"}
"""Objects whose names are open: tolerances by name, and how a medium was computed."""


def test_an_unknown_field_is_refused_in_every_object(whole: dict[str, Any]) -> None:
    tried = 0
    for path in places(whole):
        if FREE & set(path):
            continue
        changed = copy.deepcopy(whole)
        inner: Any = changed
        for step in path:
            inner = inner[step]
        inner["surprise"] = 1
        with pytest.raises(ValidationError) as caught:
            parse_record(json.dumps(changed).encode())
        assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}, path
        tried += 1
    assert tried > 30


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("conversations", 0, "keeps", "mirror"), "sometimes"),
        (("media", 0, "patient_left"), "left"),
        (("facts", 0, "state"), "maybe"),
        (("facts", 0, "kind"), "labels"),
        (("facts", 1, "frame"), "mm"),
        (("conversations", 0, "lang"), "fr"),
        (("conversations", 0, "turns", 0, "blocks", 0, "type"), "picture"),
        (("media", 0, "kind"), "picture"),
    ],
)
def test_words_outside_the_schema_are_refused(whole: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    inner: Any = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ValidationError):
        parse_record(json.dumps(whole).encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_is_finite(whole: dict[str, Any], number: str) -> None:
    text = json.dumps(whole).replace("12.51", number)
    with pytest.raises(ValidationError):
        parse_record(text.encode())
