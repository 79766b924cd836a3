"""docs/augment.md: it lists every operation as the registry has it, its code works, its pictures are true and small."""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from medshard.augment.pointwise import CT_WINDOWS
from medshard.testing.operation_examples import EXAMPLES
from medshard.testing.operation_paths import operation_paths

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "augment.md").read_text(encoding="utf-8")
NAMES = [path.name for path in operation_paths()]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_augment_pictures", DOCS / "make_augment_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_is_what_the_script_writes(maker: ModuleType) -> None:
    _, _, rest = PAGE.partition(maker.BEGIN)
    assert rest.partition(maker.END)[0] == f"\n{maker.listing()}\n", "run python docs/make_augment_pictures.py"
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == NAMES


def test_every_operation_has_a_picture_and_all_are_small() -> None:
    pictures = {path.stem: path for path in (DOCS / "pictures" / "augment").iterdir()}
    assert pictures.keys() == set(NAMES)
    assert sum(path.stat().st_size for path in pictures.values()) < 600_000
    for name, path in pictures.items():
        assert f"![{name}](pictures/augment/{path.name})" in PAGE


@pytest.mark.parametrize("operation", EXAMPLES, ids=lambda operation: type(operation).__name__)
def test_a_picture_is_what_the_engine_makes_now(maker: ModuleType, operation: object) -> None:
    made = maker.draw(operation)
    stored = Image.open(DOCS / "pictures" / "augment" / f"{type(operation).__name__}.jpg")
    assert stored.size == made.size
    again = io.BytesIO()
    maker.save(made, again)
    error = np.asarray(stored, float) - np.asarray(Image.open(again), float)
    assert np.sqrt((error**2).mean()) < 1, "run python docs/make_augment_pictures.py"


def test_the_code_of_the_page_compiles() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/augment.md", "exec"), {})


def test_the_windows_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\w+) \| (-?\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert {name: (float(centre), float(width)) for name, centre, width in rows} == CT_WINDOWS
