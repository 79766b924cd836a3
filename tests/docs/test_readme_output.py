"""What README.md shows of ``medshard check`` is what it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medshard.cli import main
from medshard.testing.synthetic.breast import DEMO_CASES, _lesions

PAGE = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def shown(command: str) -> list[str]:
    """The lines below each ``$ command`` of the page, up to the next command or the end of the block."""
    found = re.findall(rf"^\$ {re.escape(command)}[^\n]*\n(.*?)(?=^\$ |^```)", PAGE, re.M | re.S)
    assert len(found) == 1, f"README.md shows '$ {command}' {len(found)} times"
    return [line for line in found[0].splitlines() if line]


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit):
        main(words)
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (spec,) = re.findall(r"^```yaml\n(spec: 1\n.*?)^```", PAGE, re.M | re.S)
    path = Path("mine.yaml")
    path.write_text(spec, encoding="utf-8")
    return path


def test_a_check_against_data(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The files of the demo, empty: a check reads no pixels, and painting them takes seconds.
    folder = Path("demo/data/demo-breast/Dataset_BUSI_with_GT")
    for name, count in DEMO_CASES.items():
        (folder / name).mkdir(parents=True)
        for number in range(1, count + 1):
            masks = [f"_mask{f'_{place}' if place else ''}" for place in range(max(1, _lesions(name, number)))]
            for ending in ("", *masks):
                (folder / name / f"{name} ({number}){ending}.png").touch()
    lines = shown(f"medshard check mine.yaml --data {folder}")
    assert lines
    assert set(lines) <= set(printed(["check", "mine.yaml", "--data", str(folder)], capsys))


def test_a_check_of_a_spec_with_mistakes(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = mine.read_text(encoding="utf-8")
    mine.write_text(text.replace("covers: all", "covers: al").replace("benign_lesion", "benign_leson"))
    (lines,) = re.findall(r"^\$ medshard check mine\.yaml\n(.*?)^```", PAGE, re.M | re.S)
    assert set(lines.splitlines()) <= set(printed(["check", "mine.yaml"], capsys))
