"""pillow_broken and pydicom_tests as sources: every file is a sample or is refused by name; none is lost or hangs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from corpora import Built, build_corpus, everything_of
from oracles import pillow_broken, pydicom_tests
from oracles.expected import Expected
from PIL import Image, ImageOps
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

pytestmark = pytest.mark.timeout(180)

PICTURES = """
spec: 1
name: odd-pictures
about: {title: Malformed and unusual pictures, modality: photograph}
licence: {id: MIT-CMU, access: open, evidence: page}
sources:
  pictures: {files: "images/**"}
samples: {from: pictures, key: path, patient: unknown, split: none}
media:
  image: {from: pictures, kind: image}
"""

OBJECTS = """
spec: 1
name: odd-dicom
about: {title: Malformed and unusual DICOM files, modality: secondary_capture}
licence: {id: MIT, access: open, evidence: page}
sources:
  objects: {dicom: ["test_files/**", "charset_files/**"]}
samples: {from: objects, key: path, patient: unknown, split: none}
media:
  image: {from: objects, kind: KIND}
"""

DEEP_COLOUR = (
    "tiff_16bit_RGB.tiff",
    "tiff_strip_cmyk_16l_jpeg.tif",
    "tiff_16bit_RGBa.tiff",
    "tiff_strip_planar_16bit_RGB.tiff",
    "tiff_strip_planar_16bit_RGBa.tiff",
    "tiff_tiled_planar_16bit_RGB.tiff",
    "tiff_tiled_planar_16bit_RGBa.tiff",
)
"""16 bits a channel, which Pillow reduces to 8."""


def build_text(text: str, data: Path, folder: Path) -> Built:
    spec = folder / "spec.yaml"
    spec.write_text(text)
    return build_corpus(spec, data, folder / "corpus")


def nothing_is_lost(made: Built, files: set[str]) -> None:
    """Files that are there = files that became samples + files with a reason, and no file is both."""
    read = {file for file in made.by_file if not file.startswith("spec:")}
    reason = {line["file"]: line for line in made.quarantine}
    assert len(reason) == len(made.quarantine), "a file is refused twice"
    assert not read & set(reason)
    assert read | set(reason) == files
    assert all(line["message"] and line["error_class"] not in ("", "defect") for line in made.quarantine)
    assert made.build.account["samples"] == len(made.corpus) == len(read)


def files_below(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.name != "PROVENANCE.yaml"}


# -- pictures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Expected]:
    data = shared / "data/pillow_broken"
    made = build_text(PICTURES, data, tmp_path_factory.mktemp("pictures"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)  # Pillow's own bound, which the oracle counts on
        return made, pillow_broken.expected(data)


def as_seen(path: Path) -> np.ndarray:
    """The first frame upright, grey or in colour, without an alpha channel that hides nothing; by Pillow alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            opened.load()
            # Pillow turns TIFF by itself.
            picture = opened if opened.format == "TIFF" else ImageOps.exif_transpose(opened)
            if picture.mode == "1":
                return np.asarray(picture).astype(np.uint8) * 255
            if picture.mode == "P":
                picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
            elif picture.mode in ("LA", "PA"):
                picture = picture.convert("RGBA")
            elif picture.mode == "CMYK":
                picture = picture.convert("RGB")
            pixels = np.asarray(picture)
    if pixels.ndim == 3 and pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    return pixels


def test_no_picture_is_lost(pictures: tuple[Built, Expected]) -> None:
    made, _ = pictures
    nothing_is_lost(made, files_below(made.data))


def test_no_picture_is_read_that_cannot_be(pictures: tuple[Built, Expected]) -> None:
    made, expected = pictures
    assert {line["file"] for line in made.quarantine} >= set(expected.refused)


def test_pictures_that_pillow_reads_are_refused_only_for_a_known_reason(pictures: tuple[Built, Expected]) -> None:
    made, expected = pictures
    for line in made.quarantine:
        if line["file"] not in expected.samples or Path(line["file"]).name in DEEP_COLOUR:
            continue
        labels = expected.samples[line["file"]].labels
        kind, frames = labels["format"].raw, int(labels["frames"].raw)
        if kind in ("TIFF", "PNG", "GIF", "WEBP") and frames > 1:
            assert line["error_class"] == "several_frames"
        else:  # Pillow fills in what these two streams lack
            assert (kind, line["error_class"]) == ("JPEG", "truncated"), line["file"]
            assert Path(line["file"]).name in ("photoshop-200dpi-broken.jpg", "truncated_app14.jpg")


def test_pictures_have_the_pixels_that_are_seen(pictures: tuple[Built, Expected]) -> None:
    made, expected = pictures
    compared = 0
    for file in sorted(set(made.by_file) & set(expected.samples)):
        ours, theirs = made.of(file).array("image"), as_seen(made.data / file)
        if ours.dtype == np.uint16 and theirs.dtype == np.uint8:  # of 16 bits in colour Pillow keeps the upper 8
            ours = (ours >> 8).astype(np.uint8)[..., : theirs.shape[2]]
        assert ours.shape == theirs.shape, file
        if expected.samples[file].labels["format"].raw == "JPEG":
            assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2, file
        else:
            np.testing.assert_array_equal(ours, theirs, file)
        compared += 1
    assert compared >= 80


