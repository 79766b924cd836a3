"""What is asked is drawn by hash of (key, task, seed): the same everywhere, spread evenly, and bounded."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scipy import stats
from small_source import Source, blank, read_source, table

from medshard.record.conversation import Conversation, TermBlock
from medshard.record.sample import Sample
from medshard.tasks.base import Draft, View, draw
from medshard.tasks.budget import Budget, choose
from medshard.tasks.pack import load_pack
from medshard.tasks.write import TASKS as WRITERS
from medshard.tasks.write import TextOptions, write_conversations

BODY = """\
sources:
  images: {files: "{id}.png"}
  cases: {csv: cases.csv}
  objects: {csv: objects.csv}
  qa: {csv: qa.csv}
samples:
  from: images
  join: {cases: {using: [id], need: one}, objects: {using: [id], need: any}, qa: {using: [id], need: any}}
  patient: unknown
  split: none
media: {image: {from: images, kind: image}}
facts:
  kind: {kind: class, value: k, covers: all, map: {C: ct, M: mri}}
  diagnosis: {kind: class, value: dx, covers: all, map: {N: nodule, T: mass, C: cyst}}
  place:
    kind: boxes
    of: objects
    value: label
    corner_size: ["x::int", "y::int", "w::int", "h::int"]
    frame: pixel_xy
    origin: 0
    inclusive: "no"
    covers: all
    map: {p: platelet, r: red_blood_cell, w: white_blood_cell}
  caption: {kind: text, section: caption, value: caption, language: en, no_value: missing}
  qa: {kind: qa, of: qa, question: q, answer: a, language: en}
