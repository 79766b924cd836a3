"""Installs a wheel into a fresh environment and uses it there: ``python try_wheel.py dist/medshard-*.whl``.

The environment has nothing of the checkout and needs no compiler. What ran here is the glibc of this machine; the tag
of a wheel claims no more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def main() -> None:
    """Build the environment, install, run the demo."""
    wheel = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch==2.13.0"], check=True, env=environment)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[torch]"], check=True, env=environment)
        command = str(Path(folder) / "bin" / "medshard")
        for arguments in (["doctor"], ["specs"], ["demo", "--out", f"{folder}/demo"]):
            subprocess.run([command, *arguments], check=True, env=environment, cwd=folder)
    print(f"{wheel.name} works in a fresh environment")


if __name__ == "__main__":
    main()
