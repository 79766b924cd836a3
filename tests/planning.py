"""Plans small trees from spec text, for tests."""

from __future__ import annotations

from pathlib import Path

from medshard.plan.plan import Plan, PlanOptions
from medshard.plan.planner import make_plan
from medshard.privacy.remap import Remapper
from medshard.source.read import read_sources
from medshard.source.root import DataRoot
from medshard.spec.load import load_spec_text
from medshard.spec.taxonomy import load_taxonomy

HEAD = """\
spec: 1
name: t
about: {title: T, modality: ct}
licence: {id: MIT, evidence: page}
"""


def write_tree(root: Path, files: dict[str, str | bytes]) -> Path:
    """Files of the given content below ``root``."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def plan(root: Path, body: str, **options: object) -> Plan:
    """The plan of one spec over a tree."""
    (loaded,) = load_spec_text(HEAD + body, "t.yaml")
    tables, _ = read_sources(loaded, DataRoot(root))
    chosen = PlanOptions(Remapper(b"0123456789abcdef"), **options)  # type: ignore[arg-type]
    return make_plan(loaded, tables, load_taxonomy(), chosen)
