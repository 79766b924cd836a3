"""Write a Pascal VOC annotation, as labelImg and the VOC challenge lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medshard.testing.synthetic.truth import PaintedFinding

__all__ = ["write_voc"]


def write_voc(
    path: Path,
    image_name: str,
    shape_yx: tuple[int, int],
    findings: Sequence[PaintedFinding],
    *,
    canary: str | None = None,
) -> None:
    """Write one XML file; without findings it has no ``object``.

    VOC counts pixels from 1 and both ends belong to the box, so a continuous x0, x1 becomes x0 + 1, x1.

    Source: M. Everingham, J. Winn, "The PASCAL Visual Object Classes Challenge 2012 Development Kit", section on
    annotation: the top-left pixel of the picture has coordinates (1, 1).
    """
    # labelImg writes the annotator's absolute path; without a canary the path names no one.
    folder = "images" if canary is None else f"/home/{canary}/images"
    owner = "" if canary is None else f"\n\t<owner>\n\t\t<name>{canary}</name>\n\t</owner>\n\t<!-- {canary} -->"
    source = "synthetic" if canary is None else canary
    lines = [
        "<annotation>",
        "\t<folder>images</folder>",
        f"\t<filename>{image_name}</filename>",
        f"\t<path>{folder}/{image_name}</path>",
        f"\t<source>\n\t\t<database>medshard</database>\n\t\t<annotation>{source}</annotation>\n\t</source>{owner}",
        f"\t<size>\n\t\t<width>{shape_yx[1]}</width>\n\t\t<height>{shape_yx[0]}</height>\n\t\t<depth>1</depth>\n\t</size>",
        "\t<segmented>0</segmented>",
    ]
    for finding in findings:
        x0, y0, x1, y1 = finding.box_xyxy
        lines += [
            f"\t<object>\n\t\t<name>{finding.name}</name>\n\t\t<pose>Unspecified</pose>",
            "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>",
            f"\t\t\t<xmin>{x0 + 1}</xmin>\n\t\t\t<ymin>{y0 + 1}</ymin>",
            f"\t\t\t<xmax>{x1}</xmax>\n\t\t\t<ymax>{y1}</ymax>",
            "\t\t</bndbox>\n\t</object>",
        ]
    path.write_text("\n".join([*lines, "</annotation>", ""]), encoding="utf-8", newline="\n")
