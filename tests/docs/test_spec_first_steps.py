"""The commands of docs/spec.md's first steps do what the page says, on a tree like the one it draws."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medshard
from medshard.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
DATA = "/data/skin"


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert not ended.value.code, f"medshard {shlex.join(words)}\n{told.out}{told.err}"
    return told.out


def commands() -> list[list[str]]:
    """The words of each call of medshard in the first block of bash, without the program's name."""
    block = re.search(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    assert block is not None
    return [shlex.split(line, comments=True)[1:] for line in block[1].splitlines() if line.startswith("medshard ")]


def test_the_first_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    example = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    assert example is not None
    Path("my-skin.yaml").write_text(example[1])
    ramp = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    files = {f"skin/benign/{n:04}.jpg": 1 for n in (1, 2)} | {"skin/malignant/0003.jpg": 2}
    for file, times in files.items():
        path = Path("data", file)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ramp * times).save(path)
    Path("list.txt").write_text("".join(f"./{file}\n" for file in files))  # as find . prints them

    told = [run([word.replace(DATA, "data") for word in words], capsys) for words in commands()]
    calls = [words[0] for words in commands()]
    assert calls == ["check", "check", "check", "build", "show"]
    assert told[0].endswith("1 spec: no problems\n")
    for text in told[1:3]:
        assert "3 samples (train 3)" in text
    corpus = medshard.open(tmp_path / "corpus")
    found = {}
    for sample in corpus:
        (label,) = [fact for fact in sample.record.facts if (fact.concept or "").startswith("finding/")]
        found[sample.key] = label.concept
    assert found == {
        "my-skin-0001": "finding/benign_lesion",
        "my-skin-0002": "finding/benign_lesion",
        "my-skin-0003": "finding/malignant_lesion",
    }
    # What covers: all is for.
    answers = [
        sample.text(conversation)[-1]["content"]
        for sample in corpus
        for conversation in sample.conversations
        if conversation.lang == "en"
    ]
    assert any(answer.startswith("No") for answer in answers)
    assert told[4].splitlines()[-3:] == [line for line in told[4].splitlines() if line.startswith("  my-skin-")]


def test_the_message_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    shown = re.search(r"^```\n(my-skin\.yaml:.*?)\n```$", PAGE, re.M | re.S)
    assert example is not None
    assert shown is not None
    Path("my-skin.yaml").write_text(example[1].replace("covers: all", "covers: al"))
    with pytest.raises(SystemExit):
        main(["check", "my-skin.yaml"])
    assert shown[1] in capsys.readouterr().out.splitlines()
