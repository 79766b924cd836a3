"""The same bits for any number of threads and at any SIMD level; the interpreter goes on; forks have own threads."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from engine_jobs import Sampling, run, whole
from numpy.typing import NDArray

import medshard
from medshard.engine import BatchLayout, Engine, encode_png, features

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(medshard.__file__).parents[1])}
LEVELS = features()["simd_levels"]


def samplings(count: int, seed: int = 0) -> list[Sampling]:
    """Pictures of all types and sizes, cut and mirrored at random; every seventh is damaged."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        height, width = (int(edge) for edge in rng.integers(1, 90, 2))
        channels = int(rng.choice([1, 3, 4]))
        shape = (height, width) if channels == 1 else (height, width, channels)
        pixels: NDArray[np.generic] = rng.integers(0, 256, shape).astype(rng.choice(["uint8", "uint16", "float32"]))
        source = encode_png(pixels) if pixels.dtype != np.float32 else pixels
        if number % 7 == 6 and isinstance(source, bytes):
            source = source[: len(source) // 2]
        box = (0.3 * width * rng.random(), 0.3 * height * rng.random(), width, height)
        flips = rng.random(2) < 0.5
        made.append(Sampling(source, box, (0, 0, width, height), bool(flips[0]), bool(flips[1]), 1 / 255))
    return made


LAYOUT = BatchLayout(31, 45, mean=(0.48, 0.45, 0.4), deviation=(0.22, 0.23, 0.25))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    work = samplings(60)
    expected, reasons = run(work, LAYOUT, engine=Engine(1))
    assert len(reasons) > 2
    for threads in range(2, 9):
        engine = Engine(threads)
        for _ in range(2):  # scratch memory of the batch before does not show
            out, failed = run(work, LAYOUT, engine=engine)
            assert out.tobytes() == expected.tobytes()
            assert failed == reasons


def test_the_order_of_jobs_and_their_neighbours_do_not_matter() -> None:
    work = samplings(30, seed=3)
    expected, _ = run(work, LAYOUT, engine=Engine(2))
    order = np.random.default_rng(0).permutation(30)
    out, _ = run([work[place] for place in order], LAYOUT, engine=Engine(2))
    assert out.tobytes() == expected[order].tobytes()


PROGRAM = """
import hashlib, sys
import numpy as np
from engine_jobs import run
from test_engine_threads import LAYOUT, samplings
from medshard.engine import Engine, features
out, failed = run(samplings(60), LAYOUT, engine=Engine(2))
print(features()["simd"], hashlib.sha256(out.tobytes()).hexdigest(), len(failed))
"""


def at_level(level: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(Path(__file__).parent)])
    environment = {**ENVIRONMENT, "PYTHONPATH": paths, "MEDSHARD_SIMD": level}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("level", LEVELS)
def test_every_simd_level_gives_the_same_bits(level: str) -> None:
    out, failed = run(samplings(60), LAYOUT, engine=Engine(1))
    done = at_level(level)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [level, hashlib.sha256(out.tobytes()).hexdigest(), str(len(failed))]


def test_an_unknown_simd_level_is_refused_with_those_that_there_are() -> None:
    done = at_level("avx9000")
    assert done.returncode != 0
    assert "MEDSHARD_SIMD=avx9000: this machine and build have scalar" in done.stderr


def test_other_python_threads_go_on_while_the_engine_runs() -> None:
    pixels = np.zeros((3000, 3000, 3), np.uint8)
    work = [whole(pixels, (3000, 3000), scale=1 / 255)] * 40
    steps, running = [0], threading.Event()
    done = threading.Event()

    def count() -> None:
        running.wait()
        while not done.is_set():
            steps[0] += 1
            time.sleep(0)  # hands the interpreter back, or the engine would wait for it as long as is set below

    counter = threading.Thread(target=count)
    counter.start()
    # A switch of threads would be forced only after an hour: what the counter does meanwhile, it does while the
    # engine has let go of the interpreter.
    before = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        running.set()
        _, failed = run(work, BatchLayout(64, 64), engine=Engine(1))
        counted = steps[0]
    finally:
        sys.setswitchinterval(before)
        done.set()
        counter.join()
    assert failed == {}
    assert counted > 100


def test_two_python_threads_share_an_engine() -> None:
    work, engine = samplings(40, seed=5), Engine(3)
    expected, _ = run(work, LAYOUT, engine=Engine(1))
    results: list[bytes] = []

    def use() -> None:
        results.extend(run(work, LAYOUT, engine=engine)[0].tobytes() for _ in range(5))

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert results == [expected.tobytes()] * 15


def test_an_engine_is_pickled_as_its_number_of_threads() -> None:
    engine = Engine(3)
    run(samplings(4), LAYOUT, engine=engine)
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.threads == 3
    assert run(samplings(4), LAYOUT, engine=copy)[0].tobytes() == run(samplings(4), LAYOUT, engine=engine)[0].tobytes()
    assert Engine().threads == len(os.sched_getaffinity(0))
    for threads in (0, -1):
        with pytest.raises(ValueError, match="threads is at least 1"):
            Engine(threads)


IMPORT = """
import os
def count(): return len(os.listdir("/proc/self/task"))
import numpy
before = count()
import medshard.engine as engine
imported = count()
made = engine.Engine(3)
print(before, imported, count())
"""


def test_no_thread_starts_at_import_or_with_an_engine() -> None:
    environment = {**ENVIRONMENT, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    before, imported, made = done.stdout.split()
    assert before == imported == made


FORK = """
import hashlib, os, sys, warnings
from engine_jobs import run
from test_engine_threads import LAYOUT, samplings
from medshard.engine import Engine
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork beside threads
engine, work = Engine(3), samplings(20)

def digest(engine):
    return hashlib.sha256(run(work, LAYOUT, engine=engine)[0].tobytes()).hexdigest()

first = digest(engine)
for depth in range(3):
    sys.stdout.flush()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        assert digest(engine) == first, "the parent goes on"
        os._exit(0)
    assert digest(engine) == first, "the child starts threads of its own"
    assert len(os.listdir("/proc/self/task")) == 4, "its own three and the main one"
    unused = Engine(2)
    del unused
    print("child", depth, flush=True)
del engine
"""


def test_forked_processes_have_threads_of_their_own() -> None:
    paths = os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(Path(__file__).parent)])
    environment = {**ENVIRONMENT, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", FORK], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["child 0", "child 1", "child 2"]
