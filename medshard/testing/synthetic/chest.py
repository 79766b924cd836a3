"""A chest radiograph set: DICOM and 16-bit PNG, a table in CheXpert's style, VOC boxes, reports.

::

    labels.csv
    images/P0001/P0001_S1_1.dcm      12 bits, MONOCHROME1 or 2, CR or DX
    images/P0001/P0001_S2_1.png      16 bits
    annotations/P0001_S1_1.xml       not for every image; without object where nothing was found
"""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from medshard.testing.synthetic.canary import check_canary
from medshard.testing.synthetic.chest_dicom import write_chest_dicom
from medshard.testing.synthetic.chest_findings import paint_consolidation, paint_effusion, paint_nodule
from medshard.testing.synthetic.chest_report import write_report
from medshard.testing.synthetic.chest_scene import ChestScene, Habitus, expose, paint_chest
from medshard.testing.synthetic.dicom_file import named_uid
from medshard.testing.synthetic.paint import Support, box_of, stream
from medshard.testing.synthetic.raster_file import write_raster
from medshard.testing.synthetic.truth import ChestImage, ChestTruth, PaintedFinding
from medshard.testing.synthetic.voc_file import write_voc

__all__ = ["FINDING_COLUMNS", "chest_xray"]

FINDING_COLUMNS = (
    "No Finding",
    "Cardiomegaly",
    "Lung Lesion",
    "Consolidation",
    "Pneumothorax",
    "Pleural Effusion",
)
"""Label columns, named as in CheXpert; cells are 1.0, 0.0, -1.0 (uncertain) or empty (not mentioned)."""

_COLUMN_OF = {
    "Cardiomegaly": "Cardiomegaly",
    "Nodule": "Lung Lesion",
    "Consolidation": "Consolidation",
    "Pleural effusion": "Pleural Effusion",
}

# What an image shows goes round by its number, so that few cases already have every kind. The lengths of the cycles
# (10 findings, 7 containers, 9 tables below) share no factor, so all combinations come up.
_PLANS: tuple[tuple[str, ...], ...] = (
    (),
    ("Nodule",),
    ("Cardiomegaly",),
    ("Pleural effusion",),
    ("Consolidation",),
    ("Cardiomegaly", "Pleural effusion"),
    (),
    ("Nodule", "Nodule"),
    ("Pleural effusion", "Consolidation"),
    ("Cardiomegaly", "Nodule"),
)
_CONTAINERS: tuple[
    tuple[Literal["MONOCHROME1", "MONOCHROME2"], Literal["PixelSpacing", "ImagerPixelSpacing"] | None], ...
]
_CONTAINERS = (
    ("MONOCHROME2", "PixelSpacing"),
    ("MONOCHROME2", None),
    ("MONOCHROME1", "ImagerPixelSpacing"),
    ("MONOCHROME2", None),
    ("MONOCHROME2", "ImagerPixelSpacing"),
    ("MONOCHROME1", "PixelSpacing"),
    ("MONOCHROME2", None),
)
_IMAGES_PER_PATIENT = (1, 2, 3, 2)
_FIELD_MM = 430.0


def chest_xray(root: Path | str, *, seed: int = 0, cases: int = 36, canary: str | None = None) -> ChestTruth:
    """Write a small chest radiograph set.

    Args:
        root: folder to write below; made if absent.
        seed: another seed gives other pictures; what kind of finding and file an image has follows from its number.
        cases: patients, with one to three images each, two on average.
        canary: planted in the metadata of every file, and as a column ``PatientName``.

    Returns:
        The truth as painted. For cardiomegaly the box holds the heart.

    Raises:
        ValueError: a canary that does not fit.
    """
    check_canary(canary)
    base = Path(root)
    (base / "annotations").mkdir(parents=True, exist_ok=True)
    images: list[ChestImage] = []
    for patient in range(cases):
        (base / "images" / f"P{patient + 1:04d}").mkdir(parents=True, exist_ok=True)
        for visit in range(_IMAGES_PER_PATIENT[patient % len(_IMAGES_PER_PATIENT)]):
            images.append(_write_image(base, seed, patient, visit, len(images), canary))
    _write_table(base / "labels.csv", images, canary)
    return ChestTruth(root=base, labels_csv="labels.csv", images=tuple(images))


