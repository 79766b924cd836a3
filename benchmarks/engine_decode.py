"""Compressed bytes to a normalised float32 batch: medshard's engine beside what people use instead.

    python benchmarks/engine_decode.py [--json] [--seconds 30] [--only jpeg]

Each contestant decodes the same streams, resizes them to 224 x 224 with an antialiasing filter, and writes
(value - mean) / deviation into an array of shape (N, 3, 224, 224) that is there already.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from interleaved import Rates, machine, race, versions
from numpy.typing import NDArray
from pictures import jpeg, paint
from PIL import Image

from medshard.engine import JOB, BatchLayout, Engine, Reduce, address_of, encode_png, features

SIZE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_CHW = np.array(MEAN, np.float32).reshape(3, 1, 1)
DEVIATION_CHW = np.array(DEVIATION, np.float32).reshape(3, 1, 1)

Out = NDArray[np.float32]
Kernel = Callable[[bytes, Out], None]


@dataclass(frozen=True)
class Case:
    """Streams of one kind."""

    format: str
    edge: int
    colour: bool
    streams: Sequence[bytes]

    @property
    def name(self) -> str:
        return f"{self.format:6} {self.edge:4}² {'colour' if self.colour else 'grey'}"

    @property
    def top(self) -> int:
        return 65535 if self.format == "png16" else 255


def make_cases(only: str) -> list[Case]:
    """Streams of about 8 million pixels a case at most, an even number of them for two threads."""
    cases = []
    for kind in ("jpeg", "png8", "png16"):
        for edge, count in ((512, 8), (1024, 4), (2048, 2)):
            for colour in (False, True):
                if only not in kind or (kind == "png16" and colour):
                    continue  # Pillow has no picture type of three times 16 bits
                streams = [_stream(kind, edge, colour, seed) for seed in range(count)]
                cases.append(Case(kind, edge, colour, streams))
    return cases


def _stream(kind: str, edge: int, colour: bool, seed: int) -> bytes:
    picture = paint(edge, colour=colour, seed=seed)
    if kind == "jpeg":
        return jpeg(picture)
    return encode_png(
        (picture * (65535 if kind == "png16" else 255)).astype(np.uint16 if kind == "png16" else np.uint8)
    )


# -- contestants ---------------------------------------------------------------------------------------------------


def medshard(case: Case, out: Out, threads: int, *, reduce: Reduce) -> Callable[[], tuple[int, float]]:
    engine = Engine(threads)
    layout = BatchLayout(SIZE, SIZE, 3, mean=MEAN, deviation=DEVIATION, reduce=reduce)

    def run() -> tuple[int, float]:
        began = time.perf_counter()
        jobs = np.zeros(len(case.streams), JOB)
        for place, stream in enumerate(case.streams):
            jobs[place]["address"], jobs[place]["size"] = address_of(stream), len(stream)
            jobs[place]["out"] = place * layout.slot_bytes
        jobs["height"] = jobs["width"] = SIZE
        jobs["box"] = jobs["bounds"] = (0, 0, case.edge, case.edge)
        jobs["scale"] = 1 / case.top
        failed = engine.run(jobs, out.ctypes.data, layout, keep_alive=case.streams)
        seconds = time.perf_counter() - began
        assert not failed, failed
        return len(case.streams), seconds

    return run


def normalised(values: NDArray[np.generic], top: int, out: Out) -> None:
    planes = values.transpose(2, 0, 1) if values.ndim == 3 else values[None]
    np.multiply(planes, np.float32(1 / top), out=out)
    np.subtract(out, MEAN_CHW, out=out)
    np.divide(out, DEVIATION_CHW, out=out)


def pillow(case: Case, *, draft: bool) -> Kernel:
    def kernel(stream: bytes, out: Out) -> None:
        image = Image.open(io.BytesIO(stream))
        if draft:
            image.draft(None, (SIZE, SIZE))  # type: ignore[arg-type]
        if image.mode == "I;16":
            image = image.convert("F")
        normalised(np.asarray(image.resize((SIZE, SIZE), Image.BILINEAR)), case.top, out)

    return kernel


def opencv(case: Case) -> Kernel:
    import cv2

    cv2.setNumThreads(1)  # threads are given here, one a picture
    factor = {512: 1, 1024: 4, 2048: 8}[case.edge] if case.format == "jpeg" else 1
    kind = "COLOR" if case.colour else "GRAYSCALE"
    flag = getattr(cv2, f"IMREAD_REDUCED_{kind}_{factor}") if factor > 1 else getattr(cv2, f"IMREAD_{kind}")
    flag |= cv2.IMREAD_ANYDEPTH if case.format == "png16" else 0

    def kernel(stream: bytes, out: Out) -> None:
        pixels = cv2.imdecode(np.frombuffer(stream, np.uint8), flag)
        pixels = cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        normalised(pixels[..., ::-1] if case.colour else pixels, case.top, out)

    return kernel


def torchvision(case: Case) -> Kernel:
    import torch
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2 import functional

    torch.set_num_threads(1)

    def kernel(stream: bytes, out: Out) -> None:
        pixels = decode_image(torch.frombuffer(bytearray(stream), dtype=torch.uint8), ImageReadMode.UNCHANGED)
        pixels = functional.resize(pixels, [SIZE, SIZE], antialias=True)
        normalised(pixels.permute(1, 2, 0).numpy(), case.top, out)

    return kernel


def threaded(case: Case, kernel: Kernel, out: Out, threads: int) -> Callable[[], tuple[int, float]]:
    """A peer, one picture a thread at a time: all of them let go of the interpreter while they decode."""
    pool = ThreadPoolExecutor(threads)

    def run() -> tuple[int, float]:
        began = time.perf_counter()
        if threads == 1:
            for stream, slot in zip(case.streams, out, strict=True):
                kernel(stream, slot)
        else:
            list(pool.map(kernel, case.streams, out))
        return len(case.streams), time.perf_counter() - began

    return run


def contestants(case: Case, threads: int) -> dict[str, Callable[[], tuple[int, float]]]:
    def batch() -> Out:
        return np.zeros((len(case.streams), 3, SIZE, SIZE), np.float32)

    taken: dict[str, Callable[[], tuple[int, float]]] = {}
    if case.format == "jpeg":
        taken["medshard half"] = medshard(case, batch(), threads, reduce=2)
    taken["medshard full"] = medshard(case, batch(), threads, reduce=1)
    peers: dict[str, Callable[[], Kernel]] = {"Pillow": lambda: pillow(case, draft=False)}
    if case.format == "jpeg":
        peers["Pillow draft"] = lambda: pillow(case, draft=True)
    peers["OpenCV"] = lambda: opencv(case)
    if case.format != "png16":  # its resize takes no uint16
        peers["torchvision"] = lambda: torchvision(case)
    for name, make in peers.items():
        if name not in ABSENT:
            taken[name] = threaded(case, make(), batch(), threads)
    return taken


def absent() -> dict[str, str]:
    told = {}
    for name, module in (("OpenCV", "cv2"), ("torchvision", "torchvision")):
        try:
            __import__(module)
        except ImportError as error:
            told[name] = str(error)
    return told


ABSENT = absent()


def compared(name: str) -> tuple[str, ...]:
    """Against whom a contestant is set: full decoding against full decoding, the fast ways against each other."""
    return {"medshard half": ("Pillow draft", "Pillow"), "medshard full": ("Pillow",)}[name]


def row(case: Case, threads: int, rates: Rates) -> dict[str, object]:
    ratios = {
        f"{name} / {peer}": rates.ratio(name, peer)
        for name in rates.of
        if name.startswith("medshard")
        for peer in (*compared(name), "OpenCV", "torchvision")
        if peer in rates.of
    }
    return {
        "case": " ".join(case.name.split()),
        "threads": threads,
        "kib": round(sum(map(len, case.streams)) / len(case.streams) / 1024, 1),
        "rounds": len(next(iter(rates.of.values()))),
        "pictures_a_second": {name: round(rates.median(name), 1) for name in rates.of},
        "ratios": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--seconds", type=float, default=30, help="of measuring; painting comes on top")
    parser.add_argument("--only", default="", help="jpeg, png8 or png16")
    options = parser.parse_args()
    told = {
        "machine": machine(),
        "versions": {**versions("medshard", "numpy", "pillow", "opencv-python-headless", "torchvision")},
        "engine": features(),
        "absent": ABSENT,
        "rows": [],
    }
    if not options.json:
        print(*(f"{name}: {value}" for name, value in told.items() if name != "rows"), sep="\n")
        print(*(f"{name} is skipped: {reason}" for name, reason in ABSENT.items()), sep="\n")
    cases = make_cases(options.only)
    rows: list[dict[str, object]] = told["rows"]  # type: ignore[assignment]
    for case in cases:
        for threads in (1, 2):
            rates = race(contestants(case, threads), budget_s=options.seconds / len(cases) / 2)
            rows.append(row(case, threads, rates))
            if not options.json:
                show(rows[-1])
    if options.json:
        print(json.dumps(told, indent=1))


def show(line: dict[str, object]) -> None:
    rates, ratios = line["pictures_a_second"], line["ratios"]
    assert isinstance(rates, dict)
    assert isinstance(ratios, dict)
    print(
        f"\n{line['case']}, {line['kib']} KiB, threads {line['threads']}, {line['rounds']} rounds; pictures a second:"
    )
    print("  " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
    for name, ratio in ratios.items():
        print(f"  {name:32} {ratio['median']:.2f} [{ratio['lowest']:.2f}-{ratio['highest']:.2f}]")


if __name__ == "__main__":
    main()
