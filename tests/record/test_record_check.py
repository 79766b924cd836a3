"""What must hold within a record beyond types: references, citations, no question that gives its answer away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from medshard.record import Sample
from medshard.record.check import check_sample, given_away

SOURCE = [{"id": "r1", "field": "a", "raw": "1"}]


def record(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "key": "t-1",
        "dataset": "t",
        "split": "train",
        "licence": "MIT",
        "media": [{"slot": "image", "kind": "image", "part": "image.png"}],
        "scopes": [{"id": "s1", "slots": ["image"], "concepts": "finding/nodule", "of": "presence", "complete": True}],
        "facts": [
            {"id": "f1", "kind": "label", "concept": "finding/nodule", "slots": ["image"], "source": SOURCE},
            {"id": "f2", "kind": "region", "concept": "finding/nodule", "of": "f1", "slots": ["image"], "shape": "box",
             "frame": "px", "coords": [1, 2, 3, 4], "source": SOURCE},
            {"id": "f3", "kind": "measure", "concept": "quantity/area", "of": "f2", "slots": ["image"], "value": 4.0,
             "unit": "mm2", "from": ["f2"], "rule": "box_area@1"},
        ],
        "conversations": [
            {"id": "c1", "task": "t", "lang": "en", "slots": ["image"], "turns": [
                {"role": "user", "blocks": [{"type": "media", "slot": "image"}, {"type": "text", "text": "What?"}]},
                {"role": "assistant", "asks": ["f3"], "blocks": [{"type": "value", "facts": ["f3"], "text": "4 mm2"}]},
            ]},
        ],
        "source": [{"id": "r1", "file": "a.csv", "row": 1}],
    }  # fmt: skip
    return {**whole, **changes}


def test_a_sound_record_has_no_problems() -> None:
    assert check_sample(Sample.model_validate(record())) == []


def question(whole: dict[str, Any]) -> dict[str, Any]:
    return whole["conversations"][0]["turns"][0]  # type: ignore[no-any-return]


def reply(whole: dict[str, Any]) -> dict[str, Any]:
    return whole["conversations"][0]["turns"][1]  # type: ignore[no-any-return]


BREAKS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "two facts of one id": (lambda r: r["facts"][1].update(id="f1"), "two facts have one id"),
    "two media in one slot": (lambda r: r["media"].append(dict(r["media"][0])), "two media have one slot"),
    "fact of an unknown slot": (lambda r: r["facts"][0].update(slots=["x"]), "fact f1: slots: 'x'"),
    "fact of an unknown fact": (lambda r: r["facts"][1].update(of="f9"), "fact f2: of: 'f9'"),
    "derived from nothing known": (lambda r: r["facts"][2].update({"from": ["f9"]}), "fact f3: from: 'f9'"),
    "unknown source": (lambda r: r["source"][0].update(id="r2"), "fact f1: source: 'r1'"),
    "no source at all": (lambda r: r["facts"][0].update(source=[]), "fact f1 cites no source and derives from no fact"),
    "scope over an unknown slot": (lambda r: r["scopes"][0].update(slots=["x"]), "scope s1: slots: 'x'"),
    "mask in an unknown slot": (
        lambda r: r["facts"][1].update(shape="mask", coords={"slot": "m", "value": 1}), "fact f2: mask slot: 'm'"
    ),
    "two questions": (lambda r: reply(r).update(role="user"), "conversation c1: turns do not alternate"),
    "a question alone": (lambda r: r["conversations"][0]["turns"].pop(), "conversation c1: turns do not alternate"),
    "a picture not declared": (
        lambda r: r["conversations"][0].update(slots=[]), "shows ['image'] and declares the slots []"
    ),
    "an uncited number": (lambda r: reply(r)["blocks"][0].update(facts=[]), "a value cites no fact"),
    "a citation of nothing": (lambda r: reply(r)["blocks"][0].update(facts=["f9"]), "blocks: 'f9'"),
    "asks for nothing known": (lambda r: reply(r).update(asks=["f9"]), "asks: 'f9'"),
    "the question tells the answer": (
        lambda r: question(r)["blocks"].append({"type": "value", "facts": ["f3"], "text": "4 mm2"}),
        "asks f3, which was given away before",
    ),
    "an answer that is no option": (
        lambda r: reply(r).update(answer={"type": "choice", "options": [], "key": ["A"]}), "the key of an answer"
    ),
    "an answer by an unknown box": (
        lambda r: reply(r).update(answer={"type": "box", "value": ["f9"]}), "answer: 'f9'"
    ),
    "a worse reply to the question": (
        lambda r: r["conversations"][0].update(rejected=[{"of_turn": 0, "kind": "x", "blocks": []}]), "no reply"
    ),
    "a relation to nothing": (
        lambda r: r["facts"].append({"id": "f4", "kind": "relation", "object": "f9", "source": SOURCE}),
        "fact f4: relates: 'f9'",
    ),
    "a span beyond its text": (
        lambda r: r["facts"].append({"id": "f4", "kind": "text", "lang": "en", "text": "ab", "source": SOURCE,
                                     "spans": [{"start": 1, "end": 3, "concept": "finding/nodule"}]}),
        "fact f4: a span is not within the text",
    ),
    "an unsafe key": (lambda r: r.update(key="a.b"), "key"),
    "a key with a path": (lambda r: r.update(key="../b"), "key"),
    "a key of 81 bytes": (lambda r: r.update(key="k" * 81), "key"),
    "a part of another slot": (lambda r: r["media"][0].update(part="other.png"), "image: the part 'other.png'"),
    "a part with a path": (lambda r: r["media"][0].update(part="image/../x.png"), "image: the part"),
    "a present medium without bytes": (lambda r: r["media"][0].update(part=None), "image: is present and has neither"),
    "an absent medium with bytes": (lambda r: r["media"][0].update(present=False), "image: is absent and has"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_told(name: str) -> None:
    change, message = BREAKS[name]
    whole = record()
    change(whole)
    problems = check_sample(Sample.model_validate(whole))
    assert any(message in problem for problem in problems), problems


def test_what_a_derived_fact_tells_includes_its_origin() -> None:
    whole = record()
    question(whole)["blocks"].append({"type": "value", "facts": ["f3"], "text": "4 mm2"})
    reply(whole).update(asks=["f2"], blocks=[{"type": "region", "facts": ["f2"]}])
    sample = Sample.model_validate(whole)
    assert given_away(sample, sample.conversations[0].turns[0].blocks, question=True) == {"f2", "f3"}
    assert check_sample(sample) == ["conversation c1: asks f2, which was given away before"]


def test_the_question_of_a_source_does_not_tell_its_answer() -> None:
    facts = [{"id": "f1", "kind": "qa", "slots": ["image"], "lang": "en", "question": "Is it?", "answer": "Yes",
              "source": SOURCE}]  # fmt: skip
    turns = [
        {"role": "user", "blocks": [{"type": "media", "slot": "image"},
                                    {"type": "quote", "facts": ["f1"], "text": "Is it?"}]},
        {"role": "assistant", "asks": ["f1"], "blocks": [{"type": "quote", "facts": ["f1"], "text": "Yes"}]},
    ]  # fmt: skip
    again = [*turns, *turns]
    conversation = {"id": "c1", "task": "vqa", "lang": "en", "slots": ["image"], "turns": turns}
    whole = record(facts=facts, conversations=[conversation])
    assert check_sample(Sample.model_validate(whole)) == []
    whole["conversations"][0]["turns"] = again
    assert any("given away" in problem for problem in check_sample(Sample.model_validate(whole)))
