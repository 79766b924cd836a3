"""pydicom's regression files: one sample per file whose `pixel_array` works, without force; key: the file.

Pixels are `Dataset.pixel_array` (pydicom turns YBR_FULL into RGB; palette indices stay), big-endian data as
little-endian. Nothing that names a person is read into a sample.
"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from .expected import Expected, ExpectedSample, Pixels, label

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
ERRORS = (AttributeError, RuntimeError, ValueError, NotImplementedError, OSError, KeyError, TypeError)


def expected(root: Path) -> Expected:
    samples, refused, left_out = {}, {}, Counter()
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "PROVENANCE.yaml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in files:
            key = path.relative_to(root).as_posix()
            try:
                data = pydicom.dcmread(path)
            except InvalidDicomError:
                refused[key] = "no_dicom_preamble"
                continue
            if not any(name in data for name in PIXELS):
                refused[key] = "no_pixel_data"
                continue
            try:
                array = data.pixel_array
            except ERRORS as error:
                refused[key] = f"undecodable: {type(error).__name__}"
                continue
            sample = samples[key] = ExpectedSample(pixels=Pixels.of(array))
            sample.labels["modality"] = label(data.get("Modality"))
            sample.labels["photometric"] = label(data.get("PhotometricInterpretation"))
            sample.labels["frames"] = label(str(data.get("NumberOfFrames", 1)))
            sample.labels["transfer_syntax"] = label(str(data.file_meta.get("TransferSyntaxUID", "")))
    left_out.update(reason.partition(":")[0] for reason in refused.values())
    return Expected(samples, {"files": len(files), "readable": len(samples)}, dict(left_out), refused)
