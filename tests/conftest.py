"""Fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real reference data and services beside the checkout; skips where it is absent."""
    path = Path(os.environ.get("MEDSHARD_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip(f"no reference data at {path}; set MEDSHARD_SHARED to the folder that holds data/ and services/")
    return path
