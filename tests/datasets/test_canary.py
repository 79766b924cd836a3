"""A name planted in every metadata field of every format must not be in any byte of the corpus."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from corpora import Silent, everything_of
from PIL import Image

from medshard.convert.corpus import finalize
from medshard.convert.dataset import build_dataset
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.spec.load import load_spec_file
from medshard.testing.synthetic import canary as planting

CANARY = "ZyxQuvPatient"
ABOUT = """about: {title: A set with a name in it, modality: ct, anatomy: chest}
licence: {id: CC0-1.0, access: open, evidence: seen}
"""

SPECS = {
    "pictures": """
sources:
  images: {files: "images/{id}.{_:png|jpg|tif|bmp}"}
  labels: {csv: labels.csv}
samples: {from: images, join: {labels: {using: [id], need: one}}, patient: person, split: none}
media:
  image: {from: images, kind: image}
facts:
  finding: {kind: class, value: label, covers: all, map: {yes: pneumonia, no: no_abnormality}, by: expert}
""",
    "voc": """
sources:
  images: {files: "images/{id}.jpg"}
  objects:
    xml: "xml/{id}.xml"
    rows: object
    columns: {label: name, x0: bndbox/xmin, y0: bndbox/ymin, x1: bndbox/xmax, y1: bndbox/ymax}
samples: {from: images, join: {objects: {using: [id], need: any}}, patient: unknown, split: none}
media:
  image: {from: images, kind: image}
facts:
  place: {kind: boxes, of: objects, value: label, corners: ["x0::int", "y0::int", "x1::int", "y1::int"],
          frame: pixel_xy, origin: 1, inclusive: "yes", covers: all, map: {Nodule: nodule}, by: expert}
""",
    "coco": """
sources:
  images: {files: "{file_name}.png", derive: {file_name: "file_name || '.png'"}}
  boxes: {coco: instances.json, rows: annotations}
samples:
  from: images
  join: {boxes: {using: [file_name], need: any}}
  key: file_name
  patient: unknown
  split: none
media:
  image: {from: images, kind: image}
facts:
  place: {kind: boxes, of: boxes, value: category,
          corner_size: ["bbox_x::double", "bbox_y::double", "bbox_w::double", "bbox_h::double"],
          frame: pixel_xy, origin: 0, inclusive: "no", covers: all, map: {nodule: nodule}, by: expert}
""",
    "dicom": """
sources:
  objects: {dicom: "{id}.dcm"}
samples: {from: objects, patient: PatientID, study: StudyInstanceUID, split: none}
media:
  image: {from: objects, kind: image}
""",
    "series": """
sources:
  slices: {dicom: "{_}.dcm"}
samples:
  from: slices
  group: [SeriesInstanceUID]
  key: remap_uid(min(SeriesInstanceUID))
  patient: PatientID
  split: none
media:
  ct: {from: slices, kind: volume}
""".replace("  study: StudyID_or_none\n", ""),
    "nifti": """
sources:
  volumes: {files: "{id}_image.{_:nii|nii.gz}"}
  masks: {files: "{id}_mask.{_:nii|nii.gz}"}
samples: {from: volumes, patient: unknown, split: none}
media:
  image: {from: volumes, kind: volume, units: arbitrary}
  mask: {from: masks, using: [id], kind: mask, like: image, no_file: not_annotated}
facts:
  structure: {kind: mask_classes, of: mask, covers: all, map: {1: lung}, by: expert}
""",
    "texts": """
sources:
  qa: {json: "qa.json", rows: "$[*]"}
samples: {from: qa, key: number, patient: person, split: none}
facts:
  qa: {kind: qa, question: question, answer: answer, language: en, by: expert}
""",
    "reports": """
sources:
  reports: {xml: "reports.tgz!/{id}.xml", columns: {findings: Text, person: "/@patient"}}
samples: {from: reports, patient: person, split: none}
facts:
  findings: {kind: text, section: findings, value: findings, language: en, no_value: missing, by: expert}
