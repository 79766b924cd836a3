"""The workloads' pictures: painted, compressed and packed once, then kept.

A folder of a workload holds ``files/`` (what a data set looks like before anything converts it), ``shards/`` (the same
bytes in tars, as webdataset has them) and, added by others, what medshard and some peers convert them to. All peers
read the same compressed bytes.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORKLOADS", "Workload", "from_tars", "generate"]

Painter = Callable[[np.random.Generator], NDArray[Any]]
_SHARD_SAMPLES = 500


@dataclass(frozen=True)
class Workload:
    """Pictures, and what is to be made of them.

    Attributes:
        title: for people.
        folder: where they lie.
        count: how many.
        extension: of the part that is the picture: ``jpg`` or ``png``.
        size: of the output, height and width.
        channels: of the output.
        top: the stored value that is white.
        batch: samples.
        kinds: painters, in turn.
    """

    name: str
    title: str
    folder: str
    count: int
    extension: str
    size: int
    channels: int
    top: int
    batch: int
    kinds: tuple[str, ...]
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    deviation: tuple[float, ...] = (0.229, 0.224, 0.225)
    area: tuple[float, float] = (0.5, 1.0)
    shape: tuple[float, float] = (3 / 4, 4 / 3)

    @property
    def shards(self) -> list[str]:
        return sorted(str(path) for path in Path(self.folder, "shards").rglob("*.tar"))

    @property
    def files(self) -> list[Path]:
        return sorted(Path(self.folder, "files").iterdir())

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def load(cls, fields: dict[str, Any]) -> Workload:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


GREY = {"channels": 1, "mean": (0.5,), "deviation": (0.25,)}

WORKLOADS: dict[str, dict[str, Any]] = {
    "A": {
        "title": "JPEG of 1 MPix → 224 × 224",
        "extension": "jpg",
        "size": 224,
        "channels": 3,
        "top": 255,
        "batch": 64,
        "kinds": ("chest", "tissue", "chest", "tissue", "retina"),
    },
    "A-hi-xray": {
        "title": "16-bit PNG of 3000 × 2500 → 512 × 512",
        "extension": "png",
        "size": 512,
        "top": 4095,
        "batch": 16,
        "kinds": ("radiograph",),
        **GREY,
    },
    "A-hi-fundus": {
        "title": "JPEG of 2000 × 2000 → 512 × 512",
        "extension": "jpg",
        "size": 512,
        "channels": 3,
        "top": 255,
        "batch": 32,
        "kinds": ("large_retina",),
    },
}


# -- painters -------------------------------------------------------------------------------------------------------
# Soft shapes of the kind's own sizes, and the grain of a sensor, which decides how many bits a pixel costs.


def _clouds(numbers: np.random.Generator, height: int, width: int, coarsest: int = 128) -> NDArray[np.float32]:
    """Smooth noise, about -1 to 1, with details from ``coarsest`` pixels down to 8."""
    import cv2

    total, weight = np.zeros((height, width), np.float32), 1.0
    while coarsest >= 8:
        cells = numbers.standard_normal((height // coarsest + 3, width // coarsest + 3), np.float32)
        total += weight * cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
        coarsest, weight = coarsest // 2, weight * 0.55
    return total


def _grain(numbers: np.random.Generator, height: int, width: int, blur: float = 0.8) -> NDArray[np.float32]:
    import cv2

    noise = numbers.standard_normal((height, width), np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), blur), np.float32)


def _thorax(numbers: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """A chest as X-rays see it, 0 to 1, without grain: lungs, spine, ribs."""
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    light = 0.62 + 0.18 * np.exp(-(((x - 0.5) / 0.06) ** 2)) + np.zeros_like(y)
    for centre in (0.3, 0.7):
        light -= 0.36 * np.exp(-(((x - centre) / 0.14) ** 2) - ((y - 0.5) / 0.28) ** 2)
    bend = y - 0.25 * (x - 0.5) ** 2
    for rib in range(9):
        light += 0.06 * np.exp(-(((bend - 0.12 - 0.085 * rib) / 0.009) ** 2))
    return np.asarray(light + 0.055 * _clouds(numbers, height, width) + numbers.uniform(-0.04, 0.04), np.float32)


def _to_bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(picture, 0, 255).astype(np.uint8)


def chest(numbers: np.random.Generator) -> NDArray[Any]:
    """Grey, 1024 × 1024."""
    picture = _thorax(numbers, 1024, 1024) * 240
    return _to_bytes(picture + numbers.uniform(5.5, 9.0) * _grain(numbers, 1024, 1024))


def tissue(numbers: np.random.Generator) -> NDArray[Any]:
    """Stained tissue with nuclei, 512 to 1200 high."""
    import cv2

    height = int(numbers.integers(512, 1201))
    width = int(min(1500, height * numbers.uniform(1.0, 1.25)))
    stain = 1 / (1 + np.exp(-1.6 * _clouds(numbers, height, width, 96)))[..., None]
    picture = np.float32([225, 165, 200]) + stain * np.float32([-66, -60, -30])
    nuclei = np.zeros((height, width), np.float32)
    for _ in range(height * width // 2200):
        centre = (int(numbers.integers(width)), int(numbers.integers(height)))
        axes = (int(numbers.integers(4, 11)), int(numbers.integers(3, 8)))
        turned, depth = float(numbers.uniform(0, 180)), float(numbers.uniform(0.5, 1))
        cv2.ellipse(nuclei, centre, axes, turned, 0, 360, depth, -1, cv2.LINE_AA)
    picture += 0.75 * nuclei[..., None] * (np.float32([80, 40, 120]) - picture)
    picture += 10 * _grain(numbers, height, width, 0.9)[..., None]
    return _to_bytes(picture + 2 * numbers.standard_normal((height, width, 3), np.float32))


def retina(numbers: np.random.Generator, height: int | None = None, width: int | None = None) -> NDArray[Any]:
    """A fundus photograph: a bright disc on black, with vessels; 700 to 1200 high."""
    import cv2

    height = height or int(numbers.integers(700, 1201))
    width = width or int(height * 1.25)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot(y - height / 2, x - width / 2) / (height * 0.49)
    clouds = 0.9 * _clouds(numbers, height, width)
    channels = ((190, 60, 12), (95, 35, 10), (45, 15, 6))
    picture = np.stack([base - fall * radius + soft * clouds for base, fall, soft in channels], -1)
    vessels = np.zeros((height, width), np.float32)
    for _ in range(60):
        place, heading = np.array([width * 0.68, height * 0.5]), numbers.uniform(0, 2 * np.pi)
        thickness = int(numbers.integers(2, 9))
        for _ in range(40):
            heading += numbers.normal(0, 0.18)
            there = place + 0.012 * width * np.array([np.cos(heading), np.sin(heading)])
            ends = [tuple(map(int, point)) for point in (place, there)]
            cv2.line(vessels, *ends, 0.8, thickness, cv2.LINE_AA)
            place, thickness = there, max(1, thickness - int(numbers.random() < 0.15))
    picture *= 1 - 0.45 * vessels[..., None]
    picture += 7 * _grain(numbers, height, width)[..., None]
    picture += 2 * numbers.standard_normal((height, width, 3), np.float32)
    return _to_bytes(picture * (radius < 1)[..., None])


def large_retina(numbers: np.random.Generator) -> NDArray[Any]:
    """2000 × 2000, as cameras deliver after cropping to the disc."""
    return retina(numbers, 2000, 2000)


def radiograph(numbers: np.random.Generator) -> NDArray[Any]:
    """Grey, 3000 high, 2500 wide, 12 bits in 16, with noise that grows with the signal."""
    light = _thorax(numbers, 3000, 2500)
    noise = _grain(numbers, 3000, 2500, 0.7) * (0.004 + 0.008 * np.sqrt(np.clip(light, 0, 1)))
    return (np.clip(light + noise, 0, 1) * 4095).astype(np.uint16)


PAINTERS: dict[str, Painter] = {
    painter.__name__: painter for painter in (chest, tissue, retina, large_retina, radiograph)
}


# -- files and shards -----------------------------------------------------------------------------------------------


def _compress(picture: NDArray[Any]) -> bytes:
    """JPEG of quality 90 with colours at half resolution, as cameras and archives write; 16 bits as PNG of level 6."""
    from PIL import Image

    stream = io.BytesIO()
    image = Image.fromarray(picture)
    if picture.dtype == np.uint16:
        image.save(stream, "png", compress_level=6)
    else:
        image.save(stream, "jpeg", quality=90, subsampling="4:2:0")
    return stream.getvalue()


def _make(number: int, kinds: tuple[str, ...]) -> bytes:
    import cv2

    cv2.setNumThreads(1)
    return _compress(PAINTERS[kinds[number % len(kinds)]](np.random.default_rng(1000 + number)))


def generate(name: str, count: int, below: Path) -> Workload:
    """Paint a workload, unless it is there already."""
    workload = Workload(name=name, folder=str(below / f"{name}-{count}"), count=count, **WORKLOADS[name])
    if not _is_done(workload):
        print(f"painting {count} pictures of workload {name} into {workload.folder}", flush=True)
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            made = pool.map(partial(_make, kinds=workload.kinds), range(count), chunksize=4)
            _write(workload, (data for data in made))
    return workload


def from_tars(name: str, tars: Path, below: Path) -> Workload:
    """The pictures of tars that something else wrote, by the extension of the workload."""
    sources = sorted(tars.rglob("*.tar"))
    if not sources:
        raise SystemExit(f"--from {tars}: there is no .tar in it")
    extension = WORKLOADS[name]["extension"]
    count = sum(1 for _ in _pictures(sources, extension))
    workload = Workload(name=name, folder=str(below / f"{name}-from-{tars.name}"), count=count, **WORKLOADS[name])
    if not _is_done(workload):
        _write(workload, _pictures(sources, extension))
    return workload


def _pictures(sources: list[Path], extension: str) -> Iterator[bytes]:
    for path in sources:
        with tarfile.open(path) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.name.endswith(f".{extension}") else None
                if stream is not None:
                    yield stream.read()


def _is_done(workload: Workload) -> bool:
    try:
        return bool(json.loads(Path(workload.folder, "done.json").read_text())["count"] == workload.count)
    except (OSError, ValueError, KeyError):
        return False


def _write(workload: Workload, pictures: Iterator[bytes]) -> None:
    """Each picture as a file and in a tar, shards of equal length, six at least so that there is something to mix."""
    folder = Path(workload.folder)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "files").mkdir(parents=True)
    (folder / "shards").mkdir()
    length = min(_SHARD_SAMPLES, -(-workload.count // 6))
    size_bytes, tar = 0, None
    for number, data in enumerate(pictures):
        if number % length == 0:
            if tar is not None:
                tar.close()
            path = folder / "shards" / f"shard-{number // length:04d}.tar"
            tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed when it is full
        assert tar is not None
        (folder / "files" / f"{number:06d}.{workload.extension}").write_bytes(data)
        for extension, part in ((workload.extension, data), ("cls", str(number % 10).encode())):
            info = tarfile.TarInfo(f"{number:06d}.{extension}")
            info.size = len(part)
            tar.addfile(info, io.BytesIO(part))
        size_bytes += len(data)
    if tar is not None:
        tar.close()
    (folder / "done.json").write_text(json.dumps({"count": workload.count, "size_bytes": size_bytes}))