"""


def rich_source(root: Path, keys: str = "abc", *, questions: int = 12) -> Source:
    """Samples of which far more can be asked than the budget allows."""
    cases = [(key, "CM"[place % 2], "NTC"[place % 3], f"Picture {key}.") for place, key in enumerate(keys)]
    objects = [(key, label, 1 + 2 * place, 3, 2, 2) for key in keys for place, label in enumerate("pprrrw")]
    asked = [(key, f"Question {place} of {key}?", f"Answer {place}.") for key in keys for place in range(questions)]
    files: dict[str, str | bytes] = {f"{key}.png": blank(30, 20) for key in keys}
    files["cases.csv"] = table("id,k,dx,caption", cases)
    files["objects.csv"] = table("id,label,x,y,w,h", objects)
    files["qa.csv"] = table("id,q,a", asked)
    return read_source(root / "data", BODY, files)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return rich_source(tmp_path_factory.mktemp("rich"))


@pytest.fixture(scope="module")
def sample(source: Source) -> Sample:
    return source.sample("a")


def written(source: Source, sample: Sample, key: str, budget: Budget | None = None) -> list[Conversation]:
    """The text of a sample that is like another but for its key."""
    view = View(sample.model_copy(update={"key": key, "conversations": []}), source.context.facts)
    return write_conversations(view, TextOptions(budget=budget or Budget()))


EVERYTHING = Budget(items=1000, constant_share=1.0)


def test_the_draw_is_the_stated_hash() -> None:
    digest = hashlib.sha256(b"budget\x000\x00k\x00t/v/a").digest()
    assert draw("budget", 0, "k", "t/v/a") == int.from_bytes(digest[:8], "big") / 2**64
    assert 0 <= min(draw(n) for n in range(500)) < 0.02
    assert 0.98 < max(draw(n) for n in range(500)) < 1
    assert stats.kstest([draw("x", n) for n in range(2000)], "uniform").pvalue > 1e-3


def test_the_same_inputs_give_the_same_text(source: Source, sample: Sample) -> None:
    assert written(source, sample, "k1") == written(source, sample, "k1")
    assert source.sample("a").conversations == sample.conversations


def test_text_does_not_depend_on_order_or_on_other_samples(tmp_path: Path, source: Source, sample: Sample) -> None:
    backwards = {key: source.sample(key).conversations for key in "cba"}
    assert {key: source.sample(key).conversations for key in "abc"} == backwards
    more = rich_source(tmp_path, "abcdef").sample("a")
    assert more.conversations == sample.conversations


def test_another_seed_draws_other_questions_and_words(source: Source, sample: Sample) -> None:
    texts = [written(source, sample, "k1", Budget(seed=seed)) for seed in range(6)]
    asked = {tuple(sorted(tuple(turn.asks) for c in text for turn in c.turns if turn.asks)) for text in texts}
    assert len(asked) == 6
    worded = {
        tuple(turn.template for c in written(source, sample, "k1", Budget(1000, seed=seed)) for turn in c.turns)
        for seed in range(6)
    }
    assert len(worded) == 6


def test_wordings_are_drawn_evenly(source: Source, sample: Sample) -> None:
    used: Counter[str] = Counter()
    for number in range(200):
        for conversation in written(source, sample, f"k{number}", EVERYTHING):
            used.update(turn.template or "" for turn in conversation.turns if conversation.lang == "en")
    sides: dict[str, list[int]] = {}
    for task in ("classification", "detection", "modality", "caption"):
        for (variant, lang), words in load_pack(task).sets.items():
            for side, entries in (("q", words.questions), ("a", words.answers)):
                counts = [used[name] for name, _ in entries]
                if lang == "en" and sum(counts):
                    assert all(counts), f"{task}/{variant}-{side}: {counts}"
                    sides[f"{task}/{variant}-{side}"] = counts
    tested = {name: counts for name, counts in sides.items() if len(counts) > 1}
    assert len(tested) > 10
    for name, counts in tested.items():
        assert stats.chisquare(counts).pvalue > 1e-3 / len(tested), f"{name}: {counts}"


def test_the_drawn_questions_are_spread_evenly(source: Source, sample: Sample) -> None:
    """Twelve questions of the source compete; each is chosen as often as the others."""
    asked: Counter[str] = Counter()
    for number in range(200):
        found = [c for c in written(source, sample, f"k{number}") if c.task == "vqa"]
        asked.update(fact for c in found for turn in c.turns for fact in turn.asks)
    assert len(asked) == 12
    assert stats.chisquare(list(asked.values())).pvalue > 1e-3


def test_negatives_and_letters_are_drawn_evenly(source: Source, sample: Sample) -> None:
    letters: Counter[str] = Counter()
    negatives: Counter[str] = Counter()
    for number in range(200):
        for c in written(source, sample, f"k{number}", EVERYTHING):
            if c.lang == "en" and c.task == "classification":
                answer = c.turns[1].answer
                assert answer is not None
                if answer.type == "choice":
                    letters[answer.value] += 1
                if answer.value == "no":
                    negatives.update(block.concept for block in c.turns[0].blocks if isinstance(block, TermBlock))
    assert set(letters) == set("ABC")
    assert set(negatives) == {"finding/mass", "finding/cyst"}
    assert stats.chisquare(list(letters.values())).pvalue > 1e-3
    assert stats.chisquare(list(negatives.values())).pvalue > 1e-3


def test_the_default_budget_is_that_of_the_design(source: Source, sample: Sample) -> None:
    assert Budget() == Budget(items=8, trivial=2, constant_share=0.05, seed=0)
    for number in range(60):
        by_lang: dict[str, list[Conversation]] = {"en": [], "zh": []}
        for conversation in written(source, sample, f"k{number}"):
            by_lang[conversation.lang].append(conversation)
        assert len(by_lang["en"]) == 8
        assert 0 < len(by_lang["zh"]) <= 8
        for said in by_lang.values():
            assert sum(c.task in ("modality", "anatomy") for c in said) <= 2
        families = {WRITERS.get(c.task).family for c in by_lang["en"]}
        assert families == {"recognition", "classification", "detection", "caption", "vqa"}, "each family has its turn"


def test_twins_are_the_same_conversation_in_another_language(source: Source, sample: Sample) -> None:
    pairs = 0
    for number in range(30):
        twins: dict[str, list[Conversation]] = {}
        for conversation in written(source, sample, f"k{number}"):
            if conversation.twin is not None:
                twins.setdefault(conversation.twin, []).append(conversation)
        for pair in twins.values():
            assert sorted(c.lang for c in pair) == ["en", "zh"]
            first, second = pair
            assert (first.task, first.slots, first.keeps) == (second.task, second.slots, second.keeps)
            for a, b in zip(first.turns, second.turns, strict=True):
                assert (a.template, a.asks) == (b.template, b.asks)
                cited = [{fact for block in turn.blocks for fact in getattr(block, "facts", [])} for turn in (a, b)]
                assert cited[0] == cited[1], "twins cite the same facts"
            pairs += 1
    assert pairs > 50


@dataclass
class FakeTask:
    """A task for the budget alone."""

    name: str
    family: str
    trivial: bool = False

    def drafts(self, view: View) -> list[Draft]:
        return []


TASKS = {
    "many": FakeTask("many", "f1"),
    "few": FakeTask("few", "f2"),
    "easy": FakeTask("easy", "f3", trivial=True),
    "plain": FakeTask("plain", "f3", trivial=True),
}


def drafts(**numbers: int) -> list[Draft]:
    return [Draft(task, "v", str(n), [], [], {}) for task, number in numbers.items() for n in range(number)]


def test_families_take_turns() -> None:
    for key in range(30):
        chosen = choose(f"k{key}", drafts(many=30, few=2), TASKS, {}, Budget())
        assert Counter(draft.task for draft in chosen) == {"many": 6, "few": 2}


def test_trivial_items_are_bounded_and_leave_their_places_to_others() -> None:
    chosen = choose("k", drafts(many=30, easy=5, plain=5), TASKS, {}, Budget())
    assert Counter(TASKS[draft.task].trivial for draft in chosen) == {False: 6, True: 2}
    assert choose("k", drafts(easy=9), TASKS, {}, Budget(trivial=0)) == []


def test_the_chosen_keep_the_order_of_the_drafts() -> None:
    listed = drafts(many=9, few=9)
    chosen = choose("k", listed, TASKS, {}, Budget())
    assert [listed.index(draft) for draft in chosen] == sorted(listed.index(draft) for draft in chosen)


def test_the_order_of_drafts_does_not_change_what_is_chosen() -> None:
    listed = drafts(many=20, few=20, easy=4)
    shuffled = random.Random(3).sample(listed, len(listed))
    assert {d.id for d in choose("k", listed, TASKS, {}, Budget())} == {
        d.id for d in choose("k", shuffled, TASKS, {}, Budget())
    }


def test_weights_change_the_odds_and_nothing_says_never() -> None:
    together = {"many": FakeTask("many", "f"), "few": FakeTask("few", "f")}
    assert choose("k", drafts(many=3), together, {"many": 0.0}, Budget()) == []
    first: Counter[str] = Counter()
    for key in range(1500):
        (draft,) = choose(f"k{key}", drafts(many=1, few=1), together, {"many": 3.0}, Budget(items=1))
        first[draft.task] += 1
    # Efraimidis and Spirakis: the chance to be first is the share of the weight, here 3 of 4.
    assert stats.binomtest(first["many"], 1500, 0.75).pvalue > 1e-3


def test_a_question_that_never_varies_is_asked_of_a_twentieth() -> None:
    constant = [Draft("many", "v", "0", [], [], {}, varies=False)]
    asked = sum(bool(choose(f"k{key}", constant, TASKS, {}, Budget())) for key in range(4000))
    assert stats.binomtest(asked, 4000, 0.05).pvalue > 1e-3


def test_a_class_that_is_always_the_same_is_asked_rarely(tmp_path: Path) -> None:
    body = BODY.replace("{C: ct, M: mri}", "{C: ct, M: ct}").replace("{N: nodule, T: mass, C: cyst}", "same_name")
    keys = "abc"
    files: dict[str, str | bytes] = {f"{key}.png": blank(30, 20) for key in keys}
    files["cases.csv"] = table("id,k,dx,caption", [(key, "CM"[n % 2], "nodule", "x") for n, key in enumerate(keys)])
    files["objects.csv"] = table("id,label,x,y,w,h", [("a", label, 1, 3, 2, 2) for label in "prw"])
    files["qa.csv"] = table("id,q,a", [("a", "Q?", "A.")])
    source = read_source(tmp_path / "data", body, files)
    sample = source.sample("b")
    asked = Counter(
        (number, c.task)
        for number in range(300)
        for c in written(source, sample, f"k{number}")
        if c.task in ("classification", "anatomy")
    )
    for task in ("classification", "anatomy"):
        share = sum(name == task for _, name in asked)
        assert stats.binomtest(share, 300, 0.05).pvalue > 1e-3, f"{task} in {share} of 300 samples"


STATES = {"1": "present", "0": "absent", "?": "uncertain", "": "not_annotated"}

FLAGS = """\
sources:
  images: {files: "{id}.png"}
  cases: {csv: cases.csv}
