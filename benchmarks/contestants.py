"""Who runs on which workload, and in which environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from corpora import VARIANTS, corpus_folder
from kernels import TITLES
from peers import Task, installed
from workloads import Workload

__all__ = ["REFERENCE", "absent", "environment", "fidelity_routes", "tasks"]

REFERENCE = "medshard Loader"
"""The contestant that the others are set against: unchanged files, all threads."""

ROOT = Path(__file__).resolve().parents[1]
EXTRA = Path(sys.prefix, "extra")
"""Folders of packages that exclude others; each is put before the rest in the processes that need it."""

GRID = ("webdataset", "map_style", "spdl", "grain")
CONVERTED = ("litdata", "mosaicml", "energon")

_NAMES = {
    "map_style": "tar index + DataLoader",
    "webdataset": "webdataset",
    "spdl": "SPDL threads",
    "grain": "Grain threads",
    "litdata": "LitData",
    "mosaicml": "MosaicML Streaming",
    "energon": "Megatron-Energon",
    "dali": "DALI CPU",
    "ffcv": "FFCV",
}
_MODULES = {
    "map_style": "torch",
    "mosaicml": "streaming",
    "energon": "megatron.energon",
    "dali": "nvidia.dali",
}


def environment(peer: str, kernel: str) -> dict[str, str]:
    """Of a contestant's process: its own packages first, one thread for what would take more by itself."""
    paths = [str(ROOT)]
    if kernel.startswith("simd"):
        paths.insert(0, str(EXTRA / "pillow-simd"))
    if peer in ("dali", "ffcv"):
        paths.insert(0, str(EXTRA / peer))
    return {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "ERROR"}


def absent(peer: str, kernel: str) -> str:
    """Why a contestant cannot run here; empty if it can."""
    if kernel.startswith("simd") and not (EXTRA / "pillow-simd" / "PIL").is_dir():
        return "Pillow-SIMD is not installed (it is compiled: needs libjpeg-dev and zlib1g-dev)"
    if peer == "dali" and not (EXTRA / "dali" / "nvidia" / "dali").is_dir():
        return "DALI is not installed"
    if peer == "ffcv" and not (EXTRA / "ffcv" / "ffcv").is_dir():
        return "FFCV is not installed (it is compiled: needs libopencv-dev, libturbojpeg0-dev, pkg-config)"
    module = _MODULES.get(peer, peer.partition("_")[0])
    return "" if peer in ("dali", "ffcv") or installed(module) else f"{module} is not installed"


def _peer(peer: str, kernel: str, workload: Workload, threads: int, variant: str = "") -> Task:
    return Task(peer, workload, kernel, threads, _NAMES[peer], variant)


def _ours(workload: Workload, threads: int) -> list[Task]:
    """The loader on every corpus that could be built, and the engine by itself."""
    kept = [variant for variant in VARIANTS if (corpus_folder(workload, variant) / "corpus.json").exists()]
    loaders = [
        Task(
            "medshard_loader",
            workload,
            "own",
            threads,
            REFERENCE if variant == "unchanged" else f"{REFERENCE}, {VARIANTS[variant].title}",
            variant,
        )
        for variant in kept
    ]
    return [*loaders, Task("medshard_engine", workload, "own", threads, "medshard engine alone", "reduce-2")]


def tasks(workload: Workload, threads: int, *, one_thread: bool) -> list[Task]:
    """All contestants of a workload; with ``one_thread``, ours and two peers also with one."""
    if workload.extension == "png":
        kernels: tuple[str, ...] = ("opencv-16", "imagecodecs-16", "pillow-16")
        chosen = [_peer("map_style", kernel, workload, threads) for kernel in kernels]
        chosen += [_peer(peer, "opencv-16", workload, threads) for peer in ("webdataset", "spdl", "grain")]
        chosen += [_peer("dali", "own", workload, threads)]
        return [*_ours(workload, threads), *chosen]
    chosen = [_peer(peer, k, workload, threads) for k in ("simplejpeg-scaled", "simd-draft") for peer in GRID]
    chosen += [_peer("dali", "own", workload, threads), _peer("dali", "own", workload, threads, "fast")]
    if workload.name == "A":
        chosen += [_peer("webdataset", k, workload, threads) for k in ("simplejpeg", "simd", "pillow-draft", "pillow")]
        chosen += [_peer(peer, "simplejpeg-scaled", workload, threads) for peer in CONVERTED]
        chosen += [_peer("ffcv", "own", workload, threads)]
    found = [*_ours(workload, threads), *chosen]
    if one_thread and threads > 1:
        found += _ours(workload, 1)
        found += [_peer("map_style", "simplejpeg-scaled", workload, 1), _peer("dali", "own", workload, 1)]
    return found


def fidelity_routes(workload: Workload) -> dict[str, Mapping[str, str]]:
    """Routes of ``fidelity.py`` → environment of their processes."""
    if workload.extension == "png":
        names = ["medshard-2", "opencv-16", "imagecodecs-16", "pillow-16", "dali"]
    else:
        names = ["medshard-1", "medshard-2", "medshard-4", "pillow", "pillow-draft", "simd", "simd-draft"]
        names += ["simplejpeg", "simplejpeg-scaled", "dali", "dali-fast"]
    routes = {name: ("dali" if name.startswith("dali") else "", name) for name in names}
    return {name: environment(*pair) for name, pair in routes.items() if not absent(pair[0] or "numpy", pair[1])}


def route_of(task: Task) -> str:
    """The route whose fidelity a contestant has."""
    if task.peer.startswith("medshard"):
        return "medshard-2"
    if task.peer == "dali":
        return "dali-fast" if task.variant == "fast" else "dali"
    return task.kernel


def decoding(task: Task) -> str:
    """For the table."""
    return f"{TITLES[task.kernel]}{f', {task.variant}' if task.peer == 'dali' and task.variant else ''}"
