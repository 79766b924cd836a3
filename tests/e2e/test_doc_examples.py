"""The Python of README.md and docs/ runs as it stands there, on the demo corpus."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, Demo, environment

DOCUMENTS = ("README.md", "docs/loader.md", "docs/families.md")


def python_of(document: Path) -> list[str]:
    """Its blocks of Python, in order; those that need a server are left out."""
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if 'medshard.open("s3:' not in block]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_python_of_a_document_runs(name: str, demo: Demo, tmp_path: Path) -> None:
    blocks = python_of(CHECKOUT / name)
    assert blocks
    (tmp_path / "demo").symlink_to(demo.folder)
    # A module with a main guard, since examples with spawned workers import it again.
    body = "\n".join(f"    {line}" if line else "" for block in blocks for line in block.splitlines())
    program = tmp_path / "example.py"
    program.write_text(f'if __name__ == "__main__":\n{body}\n    print("to the end")\n')
    done = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("to the end\n")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(name: str) -> None:
    document = CHECKOUT / name
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()) if "://" not in link]
    assert links
    for link in links:
        assert (document.parent / link).exists(), link
