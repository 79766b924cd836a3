"""Runs the fuzz targets of a build folder, two at a time: first their seeds and past findings, then changed inputs.

    python tests/fuzz/run_fuzz.py build/fuzz [--seconds 30] [--data FOLDER] [--seed 1] [--only fuzz_png]

Seeds are made anew in FOLDER/seeds; an input that ends a target is left in FOLDER/found, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seeds import write_seeds

_AT_ONCE = 2


def run(target: Path, folder: Path, seconds: float, seed: int) -> tuple[str, subprocess.CompletedProcess[str]]:
    """A target's name, and what it said."""
    found = folder / "found"
    found.mkdir(exist_ok=True)
    arguments = [f"-max_total_time={seconds:g}", f"-seed={seed}", f"-artifact_prefix={found}/{target.name}-"]
    done = subprocess.run(
        [str(target), *arguments, str(folder / "seeds" / target.name)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 600,
    )
    return target.name, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=30, help="of changed inputs, each target")
    parser.add_argument("--data", type=Path, help="real files to start from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one target")
    options = parser.parse_args()
    write_seeds(options.folder / "seeds", options.data)
    targets = [path for path in sorted(options.folder.glob("fuzz_*")) if path.is_file() and os.access(path, os.X_OK)]
    targets = [path for path in targets if options.only in (None, path.name)]
    if not targets:
        sys.exit(f"there is no fuzz target in {options.folder}; build them first: make fuzz")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(lambda path: run(path, options.folder, options.seconds, options.seed), targets))
    for name, done in results:
        said = done.stdout.strip().splitlines()
        print(f"{name}: {said[-1] if done.returncode == 0 and said else f'ENDED with {done.returncode}'}")
        if done.returncode:
            print(done.stderr[-6000:], file=sys.stderr)
    sys.exit(any(done.returncode for _, done in results))


if __name__ == "__main__":
    main()
