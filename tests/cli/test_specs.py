"""``medshard specs``: what it lists can be given to the other commands."""

from __future__ import annotations

import json

from command_runs import run_here

from medshard.spec.catalog import dataset_specs, find_spec


def test_every_shipped_spec_is_listed_by_the_name_that_commands_take() -> None:
    lines = run_here("specs").out.splitlines()
    names = [line.split()[0].rstrip(":") for line in lines]
    assert set(names) == set(dataset_specs())
    for name in names:
        assert find_spec(name).stem == name


def test_datasets_of_one_spec_are_told_apart() -> None:
    lines = run_here("specs", "sct").out.splitlines()
    told = json.loads(run_here("specs", "sct", "--json").out)
    assert len(lines) == len(told) > 1
    for line, row in zip(lines, told, strict=True):
        assert line.startswith(f"{row['spec']}: {row['name']} ")
        assert line.endswith(row["title"])


def test_words_narrow_the_list_and_case_does_not_matter() -> None:
    every = json.loads(run_here("specs", "--json").out)
    found = json.loads(run_here("specs", "Ultrasound", "breast", "--json").out)
    expected = [
        row for row in every if all(word in " ".join(row.values()).lower() for word in ("ultrasound", "breast"))
    ]
    assert 0 < len(found) < len(every)
    assert found == expected


def test_where_nothing_matches_that_is_said() -> None:
    ended = run_here("specs", "no", "such", "thing")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "no shipped spec matches 'no such thing'\n"
    assert run_here("specs", "no", "such", "thing", "--json").out == "[]\n"
