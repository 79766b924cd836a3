"""``jpeg: indexed`` on a media slot: what is stored is the rewritten stream, and the source stays known."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_source import png, read_source

from medshard.convert import media
from medshard.convert.sample import make_sample
from medshard.engine import index_jpeg
from medshard.errors import MedshardError, ReadError
from medshard.privacy.jpeg import strip_jpeg
from medshard.spec.load import load_spec_text

BODY = """\
sources:
  images: {files: "{id}.EXT"}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image, jpeg: indexed}
"""


def picture() -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    waves = 120 + 60 * np.sin(x / 9 + y / 13)[..., None] * [1.0, 0.7, 0.4]
    return np.clip(waves + np.random.default_rng(0).normal(0, 8, (120, 160, 3)), 0, 255).astype(np.uint8)


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, "JPEG", quality=90, comment=b"DOE^JANE")
    return stream.getvalue()


def test_the_rewritten_stream_is_stored(tmp_path: Path) -> None:
    source = read_source(tmp_path / "data", BODY.replace("EXT", "jpg"), {"a.jpg": jpeg()})
    made = make_sample(source.context, source.planned["a"])
    stripped = strip_jpeg(jpeg())
    assert stripped is not None
    stored = made.media.parts["image.jpg"]
    assert stored == index_jpeg(stripped) != stripped
    (medium,) = made.sample.media
    assert medium.digest == f"sha256:{hashlib.sha256(stored).hexdigest()}"
    assert f"sha256:{hashlib.sha256(jpeg()).hexdigest()}" in [row.digest for row in made.sample.source]


def test_other_files_are_stored_as_ever(tmp_path: Path) -> None:
    source = read_source(tmp_path / "data", BODY.replace("EXT", "png"), {"a.png": png(picture())})
    assert list(make_sample(source.context, source.planned["a"]).sample.media[0].shape or []) == [120, 160, 3]


def test_a_changed_pixel_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = io.BytesIO()
    Image.fromarray(picture()).save(other, "JPEG", quality=89)
    monkeypatch.setattr(media, "index_jpeg", lambda _: other.getvalue())
    source = read_source(tmp_path / "data", BODY.replace("EXT", "jpg"), {"a.jpg": jpeg()})
    with pytest.raises(ReadError, match="changed its pixels"):
        make_sample(source.context, source.planned["a"])


def test_only_images_have_it() -> None:
    body = BODY.replace("EXT", "png").replace("kind: image", "kind: mask")
    head = "spec: 1\nname: small\nabout: {title: A, modality: xray, anatomy: chest}\n"
    licence = "licence: {id: MIT, access: open, redistribute: 'yes', evidence: page}\n"
    with pytest.raises(MedshardError, match="only for kind: image"):
        load_spec_text(head + licence + body, "small.yaml")
