"""The Siemens CSA header: a private table of named values (layout as nibabel's documentation of it describes)."""

from __future__ import annotations

import struct
from typing import Any

from medshard.errors import ReadError

__all__ = ["csa_image_header", "read_csa"]

_MAX_ENTRIES = 1000
_ENTRY = struct.Struct("<64si4s3i")
_ITEM = struct.Struct("<4i")


def csa_image_header(dataset: Any) -> dict[str, list[str]] | None:
    """The image header (0029,xx10) of a file; None when it has none."""
    try:
        value = dataset.private_block(0x0029, "SIEMENS CSA HEADER")[0x10].value
    except Exception:  # noqa: BLE001 - pydicom raises many types for damaged elements
        return None
    return read_csa(value) if isinstance(value, bytes) and value else None


def read_csa(data: bytes) -> dict[str, list[str]]:
    """Name → values as text, empty ones left out.

    Raises:
        ReadError: the table is damaged.
    """
    try:
        return _read(data)
    except (struct.error, IndexError) as error:
        raise ReadError("the CSA header is damaged", error_class="damaged_dicom") from error


def _read(data: bytes) -> dict[str, list[str]]:
    second = data[:4] == b"SV10"
    offset = 8 if second else 0
    (entries,) = struct.unpack_from("<I", data, offset)
    if not 0 < entries <= _MAX_ENTRIES:
        raise ReadError("the CSA header is damaged", error_class="damaged_dicom")
    offset += 8
    found: dict[str, list[str]] = {}
    first_items = 0
    for number in range(entries):
        name, _, _, _, items, _ = _ENTRY.unpack_from(data, offset)
        offset += _ENTRY.size
        if not 0 <= items <= _MAX_ENTRIES:
            raise ReadError("the CSA header is damaged", error_class="damaged_dicom")
        first_items = items if number == 0 else first_items
        values = []
        for _ in range(items):
            lengths = _ITEM.unpack_from(data, offset)
            offset += _ITEM.size
            # The first version writes lengths that are larger by the number of the first entry's items.
            length = lengths[1] if second else lengths[0] - first_items
            if length < 0 or offset + length > len(data):
                if second:
                    raise ReadError("the CSA header is damaged", error_class="damaged_dicom")
                break
            text = data[offset : offset + length].split(b"\0", 1)[0].decode("latin-1").strip()
            offset += (length + 3) // 4 * 4
            if text:
                values.append(text)
        found[name.split(b"\0", 1)[0].decode("latin-1")] = values
    return found
