"""``medshard doctor``: its lines are true, and what is missing names the line that installs it."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from importlib import metadata
from typing import Any

import pytest
from command_runs import run_here

import medshard
from medshard.cli import exit_codes

DICOM_CODECS = ("JPEG-LS in DICOM", "JPEG 2000 in DICOM", "HTJ2K in DICOM")


def findings() -> dict[str, dict[str, Any]]:
    ended = run_here("doctor", "--json")
    assert ended.err == ""
    return {entry["name"]: entry for entry in json.loads(ended.out)}


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make imports of these fail, as where they are not installed."""
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def test_every_package_has_the_version_that_is_installed() -> None:
    told = findings()
    packages = set(told) - {"medshard", "native engine", "codecs", "CUDA", *DICOM_CODECS}
    assert len(packages) >= 5
    for name in packages:
        if told[name]["found"]:
            assert told[name]["detail"] == metadata.version(name)
        else:
            with pytest.raises(metadata.PackageNotFoundError):
                metadata.version(name)


def test_the_first_lines_are_of_this_program_and_its_engine() -> None:
    told = findings()
    python = platform.python_version()
    assert told["medshard"]["detail"] == (
        f"{medshard.__version__}, Python {python}, {platform.system()} {platform.machine()}"
    )
    from medshard import _engine  # type: ignore[attr-defined]

    assert _engine is not None
    assert told["native engine"]["found"]
    assert "SIMD" in told["native engine"]["detail"]
    assert "libjpeg-turbo" in told["codecs"]["detail"]


def test_text_and_json_tell_the_same() -> None:
    lines = [line for line in run_here("doctor").out.splitlines() if not line.startswith("  ")]
    told = findings()
    assert [line[:7].strip() for line in lines] == [
        "ok" if entry["found"] else "missing" if entry["needed"] else "absent" for entry in told.values()
    ]
    for line, entry in zip(lines, told.values(), strict=True):
        assert line.endswith(entry["detail"])


def test_an_optional_package_that_is_missing_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_here("doctor").code
    hide(monkeypatch, "obstore", "openpyxl")
    ended = run_here("doctor")
    assert ended.code == before
    lines = ended.out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("absent  obstore"))
    assert lines[place + 1].strip().startswith("pip install 'medshard[s3]'")
    assert "pip install 'medshard[xlsx]'" in ended.out


def test_a_needed_package_that_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "nibabel")
    ended = run_here("doctor")
    assert ended.code == exit_codes.FAILED
    assert "missing nibabel" in ended.out
    assert "pip install nibabel" in ended.out
    assert not findings()["nibabel"]["found"]


def test_the_extras_that_it_names_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "torch", "obstore", "openpyxl", "libjpeg", "openjpeg")
    installs = [entry["install"].split("  (")[0] for entry in findings().values() if entry["install"]]
    extras = {
        line.split("[")[1].rstrip("]")
        for text in installs
        for line in shlex.split(text)
        if line.startswith("medshard[")
    }
    declared = metadata.metadata("medshard").get_all("Provides-Extra") or []
    assert extras
    assert extras <= set(declared)


def test_an_engine_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "medshard.engine", "medshard._engine")
    ended = run_here("doctor")
    assert ended.code == exit_codes.FAILED
    line = next(line for line in ended.out.splitlines() if "native engine" in line)
    assert line.startswith("missing")
    assert "make setup" in ended.out


def test_a_codec_that_is_not_built_in_names_its_package_and_its_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from medshard import engine

    built = engine.features()
    for name in DICOM_CODECS:
        if findings()[name]["found"]:
            assert findings()[name]["detail"] == "native"
    without = built | {"dicom": built["dicom"] | {"jpeg-ls": False, "jpeg-2000": False, "htj2k": False}}
    monkeypatch.setattr(engine, "features", lambda: without)
    told = findings()
    assert told["JPEG-LS in DICOM"]["detail"].endswith("plug-in pylibjpeg-libjpeg")
    assert told["JPEG-LS in DICOM"]["install"].startswith("apt-get install libcharls-dev")
    assert told["JPEG 2000 in DICOM"]["install"].startswith("apt-get install libopenjp2-7-dev")
    hide(monkeypatch, "openjpeg")
    assert "pylibjpeg-openjpeg is not installed" in findings()["HTJ2K in DICOM"]["detail"]