def _write_image(base: Path, seed: int, patient: int, visit: int, number: int, canary: str | None) -> ChestImage:
    """Paint and write one image. The first two images of a patient are of one study."""
    patient_id = f"P{patient + 1:04d}"
    study = 1 if visit < 2 else 2
    stem = f"{patient_id}_S{study}_{visit + 1}"
    who = stream(seed, "chest", "patient", patient)
    female = bool(who.random() < 0.5)
    age_years = 93 if patient % 12 == 5 else int(who.integers(19, 88))
    rng = stream(seed, "chest", "image", patient, visit)
    view: Literal["PA", "AP"] = "AP" if rng.random() < 0.3 else "PA"
    plan = _PLANS[number % len(_PLANS)]
    doubtful_heart = number % 9 == 3 and "Cardiomegaly" not in plan
    doubtful_haze = number % 9 == 6 and "Consolidation" not in plan
    heart_scale = 1.38 if "Cardiomegaly" in plan else 1.16 if doubtful_heart else 1.0
    build = Habitus.draw(
        stream(seed, "chest", "build", patient),
        heart_scale=heart_scale * float(rng.uniform(0.97, 1.03)),
        female=female,
        view=view,
    )
    shape_yx = (int(rng.integers(380, 470)), int(rng.integers(370, 470)))
    scene = paint_chest(rng, shape_yx, build)
    findings = _paint_findings(rng, scene, plan, haze=doubtful_haze)
    shown, marker = expose(rng, scene)

    labels = _labels(rng, plan, doubtful_heart=doubtful_heart, doubtful_haze=doubtful_haze)
    photometric, keyword = _CONTAINERS[number % len(_CONTAINERS)]
    spacing_mm = round(_FIELD_MM / shape_yx[0], 3)
    path = f"images/{patient_id}/{stem}.{'png' if keyword is None else 'dcm'}"
    annotation = None if number % 9 == 8 else f"annotations/{stem}.xml"
    image = ChestImage(
        path=path,
        annotation_path=annotation,
        patient_id=patient_id,
        study_id=f"{patient_id}_S{study}",
        split="valid" if patient % 7 == 5 else "test" if patient % 7 == 6 else "train",
        view=view,
        sex="F" if female else "M",
        age_years=age_years,
        format="png" if keyword is None else "dicom",
        photometric=photometric,
        bits=16 if keyword is None else 12,
        height_px=shape_yx[0],
        width_px=shape_yx[1],
        spacing_yx_mm=None if keyword is None else (spacing_mm, spacing_mm),
        spacing_keyword=keyword,
        labels=labels,
        findings=findings,
        report="" if number % 9 == 7 else write_report(view, labels, findings),
        marker_xyxy=marker,
        sop_instance_uid=None if keyword is None else named_uid(seed, "chest", "instance", stem),
    )
    if keyword is None:
        # 12 bits spread over 16: the four highest bits repeat as the lowest, so 4095 becomes 65535.
        write_raster(base / path, ((shown << 4) | (shown >> 8)).astype(np.uint16), canary=canary)
    else:
        write_chest_dicom(base / path, image, shown, seed=seed, day=10 * patient + study, canary=canary)
    if annotation is not None:
        write_voc(base / annotation, Path(path).name, shape_yx, findings, canary=canary)
    return image


def _paint_findings(
    rng: np.random.Generator, scene: ChestScene, plan: tuple[str, ...], *, haze: bool
) -> tuple[PaintedFinding, ...]:
    """Paint a plan. A haze is painted too, but is no finding: the table calls it uncertain."""
    taken: Support = np.zeros_like(scene.heart)
    found = []
    for name in plan:
        side: Literal["left", "right"] = "left" if rng.random() < 0.5 else "right"
        if name == "Cardiomegaly":
            found.append(PaintedFinding(name, box_of(scene.heart), int(scene.heart.sum()), "midline"))
            continue
        if name == "Nodule":
            support = paint_nodule(rng, scene, side, taken)
        elif name == "Pleural effusion":
            support = paint_effusion(rng, scene, side)
        else:
            support = paint_consolidation(rng, scene, side, taken)
        taken = taken | support
        found.append(PaintedFinding(name, box_of(support), int(support.sum()), side))
    if haze:
        paint_consolidation(rng, scene, "left" if rng.random() < 0.5 else "right", taken, strength=0.3)
    return tuple(found)


def _labels(
    rng: np.random.Generator, plan: tuple[str, ...], *, doubtful_heart: bool, doubtful_haze: bool
) -> dict[str, float | None]:
    """One row of the table: what is not there is denied, or not mentioned."""
    labels: dict[str, float | None] = {
        column: 0.0 if rng.random() < 0.6 else None for column in FINDING_COLUMNS if column != "No Finding"
    }
    if doubtful_heart:
        labels["Cardiomegaly"] = -1.0
    if doubtful_haze:
        labels["Consolidation"] = -1.0
    for name in plan:
        labels[_COLUMN_OF[name]] = 1.0
    clear = not plan and not doubtful_heart and not doubtful_haze
    return {"No Finding": 1.0 if clear else None, **labels}


def _write_table(path: Path, images: list[ChestImage], canary: str | None) -> None:
    columns = [
        "image_path",
        "patient_id",
        "study_id",
        "split",
        "view",
        "sex",
        "age",
        *FINDING_COLUMNS,
        "report",
    ]
    if canary is not None:
        columns.append("PatientName")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for image in images:
            cells = asdict(image) | {"image_path": image.path, "age": image.age_years, "PatientName": canary}
            cells |= {column: "" if value is None else f"{value:.1f}" for column, value in image.labels.items()}
            writer.writerow(cells)
