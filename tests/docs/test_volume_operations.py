"""docs/volumes.md on operations: its list is complete, its code works, its pictures are true and small."""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from medshard.testing.volume_operations import volume_operation_paths

DOCS = Path(__file__).resolve().parents[2] / "docs"
_, _, _REST = (DOCS / "volumes.md").read_text(encoding="utf-8").partition("## Operations on crops of volumes\n")
PART = _REST.partition("\n## ")[0]


def test_every_operation_is_listed_once_in_the_order_of_the_registry() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", PART, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)[(`]", row)]
    assert sorted(listed) == sorted(path.name for path in volume_operation_paths())
    assert len(set(listed)) == len(listed)


def test_the_code_compiles() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PART, re.DOTALL)
    exec(compile(code, "docs/volumes.md", "exec"), {})


def test_the_pictures_are_what_the_engine_makes_now() -> None:
    spec = importlib.util.spec_from_file_location("make_volume_pictures", DOCS / "make_volume_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    made = maker.draw()
    stored = {path.stem: path for path in (DOCS / "pictures" / "volumes").iterdir()}
    assert made.keys() == stored.keys()
    for name, picture in made.items():
        again = io.BytesIO()
        maker.save(picture, again)
        there, now = (np.asarray(Image.open(source), float) for source in (stored[name], again))
        assert there.shape == now.shape
        assert np.sqrt(((there - now) ** 2).mean()) < 2, "run python docs/make_volume_pictures.py"
        assert f"](pictures/volumes/{name}.jpg)" in PART
        assert stored[name].stat().st_size < 120_000
