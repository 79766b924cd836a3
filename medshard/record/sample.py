"""The sample: one storage unit, the media that belong together and all that is known of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from medshard.record.base import Axes, Part, SourceRow
from medshard.record.conversation import Conversation
from medshard.record.facts import Fact

__all__ = ["Media", "MediaKind", "Sample", "Scope", "Subject"]

MediaKind = Literal["image", "volume", "video", "audio", "mask", "depth", "tokens", "vector", "table", "graph", "mesh"]


class Subject(Part):
    """What is kept of the person: no identity, ages over 89 grouped as 90."""

    sex: Literal["F", "M", "O"] | None = None
    age_years: float | None = None


class Media(Part):
    """One medium of a sample.

    Attributes:
        slot: name of the medium within the sample.
        part: extension in the tar (``image.png``) or path of the volume below the dataset build
            (``volumes/ID.ome.zarr``); null when absent or when ``ref`` names another sample's.
        ref: ``KEY/slot`` of a medium stored once for several samples of a shard.
        role: ``target`` is output side and never augmented at random; ``context`` is history or retrieved.
        absent_reason: why there is nothing, when ``present`` is false.
        axes: letters of ``shape``: ``YX``, ``YXC``, ``ZYX``, ``CZYX``, ``TYXC``.
        dtype: element type of the values. ``int16`` in a PNG is stored as value + 32768.
        bits: significant bits.
        unit: ``[hnsf'U]`` and the like; null when values are arbitrary or unknown.
        spacing_mm: one number an axis of space, in the order of ``axes``; null when unknown.
        affine_ijk_to_ras: 4 x 4, index (i fastest, the last axis) of a voxel's centre to millimetres right,
            anterior, superior; null when unknown.
        patient_left: where the patient's left lies in the picture; null unknown, ``none`` no such side.
        view: projection or plane, as a concept name.
        study: name of the study within the group.
        order: place among the sample's media.
        day: days from the group's first study.
        window: (lowest, highest) value that the file asks to be shown; null when it asks for none.
        padding: (lowest, highest) value of pixels that are no measurement and still stand in the medium; null when the
            file declares none.
        axis_values: what each place of a leading axis stands for, by name (``echo_time_ms``).
        spacing_region_px: x0, y0, x1, y1 of the part in which ``spacing_mm`` holds; null where it holds everywhere.
        detector_spacing_mm: of a projection, on the detector (rows, columns); no measure of the patient.
        derived_from: how it was computed from another medium of the sample.
        digest: ``sha256:`` and the digest of the stored bytes.
    """

    slot: str
    kind: MediaKind
    part: str | None = None
    ref: str | None = None
    role: Literal["input", "target", "context"] = "input"
    present: bool = True
    absent_reason: str | None = None
    axes: str | None = None
    shape: list[int] | None = None
    dtype: str | None = None
    bits: int | None = None
    unit: str | None = None
    spacing_mm: list[float] | None = None
    affine_ijk_to_ras: list[list[float]] | None = None
    patient_left: Literal["image_left", "image_right", "none"] | None = None
    view: str | None = None
    study: str | None = None
    order: int = 0
    day: int | None = None
    fps: float | None = None
    duration_s: float | None = None
    window: list[float] | None = None
    padding: list[float] | None = None
    axis_values: dict[str, list[float]] | None = None
    spacing_region_px: list[int] | None = None
    detector_spacing_mm: list[float] | None = None
    derived_from: dict[str, Any] | None = None
    digest: str | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it is there to be looked at: an image, a volume or a video."""
        return self.present and self.kind in ("image", "volume", "video")


class Scope(Part):
    """What the source looked for.

    The state of a concept is its fact's ``state``; else ``absent`` where a complete presence scope covers it; else
    not annotated. Only a complete instance scope allows counts, "all", "no other" and negatives by box.

    Attributes:
        concepts: one concept id, or ``set:NAME`` of a concept set listed in ``corpus.json``.
    """

    id: str
    slots: list[str]
    concepts: str
    of: Literal["presence", "instances"]
    complete: bool


class Sample(Part):
    """The full record of one sample, stored as ``KEY.record``.

    Attributes:
        schema_: version of this record (``schema`` in JSON).
        key: unique in the corpus: letters, digits, ``-`` and ``_``, no dots, at most 80 bytes.
        group: samples of one group never part (``patient:5b1e``); null when the source gives none.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    key: str
    dataset: str
    split: str
    group: str | None = None
    licence: str
    axes: Axes = Axes()
    subject: Subject | None = None
    media: list[Media] = []
    scopes: list[Scope] = []
    facts: list[Fact] = []
    conversations: list[Conversation] = []
    source: list[SourceRow] = []

    def fact(self, fact_id: str) -> Fact:
        """The fact of that id; ``KeyError`` when there is none."""
        for fact in self.facts:
            if fact.id == fact_id:
                return fact
        raise KeyError(fact_id)

    @property
    def pictures(self) -> list[Media]:
        """Present input media that can be looked at, in the order of slots."""
        return [medium for medium in self.media if medium.is_picture and medium.role == "input"]

    def medium(self, slot: str) -> Media:
        """The medium in that slot; ``KeyError`` when there is none."""
        for medium in self.media:
            if medium.slot == slot:
                return medium
        raise KeyError(slot)
