"""The native engine's typed face: checksums, codecs, and the decode-and-sample pass over batches."""

from medshard.engine.codecs import (
    MAX_PIXELS,
    PNG_LEVEL,
    STRIP_ROWS,
    Bytes,
    Header,
    Reduce,
    address_of,
    crc32c,
    decode_image,
    encode_png,
    features,
    index_jpeg,
    read_header,
)
from medshard.engine.dicom import MAX_DICOM_BYTES, DicomHeader, read_dicom_frames, read_dicom_header
from medshard.engine.jobs import BORDERS, CODECS, JOB, STEPS, BatchLayout, Patches, StepParams, displace
from medshard.engine.running import BatchCancelled, BufferRing, Engine

__all__ = [
    "BORDERS",
    "CODECS",
    "JOB",
    "MAX_DICOM_BYTES",
    "MAX_PIXELS",
    "PNG_LEVEL",
    "STEPS",
    "STRIP_ROWS",
    "BatchCancelled",
    "BatchLayout",
    "BufferRing",
    "Bytes",
    "DicomHeader",
    "Engine",
    "Header",
    "Patches",
    "Reduce",
    "StepParams",
    "address_of",
    "crc32c",
    "decode_image",
    "displace",
    "encode_png",
    "features",
    "index_jpeg",
    "read_dicom_frames",
    "read_dicom_header",
    "read_header",
]