""",
}


def forms(word: str) -> list[bytes]:
    """The spellings that are looked for, in lower case."""
    return [word.lower().encode(code) for code in ("ascii", "utf-16-le", "utf-16-be")]


def holds(data: bytes) -> bool:
    lower = data.lower()
    return any(form in lower for form in forms(CANARY))


def write_picture(path: Path, *, seed: int) -> None:
    """Random pixels, and the name in every field that Pillow can write, in the colour profile, and behind the end."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), np.uint8)
    kind = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "bmp": "BMP"}[path.suffix[1:]]
    profile = b"profile of " + CANARY.encode()
    options: dict[str, Any] = {}
    if kind == "PNG":
        options = {
            "pnginfo": planting.png_text(CANARY),
            "exif": planting.exif_bytes(CANARY),
            "icc_profile": profile,
        }
    elif kind == "JPEG":
        options = {"exif": planting.exif_bytes(CANARY), "comment": CANARY.encode(), "icc_profile": profile}
        options |= {"xmp": planting.xmp_packet(CANARY), "extra": planting.iptc_segment(CANARY), "quality": 90}
    elif kind == "TIFF":
        options = {"tiffinfo": planting.tiff_tags(CANARY), "icc_profile": profile}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    path.write_bytes(buffer.getvalue() + CANARY.encode())


def write_dicom(source: Path, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(source)
        planting.plant_in_dicom(data, CANARY)
        data.save_as(target)


def write_nifti(path: Path, values: np.ndarray) -> None:
    image = nib.Nifti1Image(values, np.diag([-1.5, -1.5, 2.0, 1.0]))
    planting.plant_in_nifti_header(image.header, CANARY)
    raw = image.to_bytes()
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename=CANARY, mode="wb", fileobj=buffer) as packed:
            packed.write(raw)
        raw = buffer.getvalue()
    path.write_bytes(raw)


