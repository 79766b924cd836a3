"""A corpus as training batches: medshard's loader beside torch's DataLoader over webdataset, from the same tar files.

    python benchmarks/loader_stream.py [--json] [--seconds 25] [--pictures 360]

A corpus of generated JPEGs is built by medshard's own converter. Each contestant streams it without end with both
cores: random part of 50 to 100 % of the area at 224 x 224, flip, normalise, float32, batches of 32. The peers do as
their documentation says: webdataset shuffles shards and samples and makes batches in the workers, which stay alive and
work ahead; Pillow's draft decodes at the smallest eighth that leaves no fewer pixels than are wanted.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset
from interleaved import Rates, machine, race, versions
from pictures import jpeg, paint
from PIL import Image

from medshard.augment import Normalize, RandomHorizontalFlip, RandomResizedCrop
from medshard.cli.progress import ProgressBar
from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.loader.loader import Loader
from medshard.plan.units import UnitLimits
from medshard.spec.load import load_spec_text

BATCH, SIZE, WORKERS = 32, 224, 2
STORED = 1024
AREA, SHAPE = (0.5, 1.0), (3 / 4, 4 / 3)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WINDOW_BATCHES = 10
# More than any contestant holds ready: what was made while others ran is not counted.
DISCARDED_BATCHES = 6
# After it has been stopped, a contestant fills its queues; the next one begins when it is quiet.
QUIET_S = 0.6

SPEC = """\
spec: 1
name: bench
about: {title: Generated pictures, modality: xray, anatomy: chest, department: radiology}
licence: {id: MIT, access: open, redistribute: "yes", evidence: code}
sources: {images: {files: "{id}.jpg"}}
samples: {from: images, key: id, patient: id, split: "'train'"}
media: {image: {from: images, kind: image}}
facts: {}
expect: []
"""


def build(folder: Path, pictures: int) -> Corpus:
    """A third of the pictures in colour, the others grey; in six shards."""
    (folder / "data").mkdir()
    scenes = [paint(STORED + 128, colour=number % 3 == 0, seed=number) for number in range(12)]
    numbers = np.random.default_rng(0)
    places = numbers.integers(0, 128, (pictures, 2))

    def write(number: int) -> None:
        top, left = places[number]
        part = scenes[number % len(scenes)][top : top + STORED, left : left + STORED]
        (folder / "data" / f"{number:05d}.jpg").write_bytes(jpeg(part))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(write, range(pictures)))
    (spec,) = load_spec_text(SPEC, "bench.yaml")
    options = BuildOptions(workers=WORKERS, limits=UnitLimits(samples=-(-pictures // 6)))
    with ProgressBar(shown=False) as progress:
        build_corpus([(spec, folder / "data")], folder / "corpus", options, progress)
    return open_corpus(str(folder / "corpus"))


# -- contestants ---------------------------------------------------------------------------------------------------


def medshard(corpus: Corpus) -> Iterator[torch.Tensor]:
    transform = [RandomResizedCrop(SIZE, scale=AREA, ratio=SHAPE), RandomHorizontalFlip(), Normalize(MEAN, DEVIATION)]
    loader = Loader(corpus, BATCH, transform=transform, by="sample", remainder="drop", threads=WORKERS)
    while True:
        for batch in loader:
            yield batch["image"]


class PillowTransform:
    """What a recipe does with a JPEG, in a worker: torchvision's RandomResizedCrop by Pillow's resize with a box.

    Args:
        draft: lets libjpeg decode at the smallest eighth that leaves the crop no fewer pixels than are wanted.
    """

    def __init__(self, *, draft: bool) -> None:
        self.draft = draft
        self.mean = np.array(MEAN, np.float32).reshape(3, 1, 1) * 255
        self.deviation = np.array(DEVIATION, np.float32).reshape(3, 1, 1) * 255

    def __call__(self, stream: bytes) -> torch.Tensor:
        image = Image.open(io.BytesIO(stream))
        stored_width, stored_height = image.size
        left, top, width, height = self.part(stored_width, stored_height)
        if self.draft:
            image.draft("RGB", (SIZE * stored_width // width, SIZE * stored_height // height))
        across, down = image.size[0] / stored_width, image.size[1] / stored_height
        box = (left * across, top * down, (left + width) * across, (top + height) * down)
        pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.BILINEAR, box=box))
        pixels = pixels[:, ::-1] if np.random.random() < 0.5 else pixels
        out = np.empty((3, SIZE, SIZE), np.float32)
        np.subtract(pixels.transpose(2, 0, 1), self.mean, out=out)
        np.divide(out, self.deviation, out=out)
        return torch.from_numpy(out)

    def part(self, width: int, height: int) -> tuple[int, int, int, int]:
        """torchvision's draw of a part: uniform in area, log-uniform in shape."""
        for _ in range(10):
            area = width * height * np.random.uniform(*AREA)
            shape = np.exp(np.random.uniform(*np.log(SHAPE)))
            w, h = round(np.sqrt(area * shape)), round(np.sqrt(area / shape))
            if 0 < w <= width and 0 < h <= height:
                return np.random.randint(0, width - w + 1), np.random.randint(0, height - h + 1), w, h
        return 0, 0, width, height


