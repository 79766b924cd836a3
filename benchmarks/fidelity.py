"""How near each way of decoding comes to Pillow's full decode with antialiased bilinear sampling.

The same crops go through every route, without the random parts. Some routes need packages that exclude one another, so
each runs in a process of its own:

    python fidelity.py CASES-FOLDER ROUTE SIZE
"""

from __future__ import annotations

import io
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from crops import Crop, random_crop
from figures import psnr_db
from numpy.typing import NDArray
from workloads import Workload

__all__ = ["Fidelity", "measure", "real_cases", "workload_cases"]

_LEAST_EDGE = 256  # of a real picture; smaller ones are mostly icons and thumbnails


@dataclass(frozen=True)
class Fidelity:
    """Of a route over many crops.

    Attributes:
        shift: mean of (found - expected), in units of 1/255 of the range.
    """

    crops: int
    median_db: float
    worst_db: float
    shift: float

    def __str__(self) -> str:
        return f"{self.median_db:.1f} / {self.worst_db:.1f}"


Case = tuple[str, Crop]


def workload_cases(workload: Workload, count: int) -> list[Case]:
    """One fixed crop of each of ``count`` pictures, spread over the workload."""
    files = workload.files
    chosen = [files[number * len(files) // count] for number in range(min(count, len(files)))]
    return _drawn(chosen, workload, 1)


def real_cases(shared: Path, workload: Workload, count: int) -> list[Case]:
    """``count`` fixed crops of 8-bit JPEGs and PNGs of real data sets; none without the data."""
    found = sorted(
        path
        for folder in sorted((shared / "data").glob("*"))
        if folder.name != "pillow_broken"
        for path in folder.rglob("*")
        if path.suffix.lower() in (".jpg", ".jpeg", ".png") and _usable(path)
    )
    return _drawn(found, workload, -(-count // len(found)))[:count] if found else []


def _usable(path: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.mode in ("RGB", "L") and min(image.size) >= _LEAST_EDGE
    except UnidentifiedImageError:  # some data sets have empty files where pictures were
        return False


def _drawn(files: Sequence[Path], workload: Workload, each: int) -> list[Case]:
    from PIL import Image

    random.seed(0)
    draw, cases = random_crop(workload), []
    for _ in range(each):
        for path in files:
            with Image.open(path) as image:
                cases.append((str(path), draw(*image.size)))
    return cases


def reference(stream: bytes, crop: Crop, size: int) -> NDArray[Any]:
    """Pillow: everything decoded, cut, resized by its antialiased bilinear filter; (size, size, 3) or float grey."""
    from PIL import Image

    x, y, w, h = crop
    image = Image.open(io.BytesIO(stream))
    image = image.convert("F" if image.mode.startswith("I") else "RGB").crop((x, y, x + w, y + h))
    return np.asarray(image.resize((size, size), Image.BILINEAR))


def measure(
    cases: Sequence[Case],
    folder: Path,
    size: int,
    top: int,
    routes: Mapping[str, Mapping[str, str]],
) -> dict[str, Fidelity]:
    """Every route over the cases; a route that only reads JPEG leaves out the others.

    Args:
        folder: for the references.
        routes: name → environment variables of its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = np.stack([reference(Path(path).read_bytes(), crop, size) for path, crop in cases])
    np.save(folder / "expected.npy", expected)
    (folder / "cases.json").write_text(json.dumps({"cases": cases, "top": top}))
    told = {}
    for route, environment in routes.items():
        made = subprocess.run(
            [sys.executable, __file__, str(folder), route, str(size)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        if made.returncode:
            print(f"  fidelity of {route}: failed\n    {made.stderr.strip()[-400:]}")
        else:
            told[route] = Fidelity(**json.loads(made.stdout.strip().splitlines()[-1]))
    (folder / "expected.npy").unlink()
    return told


# -- routes ---------------------------------------------------------------------------------------------------------


def _by_kernel(name: str, cases: Sequence[Case], size: int) -> Iterator[NDArray[Any] | None]:
    from kernels import kernel

    run = kernel(name, size)
    for path, crop in cases:
        if name.startswith("simplejpeg") and path.lower().endswith(".png"):
            yield None
        else:
            yield run(Path(path).read_bytes(), lambda *_, crop=crop: crop)


def _by_engine(reduce: int, cases: Sequence[Case], size: int, top: int) -> Iterator[NDArray[Any] | None]:
    from medshard.engine import JOB, BatchLayout, Engine, address_of

    channels = 3 if top == 255 else 1
    layout, engine = BatchLayout(size, size, channels, reduce=reduce), Engine(1)  # type: ignore[arg-type]
    for path, (x, y, w, h) in cases:
        stream, out = Path(path).read_bytes(), np.zeros((channels, size, size), np.float32)
        job = np.zeros(1, JOB)
        job["address"], job["size"] = address_of(stream), len(stream)
        job["box"] = job["bounds"] = (x, y, x + w, y + h)
        job["height"] = job["width"] = size
        job["scale"] = 1 / top
        failed = engine.run(job, out.ctypes.data, layout, keep_alive=(stream,))
        if failed:
            raise RuntimeError(f"{path}: {failed}")
        yield (out.transpose(1, 2, 0) if channels == 3 else out[0]) * top


def _by_dali(fast: bool, cases: Sequence[Case], size: int, top: int) -> Iterator[NDArray[Any] | None]:
    from nvidia.dali import fn, pipeline_def, types

    grey = top != 255

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph() -> Any:
        streams, start, shape = (fn.external_source(name=name) for name in ("streams", "start", "shape"))
        pixels = fn.decoders.image_slice(
            streams,
            start,
            shape,
            device="cpu",
            output_type=types.ANY_DATA if grey else types.RGB,
            normalized_anchor=False,
            normalized_shape=False,
            axis_names="WH",
            use_fast_idct=fast,
            **({"dtype": types.UINT16} if grey else {}),
        )
        more = {"dtype": types.FLOAT} if grey else {}
        return fn.resize(pixels, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=not fast, **more)

    pipeline = graph(prefetch_queue_depth=1)
    pipeline.build()
    for path, (x, y, w, h) in cases:
        pipeline.feed_input("streams", [np.fromfile(path, np.uint8)])
        pipeline.feed_input("start", [np.float32([x, y])])
        pipeline.feed_input("shape", [np.float32([w, h])])
        (made,) = pipeline.run()
        pixels = np.array(made.at(0))
        yield pixels[..., 0] if grey else pixels


def _route(name: str, cases: Sequence[Case], size: int, top: int) -> Iterator[NDArray[Any] | None]:
    if name.startswith("medshard-"):
        return _by_engine(int(name.rpartition("-")[2]), cases, size, top)
    if name.startswith("dali"):
        return _by_dali(name.endswith("fast"), cases, size, top)
    return _by_kernel(name, cases, size)


def main() -> None:
    folder, name, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    stored = json.loads((folder / "cases.json").read_text())
    cases, top = [(path, tuple(crop)) for path, crop in stored["cases"]], stored["top"]
    expected = np.load(folder / "expected.npy", mmap_mode="r")
    decibels, shifts = [], []
    for wanted, found in zip(expected, _route(name, cases, size, top), strict=True):
        if found is not None:
            decibels.append(min(psnr_db(found, wanted, top), 99.0))
            shifts.append(float(np.mean(np.asarray(found, np.float64) - wanted)) * 255 / top)
    told = Fidelity(len(decibels), statistics.median(decibels), min(decibels), statistics.mean(shifts))
    print(json.dumps(told.__dict__))


if __name__ == "__main__":
    main()
