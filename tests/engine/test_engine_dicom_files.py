"""Native DICOM decoding against pydicom with its plug-ins, on every real file that both decode."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from medshard.engine import features, read_dicom_frames, read_dicom_header
from medshard.errors import DecodeError

OWN = Path(pydicom.__file__).parent / "data" / "test_files"
FOLDERS = ("pydicom_data", "pylibjpeg_data", "nema_wg04", "dicom_structural", "dcmqi", "dicompyler_rt")
LARGEST_BYTES = 1_600_000
LOSSY_COLOUR = 3
"""Levels by which a JPEG in colour may differ: two ways of rounding its transform and of widening its colours."""
EXTENDED = 1
"""Levels of 4096 by which a JPEG of 12 bits may differ: pylibjpeg rounds its transform otherwise than libjpeg-turbo,
which ours is equal to (test_engine_jpeg_own.py)."""

pytestmark = pytest.mark.filterwarnings("ignore")


def files_with_pixels(folder: Path) -> Iterator[tuple[Path, bytes, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size < LARGEST_BYTES and path.suffix not in (".zst", ".yaml", ".json"):
            data = path.read_bytes()
            try:
                dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            except Exception:  # noqa: BLE001 - pydicom raises many types
                continue
            if "PixelData" in dataset and getattr(dataset, "file_meta", {}).get("TransferSyntaxUID"):
                yield path, data, dataset


def compare(folder: Path) -> Counter[str]:
    """Codings of the files whose pixels are equal."""
    equal: Counter[str] = Counter()
    for path, data, dataset in files_with_pixels(folder):
        try:
            native = read_dicom_frames(data)
        except DecodeError:
            continue
        try:
            theirs = pixel_array(dataset)
        except Exception:  # noqa: BLE001 - as above
            continue
        assert native.dtype == theirs.dtype.newbyteorder("="), path.name
        syntax = dataset.file_meta.TransferSyntaxUID
        tolerance = EXTENDED if syntax == JPEGExtended12Bit and dataset.BitsAllocated == 16 else 0
        if dataset.SamplesPerPixel == 3 and syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
            tolerance = LOSSY_COLOUR
        theirs = theirs.reshape(native.shape)
        np.testing.assert_allclose(native.astype(int), theirs.astype(int), rtol=0, atol=tolerance, err_msg=path.name)
        header = read_dicom_header(data)
        assert (header.rows, header.columns, header.samples) == (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
        assert (header.bits_allocated, header.bits_stored) == (dataset.BitsAllocated, dataset.BitsStored)
        assert header.frames == int(dataset.get("NumberOfFrames", None) or 1)
        equal[header.coding] += 1
    return equal


def test_pydicoms_own_files() -> None:
    equal = compare(OWN)
    assert equal["native"] >= 45
    assert equal["rle"] >= 5
    assert equal["jpeg"] >= 5
    assert equal["jpeg-lossless"] >= 1
    if features()["dicom"]["jpeg-2000"]:
        assert equal["jpeg-2000"] >= 5


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_of_the_reference_sets(shared: Path, folder: str) -> None:
    equal = compare(shared / "data" / folder)
    least = {"pydicom_data": 30, "pylibjpeg_data": 6, "nema_wg04": 30, "dicom_structural": 30, "dcmqi": 1}
    assert sum(equal.values()) >= least.get(folder, 1), equal
    if folder == "pydicom_data" and features()["dicom"]["htj2k"]:
        assert equal["htj2k"] >= 1


WG04_TOLERANCE = {"J2KR": 0, "JPLL": 0, "JLSL": 0, "RLE": 0, "JLSN": 4}
"""Per coding: near-lossless JPEG-LS of these files was written with an error of up to 4."""


@pytest.mark.parametrize("coding", WG04_TOLERANCE)
def test_nema_files_against_their_uncompressed_reference(shared: Path, coding: str) -> None:
    folder = shared / "data" / "nema_wg04" / "WG04"
    compared = 0
    for path in sorted((folder / coding).iterdir()):
        packed = (folder / "REF" / f"{path.name.split('_')[0]}_UNC.zst").read_bytes()
        reference = pa.input_stream(pa.BufferReader(packed), compression="zstd").read()
        try:
            got = read_dicom_frames(path.read_bytes())
        except DecodeError:
            # Where a library is not built in, or refuses one stream (CharLS 2.4.1: MR1_JLSL), the plug-in decodes.
            assert coding in ("J2KR", "JLSL", "JLSN"), path.name
            continue
        wanted = read_dicom_frames(reference)
        assert np.abs(got.astype(int) - wanted.astype(int)).max() <= WG04_TOLERANCE[coding], path.name
        compared += 1
    assert compared >= 5 or coding in ("J2KR", "JLSL", "JLSN")


def test_nemas_twelve_bit_jpegs_are_near_their_uncompressed_reference(shared: Path) -> None:
    """Five lossy files that pylibjpeg refuses: their scans are said to end with coefficient 0."""
    folder = shared / "data" / "nema_wg04" / "WG04"
    least_db = {"MR1": 48, "MR3": 46, "MR4": 54, "NM1": 37, "XA1": 42}
    for path in sorted((folder / "JPLY").glob("*_JPLY")):
        name = path.name.split("_")[0]
        packed = (folder / "REF" / f"{name}_UNC.zst").read_bytes()
        wanted = read_dicom_frames(pa.input_stream(pa.BufferReader(packed), compression="zstd").read()).astype(float)
        error = np.square(read_dicom_frames(path.read_bytes()) - wanted).mean()
        assert 20 * np.log10(wanted.max() / np.sqrt(error)) >= least_db.pop(name), name
    assert not least_db