def webdataset_pillow(shards: list[str], *, draft: bool) -> Iterator[torch.Tensor]:
    dataset = (
        webdataset.WebDataset(shards, shardshuffle=100, empty_check=False, seed=0)
        .shuffle(256)
        .to_tuple("image.jpg")
        .map_tuple(PillowTransform(draft=draft))
        .batched(BATCH, partial=False)
        .repeat()
    )
    loader = webdataset.WebLoader(
        dataset, batch_size=None, num_workers=WORKERS, persistent_workers=True, multiprocessing_context="forkserver"
    )
    for (batch,) in loader:
        yield batch


def windows(batches: Iterator[torch.Tensor]) -> Callable[[], tuple[int, float]]:
    """One stretch of a stream that goes on, from when what was made ahead is used up."""

    def run() -> tuple[int, float]:
        for _ in range(DISCARDED_BATCHES):
            next(batches)
        began = time.perf_counter()
        for _ in range(WINDOW_BATCHES):
            batch = next(batches)
        seconds = time.perf_counter() - began
        assert batch.shape == (BATCH, 3, SIZE, SIZE)
        assert batch.dtype == torch.float32
        assert abs(float(batch.mean())) < 1.5, "not normalised"
        time.sleep(QUIET_S)
        return WINDOW_BATCHES * BATCH, seconds

    return run


def measure(corpus: Corpus, budget_s: float) -> Rates:
    shards = [str(Path(corpus.storage.url.removeprefix("file://")) / shard.path) for shard in corpus.manifest.shards]
    streams = {
        "medshard Loader": medshard(corpus),
        "webdataset + Pillow draft": webdataset_pillow(shards, draft=True),
        "webdataset + Pillow": webdataset_pillow(shards, draft=False),
    }
    return race({name: windows(stream) for name, stream in streams.items()}, budget_s=budget_s, most_rounds=20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=float, default=25, help="of measuring; building comes on top")
    parser.add_argument("--pictures", type=int, default=360)
    options = parser.parse_args()
    told: dict[str, Any] = {
        "machine": machine(),
        "versions": versions("medshard", "torch", "webdataset", "pillow", "numpy"),
        "pictures": options.pictures,
        "stored": f"{STORED} x {STORED} JPEG, quality 90, a third in colour",
        "batch": BATCH,
        "workers": WORKERS,
    }
    with tempfile.TemporaryDirectory(prefix="medshard-bench-") as folder:
        corpus = build(Path(folder), options.pictures)
        total = sum(path.stat().st_size for path in Path(folder, "data").iterdir())
        told["kib_a_picture"] = round(total / options.pictures / 1024, 1)
        rates = measure(corpus, options.seconds)
    ours = "medshard Loader"
    told["rounds"] = len(rates.of[ours])
    told["pictures_a_second"] = {name: round(rates.median(name), 1) for name in rates.of}
    told["ratios"] = {f"{ours} / {peer}": rates.ratio(ours, peer) for peer in rates.of if peer != ours}
    if options.json:
        print(json.dumps(told, indent=1))
        return
    print(
        *(f"{name}: {value}" for name, value in told.items() if name not in ("ratios", "pictures_a_second")), sep="\n"
    )
    print(*(f"{name:28} {rate:7.1f} a second" for name, rate in told["pictures_a_second"].items()), sep="\n")
    for name, ratio in told["ratios"].items():
        print(f"{name:46} {ratio['median']:.2f} [{ratio['lowest']:.2f}-{ratio['highest']:.2f}]")


if __name__ == "__main__":
    main()
