"""What a person reads of a corpus: the report, the card, and a machine-readable description."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from medshard.corpus.manifest import Manifest, RenditionLine, ShardLine

if TYPE_CHECKING:
    from medshard.convert.dataset import DatasetBuild

__all__ = ["card_page", "croissant_document", "report_page"]

_SHOWN_LEFT_OUT = 50


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("medshard.convert", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def report_page(manifest: Manifest, builds: Sequence[DatasetBuild], left_out: Sequence[Mapping[str, Any]]) -> str:
    """``report.html``: what was made, what was left out and why, what the spec claims and the data do not hold.

    Args:
        left_out: rows of ``quarantine.parquet``.
    """
    shown: dict[str, list[Mapping[str, Any]]] = {}
    for row in left_out:
        rows = shown.setdefault(row["dataset"], [])
        if len(rows) < _SHOWN_LEFT_OUT:
            rows.append(row)
    return _environment().get_template("report.html").render(manifest=manifest, builds=builds, shown=shown)


def card_page(manifest: Manifest, builds: Sequence[DatasetBuild]) -> str:
    """``README.md``: a card whose header lets ``datasets`` load each set of shards by name."""
    sets: dict[str, dict[str, list[str]]] = {}
    for shard in manifest.shards:
        sets.setdefault(f"{shard.dataset}--{shard.set}", {}).setdefault(shard.split, []).append(shard.path)
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": paths} for split, paths in sorted(splits.items())],
        }
        for name, splits in sorted(sets.items())
    ]
    header = json.dumps({"configs": configs}, indent=1)
    environment = _environment()
    environment.autoescape = False
    return environment.get_template("card.md").render(manifest=manifest, builds=builds, header=header)


def croissant_document(manifest: Manifest, builds: Sequence[DatasetBuild]) -> str:
    """``croissant.json``: files with digests and licences, as Croissant 1.0 describes a dataset."""
    tars: list[ShardLine | RenditionLine] = []
    for shard in manifest.shards:
        tars += [shard, *shard.renditions]
    files = [
        {
            "@type": "cr:FileObject",
            "@id": tar.path,
            "name": tar.path,
            "contentUrl": tar.path,
            "encodingFormat": "application/x-tar",
            "sha256": tar.sha256,
            "contentSize": f"{tar.size_bytes} B",
        }
        for tar in tars
    ]
    index = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": "application/vnd.apache.parquet"
            if name.endswith(".parquet")
            else "application/octet-stream",
            "sha256": digest,
        }
        for name, digest in sorted(manifest.index.items())
    ]
    document = {
        "@context": {
            "@vocab": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "sc": "https://schema.org/",
            "dct": "http://purl.org/dc/terms/",
            "conformsTo": "dct:conformsTo",
        },
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "medshard-corpus",
        "description": f"A corpus of {manifest.counts['samples']} samples from {len(builds)} datasets.",
        "license": sorted({build.licence["id"] for build in builds}),
        "isBasedOn": [{"@type": "sc:Dataset", "name": build.title} for build in builds],
        "distribution": index + files,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
