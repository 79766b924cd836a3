"""Makes docs/pictures/augment/ and the list of operations in docs/augment.md from the registry of operations.

    python docs/make_augment_pictures.py

Each picture has the crop without the operation on the left and with it on the right, both through the native engine.
The pictures are a CT slice that the pydicom package carries, a painted section of stained tissue, and for what makes
pictures of volumes a painted torso, on the left its middle plane as it is stored. A new operation
appears by itself once it has an example in medshard/testing/operation_examples.py.
"""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medshard import augment
from medshard.augment import Letterbox, Operation, Resize, TakeSlice, Window
from medshard.augment.planes import Planes
from medshard.augment.spatial import Spatial
from medshard.augment.views import output_size
from medshard.testing.operation_examples import EXAMPLES
from medshard.testing.operation_paths import OperationPath, operation_paths
from medshard.testing.preview import preview, preview_volume
from medshard.testing.synthetic.torso import paint_torso

DOCS = Path(__file__).resolve().parent
PAGE, PICTURES = DOCS / "augment.md", DOCS / "pictures" / "augment"
BEGIN, END = "<!-- operations -->\n", "<!-- end of operations -->\n"

EDGE, GAP = 160, 6
ON_CT = (
    "Window",
    "MultiWindow",
    "PercentileNormalize",
    "ZScoreNormalize",
    "Normalize",
    "CLAHE",
    "RandomGamma",
    "GaussianNoise",
)
STAGES = {
    "volume": "Volume: what is read",
    "geometry": "Geometry: where pixels lie",
    "neighbourhood": "Neighbourhood: a pixel and those around it",
    "pointwise": "Pointwise: a value by itself",
}


def ct_slice() -> NDArray[np.int16]:
    """(128, 128), HU."""
    from pydicom import examples

    dataset = examples.ct
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    return (dataset.pixel_array * slope + intercept).astype(np.int16)


def section() -> NDArray[np.uint8]:
    """(200, 200, 3), painted: stained tissue with fibres, nuclei and a duct, alike from no two sides."""
    numbers = np.random.default_rng(7)
    y, x = np.mgrid[0:200, 0:200].astype(np.float64)
    fibres = np.zeros((200, 200))
    for _ in range(24):
        angle, wave, phase = numbers.normal(0.6, 0.35), numbers.uniform(0.04, 0.3), numbers.uniform(0, 6.3)
        fibres += np.cos(wave * (x * np.cos(angle) + y * np.sin(angle)) + phase) / 24
    pink = np.array([228.0, 168.0, 204.0]) + fibres[..., None] * np.array([60.0, 130.0, 90.0])
    purple = np.zeros((200, 200))
    for _ in range(260):
        cx, cy, across, down = *numbers.uniform(0, 200, 2), *numbers.uniform(2.0, 4.6, 2)
        dark = numbers.uniform(0.4, 0.95)
        purple = np.maximum(purple, dark * (((x - cx) / across) ** 2 + ((y - cy) / down) ** 2 < 1))
    ring = np.hypot((x - 132) / 1.35, y - 72)
    purple = np.where(ring < 30, 0.0, purple)
    purple = np.maximum(purple, 0.8 * (np.abs(ring - 33) < 4))
    stained = pink * (1 - purple[..., None]) + np.array([92.0, 62.0, 140.0]) * purple[..., None]
    stained = np.where((ring < 29)[..., None], 243.0, stained) + numbers.normal(0, 5, (200, 200, 3))
    return np.clip(np.rint(stained), 0, 255).astype(np.uint8)