def test_colour_of_16_bits_keeps_them_or_is_refused(pictures: tuple[Built, Expected]) -> None:
    made, _ = pictures
    for name in DEEP_COLOUR:
        for sample in made.by_file.get(f"images/{name}", []):
            assert sample.array("image").dtype == np.uint16, name


# -- DICOM -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["image", "volume"])
def objects(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Built, Expected, str]:
    data = shared / "data/pydicom_tests"
    made = build_text(OBJECTS.replace("KIND", request.param), data, tmp_path_factory.mktemp("objects"))
    return made, pydicom_tests.expected(data), request.param


def meant(path: Path, *, fractions: bool) -> np.ndarray:
    """Values of a file: colours of a palette, else rescaled, white where bone is bright.

    Args:
        fractions: whether a rescale that is not whole is applied; a picture then keeps the stored values.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path)
        stored = data.pixel_array
        if data.PhotometricInterpretation == "PALETTE COLOR":
            colours = apply_color_lut(stored, data)
            return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    if data.PhotometricInterpretation == "MONOCHROME1":
        stored = (1 << data.BitsStored) - 1 - stored.astype(int)
    whole = slope.is_integer() and intercept.is_integer()
    return stored.astype(float) * slope + intercept if whole or fractions else stored


ENDS_AT_0 = "test_files/JPEG-lossy.dcm"
"""Its scans end the spectral selection at 0 (ITU-T T.81, B.2.3 says 63). pydicom's plug-in refuses it; the engine reads
it, and the pixels are those of ``TWELVE_BITS``, which is the same picture."""

TWELVE_BITS = "test_files/JPGExtended.dcm"

STEP_OF_LOSSY = 3
"""Decoders of lossy JPEG round differently: the engine has libjpeg-turbo's values, the plug-in those of another."""


def test_no_object_is_lost(objects: tuple[Built, Expected, str]) -> None:
    made, _, _ = objects
    nothing_is_lost(made, {f for f in files_below(made.data) if f.startswith(("test_files/", "charset_files/"))})


def test_no_object_is_read_that_cannot_be(objects: tuple[Built, Expected, str]) -> None:
    made, expected, _ = objects
    named = {line["file"] for line in made.quarantine}
    refused = {f for f in expected.refused if f.startswith(("test_files/", "charset_files/"))} - {ENDS_AT_0}
    assert named >= refused
    assert ENDS_AT_0 in expected.refused


def test_objects_that_pydicom_reads_are_refused_only_for_a_known_reason(objects: tuple[Built, Expected, str]) -> None:
    made, expected, kind = objects
    for line in made.quarantine:
        theirs = expected.samples.get(line["file"])
        if theirs is None:
            continue
        frames, modality = int(theirs.labels["frames"].raw or 1), theirs.labels["modality"].raw
        if modality in ("SEG", "RTDOSE"):
            assert line["error_class"] == "not_an_image"
        elif theirs.pixels.dtype == "uint32":
            assert line["error_class"] == "pixel_type"
        elif kind == "image":
            assert (line["error_class"], frames > 1) == ("several_frames", True), line["file"]
        else:
            assert (line["error_class"], theirs.pixels.shape[-1]) == ("not_a_volume", 3) or (
                line["error_class"] == "not_a_volume" and theirs.labels["photometric"].raw == "PALETTE COLOR"
            ), line["file"]


def test_values_are_those_that_are_meant(objects: tuple[Built, Expected, str]) -> None:
    made, expected, kind = objects
    read = sorted(set(made.by_file) & set(expected.samples))
    assert len(read) >= {"image": 85, "volume": 55}[kind]
    for file in read:
        ours, theirs = made.of(file).array("image"), meant(made.data / file, fractions=kind == "volume")
        if kind == "volume" and theirs.ndim == 2:
            theirs = theirs[None]
        assert ours.shape == theirs.shape, file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            syntax = pydicom.dcmread(made.data / file, specific_tags=[], force=True).file_meta.get("TransferSyntaxUID")
        step = STEP_OF_LOSSY if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) else 0
        np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=1e-6, atol=step, err_msg=file)


def test_the_picture_that_only_the_engine_reads_is_its_twin(objects: tuple[Built, Expected, str]) -> None:
    made, _, _ = objects
    np.testing.assert_array_equal(made.of(ENDS_AT_0).array("image"), made.of(TWELVE_BITS).array("image"))


def test_names_of_persons_are_nowhere(objects: tuple[Built, Expected, str]) -> None:
    """The character set files hold names in many encodings, as bytes and as text."""
    made, _, _ = objects
    names: set[bytes] = set()
    for path in sorted((made.data / "charset_files").iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data = pydicom.dcmread(path)
            except pydicom.errors.InvalidDicomError:
                continue
            for part in str(data.get("PatientName", "")).replace("^", "=").split("="):
                names |= {part.encode("utf-8")} if len(part.encode("utf-8")) >= 6 else set()
    assert len(names) >= 10
    everything = everything_of(made.root)
    assert not {name for name in names if name in everything}