samples: {from: images, join: {cases: {using: [id], need: one}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
  finding:
    kind: flags
    columns: [nodule, mass, cyst]
    states: {"1": present, "0": absent, "?": uncertain, "": not_annotated}
    map: same_name
    COVERS
"""


def named(conversation: Conversation, turn: int) -> set[str]:
    """Concepts that a turn names."""
    return {block.concept for block in conversation.turns[turn].blocks if isinstance(block, TermBlock)}


def cases_of_flags() -> Iterator[tuple[str, ...]]:
    yield from itertools.product(STATES, repeat=3)


@pytest.mark.parametrize("covers", ["", "covers: all", "covers: named_only", "covers: all\n    scope: study"])
def test_nothing_is_said_absent_that_was_not_looked_for(tmp_path: Path, covers: str) -> None:
    rows = [(f"s{place}", *cells) for place, cells in enumerate(cases_of_flags())]
    files: dict[str, str | bytes] = {f"{row[0]}.png": blank(4, 4) for row in rows}
    files["cases.csv"] = table("id,nodule,mass,cyst", rows)
    options = TextOptions(budget=EVERYTHING)
    source = read_source(tmp_path / "data", FLAGS.replace("COVERS", covers), files, text=options)
    asked = 0
    for row in rows:
        state = dict(zip(("nodule", "mass", "cyst"), (STATES[cell] for cell in row[1:]), strict=True))
        sure = {f"finding/{name}" for name, found in state.items() if found in ("present", "absent")}
        if covers == "covers: all":
            sure |= {f"finding/{name}" for name, found in state.items() if found == "not_annotated"}
        present = {f"finding/{name}" for name, found in state.items() if found == "present"}
        conversations = source.sample(row[0]).conversations
        multi = [c for c in conversations if c.task == "multilabel"]
        asked += len(multi)
        assert len(multi) == (2 if len(sure) >= 2 and "study" not in covers else 0), row
        for conversation in multi:
            assert named(conversation, 0) == sure, "what is listed is what is known"
            assert named(conversation, 1) == present
        for conversation in conversations:
            if conversation.task == "caption":
                assert "study" not in covers
                assert named(conversation, 1) == present | {"modality/xray", "anatomy/chest"}
    assert (asked > 0) == ("study" not in covers)


@pytest.mark.parametrize("covers", ["all", "named_only", "{sampled: every tenth}"])
def test_negatives_and_choices_need_a_source_that_looked_for_all(tmp_path: Path, covers: str) -> None:
    body = FLAGS[: FLAGS.index("  finding:")] + (
        f"  dx: {{kind: class, value: d, covers: '{covers}', map: {{N: nodule, T: mass, C: cyst}}}}\n"
    ).replace("'{", "{").replace("}'", "}")
    files: dict[str, str | bytes] = {f"{key}.png": blank(4, 4) for key in "abc"}
    files["cases.csv"] = table("id,d", [("a", "N"), ("b", "T"), ("c", "C")])
    sample = read_source(tmp_path / "data", body, files, text=TextOptions(budget=EVERYTHING)).sample("a")
    said = {(c.turns[0].template or "").split("-")[0] for c in sample.conversations if c.task == "classification"}
    closed = {"classification/no", "classification/choice"} if covers == "all" else set()
    assert said == {"classification/open", "classification/yes"} | closed
