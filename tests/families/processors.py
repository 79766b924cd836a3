"""The image processors of transformers, made from each model's published numbers; nothing is downloaded.

Source of the numbers: ``preprocessor_config.json`` and ``processor_config.json`` of Qwen/Qwen2.5-VL-7B-Instruct,
Qwen/Qwen3-VL-8B-Instruct, OpenGVLab/InternVL3-8B-hf, llava-hf/llava-v1.6-mistral-7b-hf, llava-hf/llava-1.5-7b-hf,
google/gemma-3-4b-it, google/paligemma2-3b-pt-448.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):  # absent, or of another torch: transformers would trip over it
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    pytest.importorskip("transformers", minversion="5.0")

HAS_TORCHVISION = sys.modules["torchvision"] is not None

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
_SQUARE_336 = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}


def _square(edge: int) -> dict[str, Any]:
    return {"size": {"height": edge, "width": edge}}


CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "qwen2.5-vl": ("qwen2_vl", "Qwen2VL", {"min_pixels": 3136, "max_pixels": 12845056, **_CLIP}),
    "qwen3-vl": (
        "qwen2_vl",
        "Qwen2VL",
        {"size": {"shortest_edge": 65536, "longest_edge": 16777216}, "patch_size": 16, **_HALF},
    ),
    "internvl": (
        "got_ocr2",
        "GotOcr2",
        {**_square(448), "crop_to_patches": True, "min_patches": 1, "max_patches": 12, **_IMAGENET},
    ),
    "llava-next": ("llava_next", "LlavaNext", {**_SQUARE_336, "image_grid_pinpoints": _PINPOINTS, **_CLIP}),
    "llava-1.5": ("llava", "Llava", {**_SQUARE_336, **_CLIP}),
    "gemma3": ("gemma3", "Gemma3", {**_square(896), "do_pan_and_scan": False, **_HALF}),
    "paligemma-448": ("siglip", "Siglip", {**_square(448), **_HALF}),
}
CONFIGS["qwen2-vl"] = CONFIGS["qwen2.5-vl"]


def module(name: str) -> Any:
    """A module of transformers, imported without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"transformers.{name}")


@cache
def image_processor(family: str, backend: str = "pil") -> Any:
    """The processor of a family: ``pil`` (Pillow), or ``torchvision``, which transformers prefers where it is."""
    folder, name, config = CONFIGS[family]
    suffix, part = ("Pil", "pil_") if backend == "pil" else ("", "")
    found = module(f"models.{folder}.image_processing_{part}{folder}")
    return getattr(found, f"{name}ImageProcessor{suffix}")(**config)


def processed(family: str, picture: Image.Image, backend: str = "pil") -> dict[str, Any]:
    """What the processor makes of one picture, as numpy arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = image_processor(family, backend)(picture, return_tensors="np" if backend == "pil" else "pt")
    return {name: np.asarray(value) for name, value in out.items()}


def text_processor(family: str) -> Any:
    """The part of a processor that counts image tokens, without a tokenizer."""
    folder, name = {
        "qwen2.5-vl": ("qwen2_vl", "Qwen2VLProcessor"),
        "internvl": ("internvl", "InternVLProcessor"),
        "llava-next": ("llava_next", "LlavaNextProcessor"),
        "llava-1.5": ("llava", "LlavaProcessor"),
    }[family]
    kind = getattr(module(f"models.{folder}.processing_{folder}"), name)
    made = object.__new__(kind)
    made.__dict__.update(
        image_processor=image_processor(family),
        image_token={"qwen2.5-vl": "<|image_pad|>", "internvl": "<IMG_CONTEXT>"}.get(family, "<image>"),
        start_image_token="<img>",
        end_image_token="</img>",
        image_seq_length=256,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
    )
    return made


@contextmanager
def columns_first() -> Iterator[None]:
    """Pillow resizes columns first, as it did before 13.0 and as torch does.

    Since 13.0 it takes rows first where the height shrinks more than the width, and each pass rounds to whole levels,
    so that it gives other levels than before (python-pillow/Pillow#9549).
    """
    real = Image.Image.resize

    def resize(self: Image.Image, size: tuple[int, int], *args: Any, **options: Any) -> Image.Image:
        wide = real(self, (size[0], self.height), *args, **options)
        return real(wide, size, *args, **options)

    Image.Image.resize = resize  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Image.Image.resize = real  # type: ignore[method-assign]


def stub_sizes(**columns: Any) -> Any:
    """Columns of a batch, as ``replace_image_token`` reads them."""
    return {name: np.asarray(value) for name, value in columns.items()}


def blank(height: int, width: int) -> NDArray[np.uint8]:
    """A picture of which only the size matters, without memory of its own: (3, H, W)."""
    return np.broadcast_to(np.zeros(1, np.uint8), (3, height, width))
