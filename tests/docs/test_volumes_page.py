"""docs/volumes.md: its code works, and its pictures of planes are true and small."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from phantoms import Brain
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "volumes.md").read_text(encoding="utf-8")
NAMES = ("slices", "stored", "slabs", "montage", "windows", "masks")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_plane_pictures", DOCS / "make_plane_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_of_planes_are_what_the_engine_makes_now(maker: ModuleType) -> None:
    made = maker.draw()
    stored = {path.stem: path for path in (DOCS / "pictures" / "planes").iterdir()}
    assert made.keys() == stored.keys() == set(NAMES)
    for name, picture in made.items():
        there = Image.open(stored[name])
        assert there.size == picture.size
        error = np.asarray(there, float) - np.asarray(picture, float)
        assert np.sqrt((error**2).mean()) < 1, "run python docs/make_plane_pictures.py"
        assert f"](pictures/planes/{name}.png)" in PAGE
        assert stored[name].stat().st_size < 120_000


def test_the_code_of_pictures_of_volumes_compiles() -> None:
    _, _, part = PAGE.partition("## Pictures of volumes")
    part = part.partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    exec(compile(code, "docs/volumes.md", "exec"), {})


def test_the_code_of_crops_in_training_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Brain()
    made.add("a", (50, 40, 36))
    made.add("b", (40, 44, 48), ("t1", "flair"), labelled=False)
    made.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    _, _, part = PAGE.partition("## Crops in training")
    (code,) = re.findall(r"```python\n(.*?)```", part.partition("\n## ")[0], re.DOTALL)
    exec(compile(code, "docs/volumes.md", "exec"), {})
    assert sorted(capsys.readouterr().out.splitlines()) == ["brain-a (1, 36, 40, 50)", "brain-b (1, 48, 44, 40)"]


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert "://" in link or (DOCS / link).exists(), link
