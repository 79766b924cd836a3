"""What a segment shows, as a name made of codes: numbers and labels differ between files, codes do not."""

from __future__ import annotations

from typing import Any

from medshard.errors import ReadError
from medshard.readers.dicom.headers import attribute

__all__ = ["BACKGROUND", "segment_name"]

BACKGROUND = "DCM:125040"
"""The code of what lies outside all segments (PS3.16 CID 7150 has it for label maps)."""

_LONGEST = 64  # a code value is SH, 16 characters; long and URN code values are used for none of these concepts


def segment_name(segment: Any) -> str:
    """The coded type of an item of the Segment Sequence (PS3.3 C.8.20.4 and Table 10.7.1).

    Returns:
        ``TYPE``, ``TYPE+MODIFIER``, and `` in REGION`` or `` in REGION+MODIFIER`` where an anatomic region is stated;
        each is ``SCHEME:VALUE``, such as ``SCT:64033007+SCT:7771000`` for a left kidney.

    Raises:
        ReadError: the type is missing, or a code is not complete.
    """
    name = _with_modifiers(segment, "SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence")
    if name is None:
        number = attribute(segment, "SegmentNumber")
        raise ReadError(f"segment {number} has no SegmentedPropertyTypeCodeSequence", error_class="no_segment_type")
    region = _with_modifiers(segment, "AnatomicRegionSequence", "AnatomicRegionModifierSequence")
    return f"{name} in {region}" if region is not None else name


def _with_modifiers(holder: Any, keyword: str, modifiers: str) -> str | None:
    items = attribute(holder, keyword)
    if items is None or not len(items):
        return None
    # The type's modifiers stand inside its item (PS3.3 C.8.20.4); some writers put them beside it.
    further = attribute(items[0], modifiers) or attribute(holder, modifiers) or ()
    return "+".join([_code(items[0], keyword), *sorted(_code(item, modifiers) for item in further)])


def _code(item: Any, keyword: str) -> str:
    scheme, value = attribute(item, "CodingSchemeDesignator"), attribute(item, "CodeValue")
    if scheme is None or value is None:
        raise ReadError(f"{keyword} holds a code without scheme or value", error_class="no_segment_type")
    name = f"{str(scheme).strip()}:{str(value).strip()}"
    if len(name) > _LONGEST or not name.isprintable():
        raise ReadError(f"{keyword} holds a code that is no short text", error_class="no_segment_type")
    return name
