"""What renditions buy: the loader over the same corpus with and without its smaller levels.

    python benchmarks/renditions.py [--pictures 12] [--seconds 20] [--json]

Two sets are painted and built with ``--renditions 512``: radiographs of 3000 x 2500 pixels, 12 of 16 bits, and colour
pictures of 2000 x 2000 as JPEG. For each size of output, both loaders take turns; a rate is the median of all rounds.
Fidelity is of the same crops, against the loader without levels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray
from pictures import jpeg, paint
from PIL import Image

from medshard.augment import RandomHorizontalFlip, RandomResizedCrop, Window
from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.loader.loader import Loader
from medshard.spec.load import load_spec_text
from medshard.spec.schema.media import Renditions

TOP = 4095  # of 12 bits

SPEC = """\
spec: 1
name: large
about: {title: Large pictures, modality: xray, anatomy: chest}
licence: {id: MIT, access: open, evidence: seen}
sources: {images: {files: "{id}.{ext:jpg|png}"}}
samples: {from: images, key: id, patient: unknown, split: train}
media: {image: {from: images, kind: image}}
"""


class Quiet:
    """Shows nothing of a build."""

    def stage(self, name: str, total: int | None = None) -> None: ...

    def step(self, count: int) -> None: ...


def write_pictures(folder: Path, kind: str, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        if kind == "radiograph":
            values = (paint(3000, colour=False, seed=number)[:, :2500] * TOP).astype(np.uint16)
            Image.fromarray(values).save(folder / f"{number:03d}.png", compress_level=1)
        else:
            (folder / f"{number:03d}.jpg").write_bytes(jpeg(paint(2000, colour=True, seed=number)))


def loader_of(corpus: Corpus, size: int, *, levels: bool) -> Loader:
    deep = corpus.samples["media"][0].as_py()[0]["dtype"] == "uint16"
    window = Window(0, TOP if deep else 255)
    transform = [RandomResizedCrop(size, scale=(0.5, 1.0)), RandomHorizontalFlip(), window]
    return Loader(corpus, 4, by="sample", transform=transform, renditions=1.0 if levels else None)


def epoch(loader: Loader) -> tuple[float, dict[str, NDArray[np.float32]]]:
    """Seconds of an epoch, the first one of the loader, and its pictures by key."""
    loader.set_epoch(0)
    began, found = time.perf_counter(), {}
    for batch in loader:
        found.update(zip(batch["key"], batch["image"].numpy(), strict=True))
    return time.perf_counter() - began, found


def compare(corpus: Corpus, size: int, seconds: float) -> dict[str, Any]:
    loaders = {levels: loader_of(corpus, size, levels=levels) for levels in (False, True)}
    pictures = {levels: epoch(loader)[1] for levels, loader in loaders.items()}  # warms up as well
    ratios, rates = [], []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(ratios) < 3:
        whole, small = epoch(loaders[False])[0], epoch(loaders[True])[0]
        ratios.append(whole / small)
        rates.append(len(corpus) / small)
    counts = {levels: loader.stats()["counts"] for levels, loader in loaders.items()}
    errors = [((pictures[False][key] - pictures[True][key]) ** 2).mean() for key in pictures[False]]
    psnr = [float(10 * np.log10(1 / max(float(error), 1e-12))) for error in errors]
    return {
        "size": size,
        "speed_up": statistics.median(ratios),
        "speed_up_range": (min(ratios), max(ratios)),
        "pictures_s": statistics.median(rates),
        "bytes_read": counts[True]["bytes"] / counts[False]["bytes"],
        "psnr_median_db": statistics.median(psnr),
        "psnr_worst_db": min(psnr),
    }


def measure(kind: str, pictures: int, seconds: float, folder: Path) -> dict[str, Any]:
    write_pictures(folder / kind, kind, pictures)
    (loaded,) = load_spec_text(SPEC, "large.yaml")
    options = BuildOptions(renditions=Renditions(from_px=512))
    manifest, _ = build_corpus([(loaded, folder / kind)], folder / f"{kind}-corpus", options, Quiet())
    corpus = open_corpus(folder / f"{kind}-corpus")
    return {
        "extra_disk": manifest.counts["rendition_bytes"] / manifest.counts["bytes"],
        "outputs": [compare(corpus, size, seconds) for size in (224, 512)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each size of output")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            kind: measure(kind, options.pictures, options.seconds, Path(folder)) for kind in ("radiograph", "colour")
        }
    if options.json:
        print(json.dumps({"machine": machine(), "sets": found}, indent=1))
        return
    print(machine())
    for kind, told in found.items():
        print(f"\n{kind}: {told['extra_disk']:.1%} more disk")
        for row in told["outputs"]:
            low, high = row["speed_up_range"]
            speed = f"{row['speed_up']:5.2f} x [{low:.2f}-{high:.2f}]  {row['pictures_s']:6.1f} pictures/s"
            psnr = f"PSNR {row['psnr_median_db']:.1f} dB, worst {row['psnr_worst_db']:.1f}"
            print(f"  {row['size']:4}  {speed}  reads {row['bytes_read']:.1%}  {psnr}")


if __name__ == "__main__":
    main()
