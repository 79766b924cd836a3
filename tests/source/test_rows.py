"""Each kind of source: rows of text, row numbers, and what cannot be a row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from medshard.errors import PlanError
from medshard.source.base import SourceTable
from medshard.source.read import read_sources
from medshard.source.root import DataRoot
from medshard.spec.load import load_spec_text

FRAME = """\
spec: 1
name: t
about: {{title: T, modality: ct}}
licence: {{id: MIT, evidence: page}}
sources:
  s: {source}
samples: {{from: s, patient: unknown, split: train}}
"""


def read(root: Path, source: str) -> SourceTable:
    (loaded,) = load_spec_text(FRAME.format(source=source))
    tables, _ = read_sources(loaded, DataRoot(root))
    return tables["s"]


def rows(table: SourceTable) -> list[dict[str, object]]:
    visible = [name for name in table.table.column_names if not name.startswith("_")]
    return table.table.select(visible).to_pylist()


def test_csv_cells_are_text_with_newlines_quotes_and_blanks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfid,note,x\r\n007,"two\nlines, ""q""",1e5\r\n\r\nNA, ,\r\n')
    table = read(tmp_path, "{csv: a.csv}")
    assert rows(table) == [{"id": "007", "note": 'two\nlines, "q"', "x": "1e5"}, {"id": "NA", "note": " ", "x": ""}]
    assert table.table["_row"].to_pylist() == [1, 2]


def test_csv_without_header_other_delimiter_and_captures(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a;1\nb;2\n")
    (tmp_path / "val.txt").write_text("c;3\n")
    table = read(tmp_path, '{csv: "{split:train|val}.txt", delimiter: ";", columns: [id, n]}')
    assert rows(table) == [
        {"split": "train", "id": "a", "n": "1"},
        {"split": "train", "id": "b", "n": "2"},
        {"split": "val", "id": "c", "n": "3"},
    ]
    assert table.table["_file"].to_pylist() == ["train.txt", "train.txt", "val.txt"]


def test_ragged_rows_are_left_out_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3\n4,5,6\n7,8\n")
    table = read(tmp_path, "{csv: a.csv}")
    assert [row["a"] for row in rows(table)] == ["1", "7"]
    assert [(entry.row, entry.error_class) for entry in table.left_out] == [(2, "ragged_row"), (3, "ragged_row")]


def test_an_encoding_that_does_not_fit_leaves_the_file_out_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("t\n38°\n".encode("latin-1"))
    table = read(tmp_path, "{csv: a.csv}")
    assert len(table.table) == 0
    assert table.left_out[0].error_class == "encoding"
    assert "latin-1" in table.left_out[0].message
    assert rows(read(tmp_path, "{csv: a.csv, encoding: latin-1}")) == [{"t": "38°"}]


def test_tsv_does_not_quote_and_gz_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b'id\ttext\n1\ta "b\n'))
    assert rows(read(tmp_path, "{tsv: a.tsv.gz}")) == [{"id": "1", "text": 'a "b'}]


def test_a_header_that_names_a_column_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,a\n1,2\n")
    assert "twice" in read(tmp_path, "{csv: a.csv}").left_out[0].message


def test_json_numbers_stay_as_written_and_rows_are_selected(tmp_path: Path) -> None:
    document = '{"d": [{"id": 007e0, "a": 1.50, "b": true, "c": null, "l": [1, "x"]}]}'.replace("007e0", "7")
    (tmp_path / "a.json").write_text(document)
    assert rows(read(tmp_path, '{json: a.json, rows: "$.d[*]"}')) == [
        {"id": "7", "a": "1.50", "b": "true", "c": None, "l": '[1, "x"]'}
    ]


def test_json_members_by_name_and_scalar_rows(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"p1": {"q": "x"}, "p2": {"q": "y"}}')
    assert rows(read(tmp_path, '{json: a.json, rows: "$.{id}"}')) == [{"q": "x", "id": "p1"}, {"q": "y", "id": "p2"}]
    (tmp_path / "b.json").write_text('{"p1": "yes"}')
    assert rows(read(tmp_path, '{json: b.json, rows: "$.{id}"}')) == [{"value": "yes", "id": "p1"}]


