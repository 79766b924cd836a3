"""Where a text can hide in each written format; a privacy test plants one everywhere and looks for it downstream.

The other writers call these functions only when a canary is asked for.
"""

from __future__ import annotations

from typing import Any

from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

__all__ = [
    "MAX_CANARY_CHARACTERS",
    "check_canary",
    "exif_bytes",
    "iptc_segment",
    "plant_in_dicom",
    "plant_in_nifti_header",
    "png_text",
    "tiff_tags",
    "xmp_packet",
]

MAX_CANARY_CHARACTERS = 16
"""The shortest text fields (DICOM SH and AE, NIfTI intent_name) hold 16 characters."""

# Tag numbers from EXIF 2.32 tables 4 to 8 and TIFF 6.0: ImageDescription, Make, Model, Software, Artist, HostComputer,
# Copyright; Exif IFD with UserComment; the XPTitle of Windows.
_EXIF_TEXT = (270, 271, 272, 305, 315, 33432)
_EXIF_IFD, _USER_COMMENT, _XP_TITLE = 0x8769, 0x9286, 0x9C9B
# TIFF adds DocumentName, PageName, HostComputer, and a number of the private range.
_TIFF_TEXT = (*_EXIF_TEXT, 269, 285, 316, 65000)
_TIFF_XMP = 700


def check_canary(canary: str | None) -> None:
    """Refuse a text that would not fit every field.

    Raises:
        ValueError: it is empty, longer than 16 characters, not printable ASCII, or holds what DICOM or XML reserve.
    """
    if canary is None:
        return
    plain = canary.isascii() and canary.isprintable() and not set(canary) & set('\\<>&"=') and canary.strip() == canary
    if not (plain and 0 < len(canary) <= MAX_CANARY_CHARACTERS):
        raise ValueError(
            f"canary: found {len(canary)} characters; allowed are 1 to {MAX_CANARY_CHARACTERS} printable ASCII "
            "characters without backslash, <, >, &, =, quotes and outer blanks."
        )


def exif_bytes(canary: str) -> bytes:
    """An EXIF block, with its ``Exif`` signature."""
    exif = Image.Exif()
    for tag in _EXIF_TEXT:
        exif[tag] = canary
    exif[_XP_TITLE] = canary.encode("utf-16-le")
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"ASCII\0\0\0" + canary.encode()
    return exif.tobytes()


def xmp_packet(canary: str) -> bytes:
    """An XMP packet with a title and a creator (Dublin Core)."""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">'
        f"{canary}</rdf:li></rdf:Alt></dc:title><dc:creator><rdf:Seq><rdf:li>{canary}</rdf:li></rdf:Seq></dc:creator>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def iptc_segment(canary: str) -> bytes:
    """A JPEG APP13 segment with an IPTC by-line (record 2, data set 80)."""
    text = canary.encode()
    record = b"\x1c\x02\x50" + len(text).to_bytes(2, "big") + text
    record += b"\0" * (len(record) % 2)
    body = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def png_text(canary: str) -> PngInfo:
    """tEXt, zTXt, iTXt and XMP chunks."""
    info = PngInfo()
    info.add_text("Author", canary)
    info.add_text("Comment", canary, zip=True)
    info.add_itxt("Title", canary, "en", canary)
    info.add_itxt("XML:com.adobe.xmp", xmp_packet(canary).decode())
    return info


def tiff_tags(canary: str) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Text tags, XMP and one private tag of a TIFF directory."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in _TIFF_TEXT:
        tags.tagtype[tag] = 2
        tags[tag] = canary
    tags.tagtype[_TIFF_XMP] = 1
    tags[_TIFF_XMP] = xmp_packet(canary)
    return tags


def plant_in_dicom(dataset: Any, canary: str) -> None:
    """Fill elements of every value representation that holds free text, at the top, nested, private and in file meta.

    Args:
        dataset: a pydicom ``FileDataset`` with file meta; changed in place.
        canary: the text.

    Source: DICOM PS3.6 (elements), PS3.5 table 6.2-1 (lengths and characters), PS3.10 section 7.1 (file meta).
    """
    from pydicom.dataset import Dataset

    keywords = [
        "PatientName",
        "ReferringPhysicianName",
        "OperatorsName",
        "PerformingPhysicianName",
        "NameOfPhysiciansReadingStudy",
        "PatientID",
        "OtherPatientNames",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "StudyDescription",
        "SeriesDescription",
        "ProtocolName",
        "PatientAddress",
        "MilitaryRank",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "MedicalAlerts",
        "Occupation",
        "AccessionNumber",
        "StudyID",
        "StationName",
        "EthnicGroup",
        "PatientTelephoneNumbers",
        "InstitutionAddress",
        "DerivationDescription",
        "PatientComments",
        "ImageComments",
        "AdditionalPatientHistory",
        "StudyComments",
        "TextValue",
        "RetrieveURL",
        "StationAETitle",
    ]
    for keyword in keywords:
        setattr(dataset, keyword, canary)
    nested = Dataset()
    nested.PatientID = canary
    nested.IssuerOfPatientID = canary
    dataset.OtherPatientIDsSequence = [nested]
    request = Dataset()
    request.RequestedProcedureDescription = canary
    request.ReasonForTheRequestedProcedure = canary
    dataset.RequestAttributesSequence = [request]
    block = dataset.private_block(0x0099, canary, create=True)
    for offset, representation in enumerate(("LO", "SH", "LT", "ST", "UT", "PN", "UC")):
        block.add_new(offset + 1, representation, canary)
    padded = canary.encode() + b" " * (len(canary) % 2)
    block.add_new(0x20, "OB", padded)
    block.add_new(0x21, "UN", padded)
    dataset.DataSetTrailingPadding = padded
    dataset.preamble = canary.encode().ljust(128, b"\0")
    meta = dataset.file_meta
    meta.ImplementationVersionName = canary
    meta.SourceApplicationEntityTitle = canary
    meta.PrivateInformationCreatorUID = meta.ImplementationClassUID
    meta.PrivateInformation = padded


def plant_in_nifti_header(header: Any, canary: str) -> None:
    """Fill ``descrip``, ``aux_file``, ``db_name``, ``intent_name`` and a comment and an AFNI extension.

    Args:
        header: a nibabel ``Nifti1Header``; changed in place.
        canary: the text.

    Source: nifti1.h (field lengths; extension codes 4 AFNI, 6 comment).
    """
    from nibabel.nifti1 import Nifti1Extension

    for name in ("descrip", "aux_file", "db_name", "intent_name"):
        header[name] = canary.encode()
    for code in (6, 4):
        header.extensions.append(Nifti1Extension(code, canary.encode()))
