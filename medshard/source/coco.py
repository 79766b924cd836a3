"""``coco``: one row an image, or one an annotation with its image and category."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from medshard.errors import ReadError
from medshard.source.base import SourceTable, match_patterns, rows_of_files, text_of
from medshard.source.json_rows import cell_text, parse_json
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import CocoSource

__all__ = ["read_coco"]


def read_coco(name: str, source: CocoSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Rows as ``CocoSource`` says; an annotation whose image or category is not in the file is an error of the file.

    Source: https://cocodataset.org/#format-data (boxes are x, y, width, height, from the image's corner).
    """

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        document = parse_json(text_of(root, path, "utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("images"), list):
            raise ReadError("is no COCO file: it has no list 'images'", error_class="json")
        if source.rows == "images":
            for number, image in enumerate(document["images"], start=1):
                yield number, _image(image)
            return
        images = {image.get("id"): image for image in document["images"]}
        categories = {category.get("id"): category.get("name") for category in document.get("categories", [])}
        for number, annotation in enumerate(document.get("annotations", []), start=1):
            image, category = annotation.get("image_id"), annotation.get("category_id")
            if image not in images or category not in categories:
                raise ReadError(f"annotation {number} names an image or category that is not in the file")
            yield number, {**_image(images[image]), **_annotation(annotation, str(categories[category]))}

    return rows_of_files(name, match_patterns(source.coco, root), parse, progress)


def _image(image: dict[str, Any]) -> dict[str, str | None]:
    scalars = {key: cell_text(value) for key, value in image.items() if not isinstance(value, (list, dict))}
    return {("image_id" if key == "id" else key): value for key, value in scalars.items()}


def _annotation(annotation: dict[str, Any], category: str) -> dict[str, str | None]:
    box = annotation.get("bbox") or [None] * 4
    cells = {f"bbox_{axis}": cell_text(value) for axis, value in zip("xywh", box, strict=False)}
    for key in ("category_id", "area", "iscrowd", "segmentation"):
        cells[key] = cell_text(annotation.get(key))
    return {"annotation_id": cell_text(annotation.get("id")), "category": category, **cells}
