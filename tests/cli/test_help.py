"""Help, and command lines that are wrong."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from command_runs import run_apart, run_here

from medshard.cli import _COMMANDS, exit_codes

COMMANDS = sorted(_COMMANDS)
MODULES = sorted(path.stem for path in Path(exit_codes.__file__).parent.glob("*.py"))


def command_of(name: str) -> click.Command:
    found: click.Command = import_module(f"medshard.cli.{name}").command
    return found


def example_lines(name: str) -> list[str]:
    """The lines of a command's help below ``Example:``."""
    printed = run_here(name, "--help").out
    found = re.search(r"\n  Example:\n((?:    \S.*\n)+)", printed)
    assert found, f"{name} --help has no example"
    return [line.strip() for line in found[1].splitlines()]


def example_words(name: str) -> list[list[str]]:
    """The words of each medshard command in a command's example, without the program's name."""
    commands = [part.strip() for line in example_lines(name) for part in line.split(";") if not line.startswith("#")]
    return [shlex.split(part.split(" > ")[0])[1:] for part in commands if part.startswith("medshard ")]


def test_every_module_with_a_command_is_listed() -> None:
    with_command = {name for name in MODULES if hasattr(import_module(f"medshard.cli.{name}"), "command")}
    assert with_command == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_ends_well(name: str) -> None:
    ended = run_here(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: medshard {name} ")
    assert any(words[0] == name for words in example_words(name)), "no line of the example is a call of the command"


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_are_command_lines_that_parse(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in example_words(name):
        command = command_of(words[0])
        for word in words[1:]:  # options that want something that exists must not fail for want of it
            path = Path("data") if Path(word).is_absolute() else Path(word)
            if word.endswith("/") or Path(word).is_absolute():
                path.mkdir(parents=True, exist_ok=True)
            elif path.suffix in (".yaml", ".txt"):
                path.write_text("")
        given = ["data" if Path(word).is_absolute() else word for word in words[1:]]
        context = command.make_context(words[0], given)
        context.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    options = [option for option in command_of(name).params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_the_list_of_commands_fits_a_terminal_and_is_not_cut() -> None:
    ended = run_here("--help")
    assert ended.code == 0
    assert "..." not in ended.out.split("Commands:")[1]
    assert max(len(line) for line in ended.out.splitlines()) <= 80
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", ended.out, re.MULTILINE), name


def test_help_names_every_exit_code() -> None:
    codes = {value for name in exit_codes.__all__ if isinstance(value := getattr(exit_codes, name), int)}
    for name in (*COMMANDS, None):
        printed = run_here(*filter(None, [name]), "--help").out
        listed = {int(code) for code in re.findall(r"^ {2,6}(\d+)  ", printed, re.MULTILINE)}
        assert listed == codes, name


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["specs", "--help"], ["nonsense"]])
def test_help_imports_nothing_large(words: list[str]) -> None:
    large = ("torch", "pyarrow", "duckdb", "pandas", "nibabel", "pydicom", "medshard._engine")
    told = f"import sys\nfrom medshard.cli import main\ntry: main({words!r})\nexcept SystemExit: pass\n"
    told += f"print('large:', [name for name in {large!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "large: []", done.stderr


def test_the_version_is_the_package_s() -> None:
    import medshard

    assert run_here("--version").out == f"medshard, version {medshard.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["buidl"], "Did you mean 'build'? Commands: build, check"),
        (["build", "bccd", "--data", ".", "--uot", "x"], "No such option"),
        (["build", "--data", ".", "--out", "x"], "Missing argument 'SPECS...'"),
        (["build", "bccd", "--out", "x"], "Missing option '--data'"),
        (["build", "bccd", "--data", ".", "--out", "x", "--max-failures", "few"], "'few' is neither a number nor a"),
        (["build", "bccd", "--data", ".", "--out", "x", "--max-failures", "-1"], "--max-failures"),
        (["build", "bccd", "--data", ".", "--out", "x", "--max-failures", "140%"], "--max-failures"),
        (["build", "bccd", "--data", ".", "--out", "x", "--workers", "0"], "--workers"),
        (["build", "bccd", "--data", ".", "--out", "x", "--lang", "fr"], "'fr' is not one of 'en', 'zh'"),
        (["build", "bccd", "--data", "nowhere", "--out", "x"], "'nowhere' does not exist"),
        (["check"], "Missing argument 'SPECS...'"),
        (["check", "bccd", "--paths", "nowhere.txt"], "'nowhere.txt' does not exist"),
        (["check", "bccd", "--paths", "list.txt", "--data", "."], "--data or --paths, not both"),
        (["why", "corpus"], "Missing argument 'KEY'"),
        (["show", "corpus", "--limit", "0"], "--limit"),
    ],
)
def test_a_wrong_command_line(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("a.png\n")
    ended = run_here(*words)
    assert (ended.code, ended.out) == (exit_codes.USAGE, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [["show", "nowhere"], ["stats", "nowhere"], ["verify", "nowhere"],
                                   ["why", "nowhere", "k"], ["retext", "nowhere"]])  # fmt: skip
@pytest.mark.parametrize("made", [False, True], ids=["no folder", "empty folder"])
def test_where_no_corpus_is(words: list[str], made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if made:
        Path("nowhere").mkdir()
    ended = run_here(*words)
    assert (ended.code, ended.out) == (exit_codes.FAILED, "")
    assert ended.err.startswith("nowhere: there is no corpus here")
    assert ended.err.count("\n") == 1
    assert not list(Path("nowhere").glob("*"))


@pytest.mark.parametrize("command", ["check", "build"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "bad.yaml: there is no such file"),
        ("spec: 1\nname: [a\n", "bad.yaml:3: is not valid YAML"),
        ("", "bad.yaml"),
        ("- 1\n- 2\n", "bad.yaml"),
        ("spec: 1\nname: &a x\nabout: *a\n", "bad.yaml:3"),
        ("spec: 1\nname: \ud800".encode("utf-8", "surrogatepass"), "bad.yaml"),
        (b"\xff\xfe\x00nonsense", "bad.yaml"),
    ],
    ids=["missing", "broken", "empty", "list", "alias", "surrogate", "binary"],
)
def test_a_file_that_is_no_spec(
    command: str, text: str | bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    if text is not None:
        Path("bad.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    ended = run_here(command, "bad.yaml", *(["--data", "data", "--out", "out"] if command == "build" else []))
    assert ended.code == exit_codes.PROBLEMS
    assert said in ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err
    assert not Path("out").exists(), "nothing may be written for a spec that cannot be read"


def test_a_spec_that_is_a_folder_or_may_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    ended = run_here("check", folder)
    assert ended.code == exit_codes.PROBLEMS
    assert "Traceback" not in ended.out + ended.err
    assert str(folder) in ended.out + ended.err


def test_no_traceback_in_a_process_of_its_own(tmp_path: Path) -> None:
    ended = run_apart("show", "nowhere", folder=tmp_path)
    assert (ended.code, ended.out) == (exit_codes.FAILED, "")
    assert "Traceback" not in ended.err
