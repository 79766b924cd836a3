"""medshard's corpora of a workload, built by ``medshard build`` as a user would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workloads import Workload

__all__ = ["VARIANTS", "Variant", "build_corpus", "corpus_folder", "part_bytes"]

_SPEC = """\
spec: 1
name: bench
about: {{title: Painted pictures, modality: xray, anatomy: chest, department: radiology}}
licence: {{id: MIT, access: open, redistribute: "yes", evidence: code}}
sources: {{images: {{files: "{{id}}.{extension}"}}}}
samples: {{from: images, key: id, patient: id, split: "'train'"}}
media: {{image: {{from: images, kind: image{media}}}}}
facts: {{}}
expect: []
"""


@dataclass(frozen=True)
class Variant:
    """A way to build the same pictures.

    Attributes:
        media: keys that are added to the medium in the spec.
        options: of ``medshard build``.
    """

    title: str
    media: str = ""
    options: tuple[str, ...] = ()


VARIANTS = {
    "unchanged": Variant("files as they are"),
    "indexed": Variant("jpeg: indexed (lossless)", media=", jpeg: indexed"),
    "renditions": Variant("with renditions", options=("--renditions", "512")),
}


def corpus_folder(workload: Workload, variant: str) -> Path:
    """Where a corpus lies, or will."""
    return Path(workload.folder, f"corpus-{variant}")


def build_corpus(workload: Workload, variant: str) -> str:
    """Build a corpus unless it is there; why there is none, or an empty text."""
    out = corpus_folder(workload, variant)
    if (out / "corpus.json").exists():
        return ""
    shutil.rmtree(out, ignore_errors=True)
    chosen = VARIANTS[variant]
    spec = Path(workload.folder, f"bench-{variant}.yaml")
    spec.write_text(_SPEC.format(extension=workload.extension, media=chosen.media))
    data = str(Path(workload.folder, "files"))
    command = ["build", str(spec), "--data", data, "--out", str(out), "--shard-mib", "128", *chosen.options]
    program = "from medshard.cli import main; main()"
    made = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True)
    if made.returncode == 0:
        return ""
    shutil.rmtree(out, ignore_errors=True)
    return (made.stderr.strip() or made.stdout.strip()).replace("\n", " ")[-300:]


def part_bytes(workload: Workload, variant: str) -> int:
    """Bytes of all shards of a corpus."""
    return sum(path.stat().st_size for path in corpus_folder(workload, variant).rglob("*.tar"))