def test_json_and_jsonl_that_are_none_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{nope")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "b.jsonl").write_text('{"a": 1}\n\n{"a": 2, "b": 3}\n')
    assert read(tmp_path, "{json: a.json}").left_out[0].error_class == "json"
    assert read(tmp_path, "{json: deep.json}").left_out[0].error_class == "json"
    assert rows(read(tmp_path, "{jsonl: b.jsonl}")) == [{"a": "1", "b": None}, {"a": "2", "b": "3"}]


VOC = (
    "<a><size><width>640</width></size><object><name>WBC</name><b><x>1</x></b></object>"
    "<object n='2'><name>RBC</name></object></a>"
)


def test_xml_rows_columns_attributes_and_root_paths(tmp_path: Path) -> None:
    (tmp_path / "i.xml").write_text(VOC)
    source = '{xml: "{id}.xml", rows: object, columns: {label: name, x: b/x, n: "@n", width: /size/width}}'
    assert rows(read(tmp_path, source)) == [
        {"id": "i", "label": "WBC", "x": "1", "n": None, "width": "640"},
        {"id": "i", "label": "RBC", "x": None, "n": "2", "width": "640"},
    ]
    one = read(tmp_path, '{xml: "{id}.xml", columns: {names: {all: object/name}}}')
    assert rows(one) == [{"id": "i", "names": '["WBC", "RBC"]'}]


def test_xml_that_matches_more_than_once_or_declares_entities_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "i.xml").write_text(VOC)
    (tmp_path / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>')
    table = read(tmp_path, '{xml: "{id}.xml", columns: {name: object/name}}')
    assert {entry.file: entry.error_class for entry in table.left_out} == {"i.xml": "xml", "bomb.xml": "xml"}
    assert "{all: object/name}" in "".join(entry.message for entry in table.left_out)


def test_coco_images_and_annotations(tmp_path: Path) -> None:
    coco = {
        "images": [{"id": 3, "file_name": "a.jpg", "width": 10, "height": 8}, {"id": 4, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "rbc"}],
        "annotations": [
            {"id": 9, "image_id": 3, "category_id": 1, "bbox": [1, 2.5, 3, 4], "iscrowd": 0, "segmentation": []}
        ],
    }
    (tmp_path / "c.json").write_text(json.dumps(coco))
    images = rows(read(tmp_path, "{coco: c.json, rows: images}"))
    assert [(row["image_id"], row["file_name"]) for row in images] == [("3", "a.jpg"), ("4", "b.jpg")]
    (box,) = rows(read(tmp_path, "{coco: c.json, rows: annotations}"))
    assert (box["category"], box["file_name"], box["bbox_y"], box["bbox_w"]) == ("rbc", "a.jpg", "2.5", "3")


def test_xlsx_sheet_header_row_and_cells(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Data")
    for line in (["title"], ["id", "grade", None], [1, 2.5, "x"], [None, None, None], ["007", True, None]):
        sheet.append(line)
    book.save(tmp_path / "a.xlsx")
    table = read(tmp_path, "{xlsx: a.xlsx, sheet: Data, header_row: 2}")
    assert rows(table) == [
        {"id": "1", "grade": "2.5", "column_3": "x"},
        {"id": "007", "grade": "true", "column_3": None},
    ]
    assert "sheets: Sheet, Data" in read(tmp_path, "{xlsx: a.xlsx, sheet: Dta}").left_out[0].message


def test_files_have_name_stem_and_size_and_constants(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.nii.gz").write_bytes(b"123")
    source = '{files: [{pattern: "{folder}/{id}.nii.gz", set: {split: test}}]}'
    assert rows(read(tmp_path, source)) == [
        {"folder": "p", "id": "a", "path": "p/a.nii.gz", "size": 3, "split": "test", "name": "a.nii.gz", "stem": "a"}
    ]


def test_exclude_first_of_and_doubles(tmp_path: Path) -> None:
    for name in ("1.png", "1_mask.png"):
        (tmp_path / name).write_bytes(b"")
    one = read(tmp_path, '{files: {pattern: "{id}.png", exclude: ["*_mask.png"]}}')
    assert [row["id"] for row in rows(one)] == ["1"]
    assert len(rows(read(tmp_path, '{files: {first_of: ["z/{id}.png", "{id:\\\\d}.png"]}}'))) == 1
    with pytest.raises(PlanError, match="keep one packaging"):
        read(tmp_path, '{files: {first_of: ["{id}.png", "{id:\\\\d}.png"]}}')
    with pytest.raises(PlanError, match="two patterns of one source"):
        read(tmp_path, '{files: ["{id}.png", "{id:\\\\d}.png"]}')


def test_a_column_that_contradicts_its_capture_leaves_the_row_out(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,split\n1,train\n2,test\n")
    table = read(tmp_path, '{csv: "{split}.csv"}')
    assert [row["id"] for row in rows(table)] == ["1"]
    assert table.left_out[0].error_class == "contradiction"


def test_a_source_without_files_is_a_warning(tmp_path: Path) -> None:
    (loaded,) = load_spec_text(FRAME.format(source='{files: "{id}.png"}'))
    _, warnings = read_sources(loaded, DataRoot(tmp_path))
    assert [(problem.code, problem.severity) for problem in warnings] == [("no-files", "warning")]