def shown(values: NDArray[np.float32], role: str) -> NDArray[np.uint8]:
    """(3, H, W) as pixels; values of any range from -2 to 2."""
    unit = (values + 2) / 4 if role == "ends" else values
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def draw_planes(operation: Planes) -> Image.Image:
    """The middle plane as it is stored, and what the operation makes of the volume; several pictures as tiles."""
    torso = paint_torso()

    def seen(take: Planes, edge: int) -> NDArray[np.uint8]:
        made, _ = preview_volume(
            torso.voxels, torso.affine_ijk_to_ras, [take, Letterbox((edge, edge)), Window(-1000, 600)]
        )
        pictures = [shown(picture, "") for picture in made]
        across = math.isqrt(len(pictures) - 1) + 1
        rows = [np.concatenate(pictures[row : row + across], 1) for row in range(0, len(pictures), across)]
        return np.concatenate(rows, 0)

    return _beside(seen(TakeSlice(), EDGE), seen(operation, EDGE // 2 if operation.several else EDGE))


def draw(operation: Operation) -> Image.Image:
    """Without and with the operation, side by side."""
    name = type(operation).__name__
    if isinstance(operation, Planes):
        return draw_planes(operation)
    on_ct = name in ON_CT
    picture: NDArray[np.generic] = ct_slice() if on_ct else section()
    sized = isinstance(operation, Spatial) and (operation.resamples or output_size([operation]) is not None)
    begin: list[Operation] = [] if sized else [Resize((EDGE, EDGE))]
    window: list[Operation] = [Window(-1000, 1000)] if on_ct else []
    maps = getattr(operation, "role", "") == "maps"
    without = shown(preview(picture, [Resize((EDGE, EDGE)), *window]), "")
    after = preview(picture, [*begin, *([] if maps else window), operation])
    return _beside(without, shown(after, getattr(operation, "role", "")))


def _beside(without: NDArray[np.uint8], with_it: NDArray[np.uint8]) -> Image.Image:
    both = Image.new("RGB", (2 * EDGE + GAP, EDGE), "white")
    both.paste(Image.fromarray(without), (0, 0))
    both.paste(Image.fromarray(with_it), (EDGE + GAP, 0))
    return both


def save(picture: Image.Image, to: Path | IO[bytes]) -> None:
    """As the JPEG that the page shows."""
    picture.save(to, "JPEG", quality=85)


def described(kind: type[Operation]) -> str:
    """The docstring as Markdown: paragraphs, and a list of arguments."""
    text = inspect.getdoc(kind) or ""
    body, _, arguments = text.partition("\n\nArgs:\n")
    body = body.replace("``", "`")
    listed = re.sub(r"\n {8,}", " ", "\n" + arguments).strip()
    items = [re.sub(r"^ *([\w, ]+): ", r"- `\1`: ", line).replace("``", "`") for line in listed.splitlines()]
    return "\n\n".join(part for part in (body, "\n".join(items)) if part)


def rules(path: OperationPath) -> str:
    """Ranges, order, what refuses it, what does it."""
    told = [f"Values: {path.values}."] if path.values else []
    if path.stage in ("neighbourhood", "pointwise"):
        told.append("A flip may stand after it." if path.flip_after else "Flips stand before it.")
    told.append(f"Kept from items whose text refuses `{path.refused}`." if path.refused else "No text refuses it.")
    levels = "C++ at every SIMD level" if path.simd else "C++" if path.cpp else "Python, once a picture"
    told.append(f"Done in {levels}. Compared with {path.oracle}.")
    return " ".join(told)


def listing() -> str:
    """The generated part of the page."""
    examples = {type(operation).__name__: operation for operation in EXAMPLES}
    parts: list[str] = []
    stage = ""
    for path in operation_paths():
        if path.stage != stage:
            stage = path.stage
            parts.append(f"## {STAGES[stage]}")
        operation = examples[path.name]
        arguments = path.arguments.replace("(0.75, 1.3333333333333333)", "(3/4, 4/3)")
        parts.append(f"### {path.name}\n\n`{path.name}{arguments}`\n\n{described(getattr(augment, path.name))}")
        parts.append(rules(path))
        given = repr(operation).replace("(0.75, 1.3333333333333333)", "(3/4, 4/3)")
        parts.append(f"![{path.name}](pictures/augment/{path.name}.jpg)\n\n`{given}`")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Draw all pictures and write the list."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for operation in EXAMPLES:
        save(draw(operation), PICTURES / f"{type(operation).__name__}.jpg")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n" + listing() + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
