"""Enhanced multi-frame objects: order by place and dimension, shared and per-frame macros, values of each frame."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from dicom_files import CT, dataset
from dicom_series import OBLIQUE, ORIGIN, ROOT, SPACING_YX, grain, read, stacked, text
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from medshard.errors import GeometryError

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
GAP_MM = 2.5


def item(**attributes: object) -> Sequence:
    """A macro of one item."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return Sequence([made])


def enhanced(
    voxels: NDArray[np.generic], macros: list[dict[str, Sequence]], order: list[tuple[int, int]], **attributes: object
) -> Dataset:
    """Frames (T, Z, Y, X) in the given order of (t, z); ``macros`` is of each t."""
    stored = np.ascontiguousarray(np.stack([voxels[t, z] for t, z in order]))
    image = dataset(
        stored,
        frames=len(order),
        SOPClassUID=ENHANCED_MR,
        Modality="MR",
        SeriesInstanceUID=f"{ROOT}.1",
        ImageType=["ORIGINAL", "PRIMARY", "OTHER", "NONE"],
        **attributes,
    )
    normal = np.cross(*np.array(OBLIQUE))
    frames = []
    for t, z in order:
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=text(ORIGIN + z * GAP_MM * normal))
        for keyword, macro in macros[t].items():
            setattr(frame, keyword, macro)
        frames.append(frame)
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=text(SPACING_YX))
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=text(np.ravel(OBLIQUE)))
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return image


def drawn(times: int, slices: int, seed: int = 3) -> list[tuple[int, int]]:
    order = list(itertools.product(range(times), range(slices)))
    random.Random(seed).shuffle(order)
    return order


DIMENSIONS = [
    ("temporal_position", [{"FrameContentSequence": item(TemporalPositionIndex=k + 1)} for k in range(3)], (1, 2, 3)),
    ("echo_time_ms", [{"MREchoSequence": item(EffectiveEchoTime=float(e))} for e in (5, 12, 30)], (5, 12, 30)),
    (
        "b_value_s_per_mm2",
        [{"MRDiffusionSequence": item(DiffusionBValue=float(b))} for b in (0, 50, 900)],
        (0, 50, 900),
    ),
    (
        "trigger_time_ms",
        [{"CardiacSynchronizationSequence": item(NominalCardiacTriggerDelayTime=float(t))} for t in (0, 40, 80)],
        (0, 40, 80),
    ),
]


@pytest.mark.parametrize(("name", "macros", "values"), DIMENSIONS)
def test_frames_are_ordered_by_place_and_dimension(
    name: str, macros: list[dict[str, Sequence]], values: tuple[float, ...]
) -> None:
    voxels = grain(3, 4, 5, 6)
    volume = read([enhanced(voxels, macros, drawn(3, 4))])
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.axis_values == {name: values}
    assert volume.spacing_zyx_mm == pytest.approx((GAP_MM, 0.75, 0.5), abs=1e-5)
    assert volume.affine_ijk_to_ras is not None
    np.testing.assert_allclose(volume.affine_ijk_to_ras[:3, 3], ORIGIN * (-1, -1, 1), atol=1e-5)


def test_an_index_that_only_the_file_names_is_a_dimension() -> None:
    macros = [{"FrameContentSequence": item(DimensionIndexValues=[1, k + 1])} for k in range(2)]
    voxels = grain(2, 3, 4, 4)
    image = enhanced(voxels, macros, drawn(2, 3))
    pointers = Sequence([Dataset(), Dataset()])
    pointers[0].DimensionIndexPointer = Tag("StackID")
    pointers[1].DimensionIndexPointer = Tag(0x2005100F)  # a private attribute
    image.DimensionIndexSequence = pointers
    volume = read([image])
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.axis_values == {"dimension_index_2": (1.0, 2.0)}


def test_objects_of_one_time_each_are_one_volume() -> None:
    voxels = grain(3, 4, 5, 6)
    images = []
    for t in range(3):
        macros = [{"FrameContentSequence": item(TemporalPositionIndex=t + 1)}]
        images.append(enhanced(voxels[t : t + 1], macros, drawn(1, 4, seed=t), SOPInstanceUID=f"{ROOT}.{t + 50}"))
    assert stacked(images).account.stacks == 1
    volume = read(images, seed=4)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.axis_values == {"temporal_position": (1.0, 2.0, 3.0)}


def test_frames_at_one_place_that_nothing_tells_apart_are_refused() -> None:
    with pytest.raises(GeometryError) as caught:
        read([enhanced(grain(2, 3, 4, 4), [{}, {}], drawn(2, 3))])
    assert caught.value.error_class == "ambiguous_positions"


def test_frames_of_several_types_are_refused() -> None:
    kinds = [
        {"MRImageFrameTypeSequence": item(FrameType=["ORIGINAL", "PRIMARY", "OTHER", kind])} for kind in ("NONE", "ADC")
    ]
    with pytest.raises(GeometryError, match="2 frame types") as caught:
        read([enhanced(grain(2, 3, 4, 4), kinds, drawn(2, 3))])
    assert caught.value.error_class == "mixed_series"


def test_stacks_of_several_directions_in_one_object_are_refused() -> None:
    voxels = grain(2, 3, 4, 4)
    turned = {"PlaneOrientationSequence": item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])}
    with pytest.raises(GeometryError) as caught:
        read([enhanced(voxels, [{}, turned], drawn(2, 3))])
    assert caught.value.error_class == "orientation_differs"


def test_each_frame_of_an_enhanced_ct_states_its_unit() -> None:
    values = [
        {"PixelValueTransformationSequence": item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType=kind)}
        for kind in ("HU", "US")
    ]
    for macros, unit in ((values[:1], "[hnsf'U]"), (values[1:], None)):
        image = enhanced(grain(1, 3, 4, 4), macros, drawn(1, 3))
        image.SOPClassUID, image.Modality = CT + ".1", "CT"
        assert read([image]).unit == unit


@pytest.mark.parametrize(
    ("code", "slope", "unit"),
    [("Bq/ml", 2.0, "Bq/mL"), ("g/ml{SUVbw}", 2.0, "g/mL{SUVbw}"), ("{counts}", 2.0, None), ("Bq/ml", 3.0, None)],
)
def test_enhanced_pet_has_the_unit_of_its_mapping(code: str, slope: float, unit: str | None) -> None:
    coded = item(CodeValue=code, CodingSchemeDesignator="UCUM")
    macros = {
        "PixelValueTransformationSequence": item(RescaleSlope=2, RescaleIntercept=0, RescaleType="US"),
        "RealWorldValueMappingSequence": item(
            RealWorldValueSlope=slope, RealWorldValueIntercept=0.0, MeasurementUnitsCodeSequence=coded
        ),
    }
    image = enhanced(grain(1, 3, 4, 4), [macros], drawn(1, 3))
    image.SOPClassUID, image.Modality = "1.2.840.10008.5.1.4.1.1.130", "PT"
    assert read([image]).unit == unit


def test_a_mosaic_without_its_number_of_slices_is_refused() -> None:
    image = dataset(grain(8, 8), Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    with pytest.raises(GeometryError) as caught:
        read([image])
    assert caught.value.error_class == "mosaic"
