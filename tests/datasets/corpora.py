"""Builds reference sets into corpora and finds their samples by the files that they were made of."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import medshard
from medshard.convert.corpus import finalize
from medshard.convert.dataset import DatasetBuild, build_dataset
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus
from medshard.corpus.sample import CorpusSample
from medshard.record.facts import MeasureFact, RegionFact
from medshard.spec.catalog import find_spec
from medshard.spec.load import load_spec_file
from medshard.storage.local import LocalStorage
from medshard.volumes import VolumeReader

SETS = {
    "bccd": "bccd",
    "rbc-coco": "rbc_coco",
    "busi-captions": "busi",
    "torchio-fernando": "torchio_data",
    "sct-testing-data": "sct_testing_data",
    "figure1-covid-cxr": "figure1_covid_cxr",
    "vqa-rad": "vqa_rad",
    "openi-reports": "openi_reports",
    "dsb2018": "dsb2018_fixes",
    "dcmqi-series": "dcmqi",
    "dcmqi-adc": "dcmqi",
    "dicompyler-ct": "dicompyler_rt",
    "medquad": "medquad",
    "pubmedqa": "pubmedqa",
    "lgg-mri": "lgg_mri",
    "dicom-structural": "dicom_structural",
    "niivue-dicom": "niivue_demo",
    "niivue-volumes": "niivue_demo",
    "pyradiomics": "pyradiomics",
    "dcmqi-nrrd": "dcmqi",
    "totalsegmentator-dicom": "totalsegmentator_ref",
    "nema-wg04": "nema_wg04",
    "eyepy-heyex": "eyepy_oct",
    "lgg-mri-volumes": "lgg_mri",
    "dcmqi-seg": "dcmqi",
    "dicompyler-rt": "dicompyler_rt",
    "totalsegmentator-ref": "totalsegmentator_ref",
    "totalsegmentator-dicom-labels": "totalsegmentator_ref",
}
"""Shipped specs that are built whole, and the reference set of each; kits19 is built in part, see test_kits19."""

WITH_REFUSALS = {"nibabel-dicom": "nibabel_formats"}
"""The same of sets in which some files cannot be read, on purpose."""


class Silent:
    """Is told of progress and says nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        pass

    def step(self, count: int) -> None:
        pass


@dataclass
class Built:
    """A corpus and what its building said."""

    root: Path
    data: Path
    builds: list[DatasetBuild]

    @property
    def build(self) -> DatasetBuild:
        (build,) = self.builds
        return build

    @cached_property
    def corpus(self) -> Corpus:
        return medshard.open(self.root)

    @cached_property
    def quarantine(self) -> list[dict[str, Any]]:
        return pq.read_table(self.root / "quarantine.parquet").to_pylist()

    @cached_property
    def by_file(self) -> dict[str, list[CorpusSample]]:
        """Samples by each whole file that they name as a source."""
        found: dict[str, list[CorpusSample]] = {}
        for sample in self.corpus:
            for line in sample.record.source:
                if line.row is None:
                    found.setdefault(line.file, []).append(sample)
        return found

    def of(self, file: str) -> CorpusSample:
        """The one sample that was made of a file."""
        (sample,) = self.by_file[file]
        return sample

    def left_out(self) -> dict[tuple[str, str], int]:
        """How many by (source, class), over all datasets."""
        counts: dict[tuple[str, str], int] = {}
        for line in self.quarantine:
            name = (line["source"], line["error_class"])
            counts[name] = counts.get(name, 0) + 1
        return counts


def build_corpus(spec: str | Path, data: Path, out: Path, **options: Any) -> Built:
    """Build a shipped spec, or the spec of a file, in this process."""
    chosen = BuildOptions(**{"workers": 1, "partial": True, **options})
    path = find_spec(spec) if isinstance(spec, str) else spec
    builds = [build_dataset(loaded, data, out, chosen, Silent()) for loaded in load_spec_file(path)]
    finalize(out, builds)
    return Built(out, data, builds)