def cut(path: Path, name: str) -> None:
    """A copy that ends too early, with the name still in its head."""
    data = path.read_bytes()
    path.with_name(name).write_bytes(data[: len(data) * 7 // 10])


def plant_pictures(data: Path) -> None:
    (data / "images").mkdir(parents=True)
    names = ["a.png", "b.jpg", "c.tif", "d.bmp"]
    for seed, name in enumerate(names):
        write_picture(data / "images" / name, seed=seed)
        if not name.endswith("bmp"):  # a BMP has no place for the name but its end
            cut(data / "images" / name, f"cut{name}")
    rows = [f'id,label,person,reader,"{CANARY} said"']
    stems = [Path(name).stem for name in (*names, *(f"cut{name}" for name in names))]
    rows += [
        f"{stem},{'yes' if place % 2 else 'no'},{CANARY}{place},{CANARY},{CANARY}" for place, stem in enumerate(stems)
    ]
    (data / "labels.csv").write_text("\n".join([*rows, f"# {CANARY}", ""]))


def plant_voc(data: Path) -> None:
    (data / "images").mkdir(parents=True)
    (data / "xml").mkdir()
    write_picture(data / "images/p.jpg", seed=7)
    (data / "xml/p.xml").write_text(
        f"<?xml version='1.0'?><!-- {CANARY} --><annotation verified='{CANARY}'><folder>images</folder>"
        f"<filename>p.jpg</filename><path>/home/{CANARY}/p.jpg</path><source><annotation>{CANARY}</annotation></source>"
        f"<owner><name>{CANARY}</name></owner><object><name>Nodule</name><pose>{CANARY}</pose>"
        "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>"
    )


def plant_coco(data: Path) -> None:
    data.mkdir(parents=True)
    write_picture(data / "one.png", seed=8)
    tree = {
        "info": {"contributor": CANARY, "description": CANARY},
        "licenses": [{"name": CANARY, "url": f"https://example.org/{CANARY}"}],
        "images": [{"id": 1, "file_name": "one.png", "width": 56, "height": 40, "coco_url": CANARY, "owner": CANARY}],
        "categories": [{"id": 3, "name": "nodule", "supercategory": CANARY}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 3, "bbox": [2, 3, 10, 12.5], "annotator": CANARY}],
    }
    (data / "instances.json").write_text(json.dumps(tree))


def plant_dicom(data: Path, shared: Path) -> None:
    data.mkdir(parents=True)
    files = shared / "data/pydicom_tests/test_files"
    for name in ("693_J2KI", "MR_small_RLE", "JPEG2000", "SC_rgb_small_odd_jpeg", "MR_small_implicit"):
        write_dicom(files / f"{name}.dcm", data / f"{name}.dcm")
    cut(data / "MR_small_implicit.dcm", "cut.dcm")


def plant_series(data: Path, shared: Path) -> None:
    data.mkdir(parents=True)
    for path in sorted((shared / "data/dcmqi/data/segmentations/24x38x3/image").glob("*.dcm")):
        write_dicom(path, data / path.name)


def plant_nifti(data: Path) -> None:
    data.mkdir(parents=True)
    random = np.random.default_rng(3)
    for stem, end in (("v", "nii.gz"), ("w", "nii")):
        write_nifti(data / f"{stem}_image.{end}", random.integers(-100, 900, (11, 12, 13), np.int16))
        write_nifti(data / f"{stem}_mask.{end}", (random.random((11, 12, 13)) > 0.5).astype(np.uint8))
    cut(data / "v_image.nii.gz", "cut_image.nii.gz")
    cut(data / "w_image.nii", "short_image.nii")


def plant_texts(data: Path) -> None:
    data.mkdir(parents=True)
    row = {"number": "n1", "question": "Is it?", "answer": "yes", "person": CANARY, "annotator": {"name": CANARY}}
    (data / "qa.json").write_text(json.dumps([row, {**row, "number": "n2", CANARY: "a key"}]))


def plant_reports(data: Path) -> None:
    data.mkdir(parents=True)
    text = (
        f"<?xml version='1.0'?><Report patient='{CANARY}'><Author>{CANARY}</Author><Text>Clear lungs.</Text></Report>"
    )
    entry = tarfile.TarInfo("r1.xml")
    entry.size, entry.uname, entry.gname = len(text), CANARY, CANARY
    entry.pax_headers = {"comment": CANARY}
    with (
        (data / "reports.tgz").open("wb") as handle,
        gzip.GzipFile(filename=CANARY, mode="wb", fileobj=handle) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.addfile(entry, io.BytesIO(text.encode()))


@pytest.fixture(scope="module")
def planted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of the data and of the corpus."""
    data, corpus = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("corpus")
    for plant in (plant_pictures, plant_voc, plant_coco, plant_nifti, plant_texts, plant_reports):
        plant(data / plant.__name__.removeprefix("plant_"))
    plant_dicom(data / "dicom", shared)
    plant_series(data / "series", shared)
    builds = []
    for name, body in SPECS.items():
        spec = data / f"canary-{name}.yaml"
        spec.write_text(f"spec: 1\nname: canary-{name}\n{ABOUT}{body.strip()}\n")
        (loaded,) = load_spec_file(spec)
        builds.append(build_dataset(loaded, data / name, corpus, BuildOptions(workers=1, partial=True), Silent()))
    finalize(corpus, builds)
    return data, corpus


@pytest.fixture(scope="module")
def opened(planted: tuple[Path, Path]) -> Corpus:
    return open_corpus(planted[1])


def test_the_name_is_in_every_file_of_the_data(planted: tuple[Path, Path], tmp_path: Path) -> None:
    """So the search below finds it in each format."""
    data, _ = planted
    for number, path in enumerate(sorted(p for name in SPECS for p in (data / name).rglob("*") if p.is_file())):
        alone = tmp_path / str(number)
        alone.mkdir()
        shutil.copyfile(path, alone / f"file{path.suffix}")
        assert holds(everything_of(alone)), path


def test_every_file_was_read_or_refused(opened: Corpus) -> None:
    per_set: dict[str, int] = {}
    for sample in opened:
        per_set[sample.record.dataset] = per_set.get(sample.record.dataset, 0) + 1
    assert per_set == {
        "canary-pictures": 4,
        "canary-voc": 1,
        "canary-coco": 1,
        "canary-dicom": 5,
        "canary-series": 1,
        "canary-nifti": 2,
        "canary-texts": 2,
        "canary-reports": 1,
    }


def test_the_name_is_in_no_byte_of_the_corpus(planted: tuple[Path, Path]) -> None:
    _, corpus = planted
    found = []
    for path in sorted(p for p in corpus.rglob("*") if p.is_file()):
        alone = path.read_bytes()
        if holds(alone):
            found.append(path.relative_to(corpus).as_posix())
    assert found == []
    assert not holds(everything_of(corpus))


def test_damaged_files_are_refused_without_a_word_of_theirs(planted: tuple[Path, Path]) -> None:
    _, corpus = planted
    lines = pq.read_table(corpus / "quarantine.parquet").to_pylist()
    refused = {Path(line["file"]).name for line in lines if line["stage"] == "read"}
    assert {"cutb.jpg", "cut.dcm", "cut_image.nii.gz", "short_image.nii"} <= refused
    assert not any(holds(json.dumps(line).encode()) for line in lines)


def test_pictures_and_boxes_came_through(opened: Corpus) -> None:
    """What is dropped is metadata: the pixels, the groups and the places are there."""
    for sample in opened:
        for medium in sample.record.media:
            assert medium.present
            assert sample.array(medium.slot).size
    assert opened.sample("canary-pictures-a").record.group is not None
    groups = {sample.record.group for sample in opened if sample.record.dataset == "canary-pictures"}
    assert len(groups) == 4
