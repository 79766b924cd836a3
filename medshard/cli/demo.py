"""``medshard demo``: five small datasets through the whole chain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP
from medshard.cli.failures import print_json
from medshard.cli.progress import ProgressBar

if TYPE_CHECKING:
    from medshard.corpus.corpus import Corpus

__all__ = ["command"]

_EPOCHS = 2
_BATCH = 32
_SIZE = 224


@dataclass(frozen=True)
class _Streamed:
    """What one epoch delivered."""

    epoch: int
    delivered: int
    distinct: int
    seconds: float

    @property
    def a_second(self) -> float:
        return self.delivered / self.seconds


@click.command(epilog=EXIT_CODES_HELP)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder of the demo: data/ and corpus/ are made in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(out: Path, as_json: bool) -> None:
    """Convert five small datasets, stream the corpus for two epochs, and say what came out.

    Real files: the DICOM files that the pydicom package carries and the NIfTI volumes that nibabel carries. Painted by
    medshard: a breast ultrasound set with masks, a chest X-ray set in 12-bit DICOM and 16-bit PNG with a label table,
    boxes and reports, and abdominal CT series with masks of organs in NIfTI, of which crops in 3D are streamed too.
    Nothing is downloaded.

    \b
    Example:
      medshard demo --out demo/
      medshard show demo/corpus
    """
    from medshard.convert.corpus import build_corpus
    from medshard.convert.options import BuildOptions
    from medshard.corpus.corpus import open_corpus
    from medshard.spec.catalog import find_spec
    from medshard.spec.load import load_spec_file

    with ProgressBar(shown=not as_json) as progress:
        progress.stage("painting three datasets")
        roots = _make_data(out / "data")
        datasets = [(spec, root) for name, root in roots.items() for spec in load_spec_file(find_spec(name))]
        began = time.perf_counter()
        # What the two packages carry differs between their versions.
        manifest, made = build_corpus(datasets, out / "corpus", BuildOptions(partial=True), progress)
        build_seconds = time.perf_counter() - began
        corpus = open_corpus(str(out / "corpus"))
        streamed = []
        for epoch in range(_EPOCHS):
            progress.stage(f"streaming epoch {epoch}", manifest.counts["items"])
            streamed.append(_stream(corpus, epoch, progress))
        progress.stage("streaming crops of volumes")
        crops = _stream_crops(corpus)
    told: dict[str, Any] = {
        "corpus": str(out / "corpus"),
        "report": str(out / "corpus" / "report.html"),
        "build_seconds": round(build_seconds, 2),
        "counts": manifest.counts,
        "datasets": {
            build.slug: {
                "samples": build.account["samples"],
                "items": sum(build.counts.get("items", {}).values()),
                "refused": build.account["failed_samples"],
            }
            for build in made
        },
        "streamed": [
            {
                "epoch": run.epoch,
                "delivered": run.delivered,
                "distinct": run.distinct,
                "per_second": round(run.a_second),
            }
            for run in streamed
        ],
        "crops": {"shape": list(crops.shape), "delivered": crops.delivered, "on_foreground": crops.on_foreground},
    }
    if as_json:
        print_json(told)
    else:
        _print(told)


def _make_data(folder: Path) -> dict[str, Path]:
    """The folder of each demo spec's data; painted ones are kept when they are there already."""
    import nibabel
    import pydicom

    from medshard.testing.synthetic import abdominal_ct, breast_ultrasound, chest_xray

    painted: dict[str, Callable[[Path], object]] = {
        "demo-abdomen": abdominal_ct,
        "demo-breast": breast_ultrasound,
        "demo-chest": chest_xray,
    }
    roots = {}
    for name, paint in painted.items():
        roots[name] = folder / name
        if not roots[name].exists():
            unfinished = folder / f".{name}-{os.getpid()}"
            paint(unfinished)
            unfinished.rename(roots[name])
    roots["demo-dicom"] = Path(pydicom.__file__).parent / "data"
    roots["demo-nifti"] = Path(nibabel.__file__).parent / "tests" / "data"
    return roots


def _stream(corpus: Corpus, epoch: int, progress: ProgressBar) -> _Streamed:
    from medshard.augment import Normalize, RandomHorizontalFlip, RandomResizedCrop, TakeSlice
    from medshard.loader.loader import Loader

    transform = [
        TakeSlice("z"),
        RandomResizedCrop(_SIZE, scale=(0.5, 1.0)),
        RandomHorizontalFlip(),
        Normalize([0.5] * 3, [0.25] * 3),
    ]
    loader = Loader(corpus, _BATCH, transform=transform, seed=1)
    loader.set_epoch(epoch)
    seen, delivered = set(), 0
    began = time.perf_counter()
    for batch in loader:
        delivered += int(batch["valid"].sum())
        seen.update(batch["item"])
        progress.step(len(batch["item"]))
    return _Streamed(epoch, delivered, len(seen), time.perf_counter() - began)


@dataclass(frozen=True)
class _Crops:
    """Crops of volumes of one epoch.

    Attributes:
        shape: of a batch.
        on_foreground: how many have a labelled voxel.
    """

    shape: tuple[int, ...]
    delivered: int
    on_foreground: int


def _stream_crops(corpus: Corpus) -> _Crops:
    from medshard.augment import Window
    from medshard.augment.volume import ForegroundCrop3D, RandomAffine3D, RandomFlip3D
    from medshard.loader.loader import Loader

    transform = [
        ForegroundCrop3D((24, 48, 48), foreground=1.0),
        RandomAffine3D(15.0, scale=(0.9, 1.1)),
        RandomFlip3D("yx"),
        Window.ct("soft_tissue"),
    ]
    chosen = corpus.select("dataset = 'demo-abdomen'")
    loader = Loader(chosen, 8, transform=transform, by="sample", image="ct", mask="organs", crops_per_volume=4, seed=1)
    shape: tuple[int, ...] = ()
    delivered = on_foreground = 0
    for batch in loader:
        shape = tuple(batch["image"].shape)
        delivered += int(batch["valid"].sum())
        on_foreground += int((batch["mask"].flatten(1) > 0).any(1).sum())
    return _Crops(shape, delivered, on_foreground)


def _print(told: dict[str, Any]) -> None:
    counts = told["counts"]
    for name, build in told["datasets"].items():
        refused = f", {build['refused']} refused (see the report)" if build["refused"] else ""
        click.echo(f"{name:12} {build['samples']:4} samples, {build['items']:5} conversations{refused}")
    click.echo(
        f"corpus       {counts['samples']:4} samples, {counts['items']:5} items, {counts['facts']} facts, "
        f"{counts['shards']} shards, {counts['volumes']} volumes, {counts['bytes'] / 2**20:.1f} MiB, "
        f"built in {told['build_seconds']} s"
    )
    for run in told["streamed"]:
        click.echo(
            f"epoch {run['epoch']}: {run['delivered']} items delivered, {run['distinct']} distinct, "
            f"{run['per_second']} a second"
        )
    crops = told["crops"]
    click.echo(
        f"crops in 3D: {crops['delivered']} in batches of {' x '.join(map(str, crops['shape']))}, "
        f"{crops['on_foreground']} with an organ or a lesion"
    )
    click.echo(f"report: {told['report']}")
    click.echo(f"look at a sample: medshard show {told['corpus']}")