def labels(sample: CorpusSample, category: str) -> dict[str, str]:
    """Concept without its category → state, of the labels of one category."""
    return {
        fact.concept.partition("/")[2]: fact.state
        for fact in sample.record.facts
        if fact.kind == "label" and fact.concept is not None and fact.concept.startswith(f"{category}/")
    }


def regions(sample: CorpusSample, shape: str, *, given: bool | None = None) -> list[RegionFact]:
    """Regions of a shape; only those that the source gives, or only those that were derived, if that is said."""
    found = [fact for fact in sample.record.facts if isinstance(fact, RegionFact) and fact.shape == shape]
    return [fact for fact in found if given is None or given == (fact.by != "derived")]


def measures(sample: CorpusSample, concept: str) -> list[MeasureFact]:
    """Measures of one quantity."""
    return [f for f in sample.record.facts if isinstance(f, MeasureFact) and f.concept == f"quantity/{concept}"]


def texts(sample: CorpusSample, section: str) -> list[str]:
    """Texts of one section."""
    return [f.text for f in sample.record.facts if f.kind == "text" and f.concept == f"section/{section}"]


def questions(sample: CorpusSample) -> list[tuple[str, str]]:
    """Questions and answers of the source, in their order."""
    return [(f.question, f.answer) for f in sample.record.facts if f.kind == "qa"]


def mask_of(sample: CorpusSample, region: RegionFact) -> np.ndarray:
    """The pixels of a stored mask region, decoded from the shard."""
    stored = sample.array(region.coords.slot)
    hit = stored == region.coords.value
    medium = sample.medium(region.coords.slot)
    if "C" in medium.axes:
        hit = hit.any(axis=medium.axes.index("C"))
    return np.asarray(hit)


def close(found: Sequence[float], expected: Sequence[float], tolerance: float) -> bool:
    """Whether all numbers agree to a tolerance."""
    return bool(np.allclose(np.asarray(found, float), np.asarray(expected, float), rtol=0, atol=tolerance))


def everything_of(folder: Path) -> bytes:
    """All bytes of a folder: names, files as they are, cells of parquet, voxels, what zstd, gzip and deflate hide."""
    found = [path.relative_to(folder).as_posix().encode() for path in sorted(folder.rglob("*"))]
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        found += [data, *_unpacked(data)]
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found.append(repr(table.schema.metadata).encode())
            found.append(json.dumps(table.to_pylist(), ensure_ascii=False, default=str).encode())
    for path in sorted(folder.rglob("*.ome.zarr")):
        volume = VolumeReader(LocalStorage(folder), path.relative_to(folder).as_posix())
        found += [volume.read(level).tobytes() for level in range(volume.levels)]
    return b"\n".join(found)


def _unpacked(data: bytes) -> list[bytes]:
    """Every zstd frame, gzip member and zlib stream inside, wherever it begins."""
    found, view = [], memoryview(data)
    for magic, unpack in ((b"\x28\xb5\x2f\xfd", _zstd), (b"\x1f\x8b\x08", _gzip), (b"\x78", _zlib)):
        place = data.find(magic)
        while place >= 0:
            found.append(unpack(view[place:]))
            place = data.find(magic, place + 1)
    return found


def _zstd(data: memoryview) -> bytes:
    stream, out = pa.CompressedInputStream(pa.BufferReader(data), "zstd"), bytearray()
    try:
        while part := stream.read(16):  # small steps: what follows the frame is an error that takes its step along
            out += part
    except OSError:
        pass
    return bytes(out)


def _gzip(data: memoryview) -> bytes:
    return _inflated(data, 31)


def _zlib(data: memoryview) -> bytes:
    """A zlib stream; the two bytes of its header are a multiple of 31 (RFC 1950, 2.2)."""
    return _inflated(data, 15) if len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0 else b""


def _inflated(data: memoryview, bits: int) -> bytes:
    """What can be unpacked, up to 16 MiB."""
    stream, out = zlib.decompressobj(bits), bytearray()
    try:
        for start in range(0, len(data), 4096):
            out += stream.decompress(data[start : start + 4096])
            if stream.eof or len(out) > 1 << 24:
                break
    except zlib.error:
        pass
    return bytes(out)
