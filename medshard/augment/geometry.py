"""The geometry stage: crops, resizes, turns and warps of pictures become one sampling of each.

While operations are applied, frames are tracked (``frames.py``). In the end there is, for each picture, either one box
to sample with two flips and a transposition, which the separable antialiased filter does; or a reduced picture by that
filter and a map onto it, which one bilinear interpolation does. The reduction is by the lengths of the map's rows, and
more where they are not square to each other, so that the map that is left shrinks nothing: its smallest singular value,
from the reduced picture to the output, is 1 or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medshard.augment.elastic import Elastic
from medshard.augment.frames import Floats, Frames, inverted
from medshard.augment.keeping import FREE, Allowed, allowed, is_squashed, kept_operations
from medshard.augment.spatial import Border, Draw, Draws, Spatial
from medshard.augment.views import border_of, elastic_of, output_size
from medshard.engine import BORDERS, JOB
from medshard.errors import LoaderError
from medshard.families.base import Delivered
from medshard.record.conversation import Keeps

__all__ = ["FREE", "Geometries", "Geometry", "draw_geometries"]

_REGION_ATTEMPTS = 20
_VIEW = 1 << 16
"""Places of operations that one view may use, so that views draw other numbers."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """How one stored picture is sampled.

    Attributes:
        job: of dtype ``JOB``: the fields that the geometry decides.
        matrix: (2, 3) float64, delivered from stored: x' = m[0] · (x, y, 1), y' = m[1] · (x, y, 1).
        mask_fill: label of what lies outside the picture.
        elastic: the displacement on the way, which ``matrix`` does not hold.
    """

    job: np.void
    matrix: Floats
    mask_fill: int = 0
    elastic: Elastic | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self._told())

    def _told(self) -> tuple[bytes, bytes, int]:
        return self.job.tobytes(), self.matrix.tobytes(), self.mask_fill

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """The part of the stored picture that fills the output, or what a warp reads: continuous pixels."""
        x0, y0, x1, y1 = self.job["box"].tolist()
        return (x0, y0, x1, y1)

    @property
    def bounds_xyxy(self) -> tuple[int, int, int, int]:
        """Whole pixels outside of which the filter does not read."""
        x0, y0, x1, y1 = self.job["bounds"].tolist()
        return (x0, y0, x1, y1)

    @property
    def flip_x(self) -> bool:
        """Whether the output is mirrored along the stored x."""
        return bool(self.job["flip_x"])

    @property
    def flip_y(self) -> bool:
        """Whether the output is mirrored along the stored y."""
        return bool(self.job["flip_y"])

    @property
    def height(self) -> int:
        """Of the output."""
        return int(self.job["height"])

    @property
    def width(self) -> int:
        """Of the output."""
        return int(self.job["width"])

    @property
    def scale(self) -> float:
        """Stored pixels for one of the output, on the side where they are fewer; 1 for what warps or has a border."""
        x0, y0, x1, y1 = self.box_xyxy
        if self.job["grid"].any() or self.job["extent"].any():
            return 1.0
        height, width = (self.width, self.height) if self.job["transpose"] else (self.height, self.width)
        return min((x1 - x0) / width, (y1 - y0) / height)

    def reduced(self, factor: int) -> Geometry:
        """The same sampling of a level of the picture that is smaller by a factor; its sides are rounded up."""
        if factor == 1:
            return self
        job = np.array(self.job, JOB)
        left, top, right, bottom = self.bounds_xyxy
        job["box"] /= factor
        job["bounds"] = (left // factor, top // factor, -(-right // factor), -(-bottom // factor))
        return replace(self, job=job[()])  # type: ignore[arg-type]  # a scalar of a structured type

    def resized(self, height: int, width: int) -> Geometry:
        """The same part of the picture at another size.

        Raises:
            LoaderError: a warp or a border is on the way, which are made for one size of output.
        """
        if self.job["grid"].any() or self.job["inner"].any():
            raise LoaderError("a picture that is turned by an angle, moved, displaced or padded has one size")
        job, matrix = np.array(self.job, JOB), np.array(self.matrix)
        job["height"], job["width"] = height, width
        matrix[0] *= width / self.width
        matrix[1] *= height / self.height
        return replace(self, job=job[()], matrix=matrix)  # type: ignore[arg-type]  # a scalar of a structured type

    def delivered(self) -> Delivered:
        """The map from stored pixels to delivered ones, for text."""
        (scale_x, shear_x, offset_x), (shear_y, scale_y, offset_y) = self.matrix.tolist()
        moved = self.elastic.to_delivered if self.elastic is not None else None
        return Delivered(self.width, self.height, scale_x, offset_x, scale_y, offset_y, shear_x, shear_y, moved)


@dataclass
class Geometries:
    """How the pictures of a batch are sampled.

    Attributes:
        jobs: (n,) of dtype ``JOB``.
        matrix: (n, 2, 3) float64, delivered from stored.
        mask_fill: label of what lies outside, in masks.
        elastic: displacements by row.
        problems: why an item cannot be delivered, by row.
    """

    jobs: NDArray[np.void]
    matrix: Floats
    mask_fill: int = 0
    elastic: dict[int, Elastic] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, row: int) -> Geometry:
        if row in self.problems:
            raise LoaderError(self.problems[row])
        return Geometry(self.jobs[row], self.matrix[row], self.mask_fill, self.elastic.get(row))


def draw_geometries(
    operations: Sequence[Spatial],
    height: NDArray[np.int64],
    width: NDArray[np.int64],
    draws: Draws,
    keeps: Sequence[Keeps] | None = None,
    regions_xyxy: Sequence[Sequence[Sequence[float]]] | None = None,
    *,
    view: int = 0,
    square_hw: NDArray[np.int64] | None = None,
) -> Geometries:
    """Draw the random choices for the pictures of a batch.

    What an item's text refuses is not done to it: a mirror, a turn or a warp that is refused is left out; a crop that
    is refused, or that would cut a region which must stay whole, is drawn again and then replaced by the whole picture.

    Args:
        operations: of the geometry stage; none of them MultiCrop.
        height, width: (n,) of the stored pictures.
        draws: the numbers of each item.
        keeps: what each item's text allows; everything by default.
        regions_xyxy: boxes that each item's text cites, in stored pixels.
        view: number of the view, of several.
        square_hw: (n, 2) height and width that operations see instead of the stored ones; see ``Frames``.
    """
    count = len(height)
    border = border_of(operations)
    found = Geometries(np.zeros(count, JOB), np.zeros((count, 2, 3)), border.mask_fill)
    for rule, rows in allowed(count, keeps, regions_xyxy).items():
        if rule.regions and regions_xyxy is not None:
            _draw_around(found, operations, height, width, draws, rule, rows, regions_xyxy, border, view, square_hw)
        else:
            _draw_some(found, operations, height, width, draws, rule, rows, border, view, 0, square_hw)
    return found


def _draw_around(
    found: Geometries,
    operations: Sequence[Spatial],
    height: NDArray[np.int64],
    width: NDArray[np.int64],
    draws: Draws,
    rule: Allowed,
    rows: NDArray[np.int64],
    regions_xyxy: Sequence[Sequence[Sequence[float]]],
    border: Border,
    view: int,
    square_hw: NDArray[np.int64] | None,
) -> None:
    """Until all regions are whole; the whole picture where no attempt finds that."""
    for attempt in range(_REGION_ATTEMPTS):
        seen = _draw_some(found, operations, height, width, draws, rule, rows, border, view, attempt, square_hw)
        cut = [not _holds(found, int(row), seen[place], regions_xyxy[row]) for place, row in enumerate(rows)]
        rows = rows[np.array(cut, np.bool_)]
        if not len(rows):
            return
    _draw_some(found, operations, height, width, draws, rule.without_crops(), rows, border, view, 0, square_hw)


def _draw_some(
    found: Geometries,
    operations: Sequence[Spatial],
    height: NDArray[np.int64],
    width: NDArray[np.int64],
    draws: Draws,
    rule: Allowed,
    rows: NDArray[np.int64],
    border: Border,
    view: int,
    attempt: int,
    square_hw: NDArray[np.int64] | None,
) -> Floats:
    """Draws rows of one rule. Returns the stored pixels (n, 4) that their frames are cut from."""
    everything = len(rows) == len(height)
    square = square_hw[rows] if square_hw is not None else None
    frames = Frames(height if everything else height[rows], width if everything else width[rows], square)
    for place, operation in kept_operations(tuple(operations), rule):
        operation.apply(frames, Draw(draws, rows, view * _VIEW + place, attempt, found.problems))
    elastic = elastic_of(operations) if frames.plane is not None else None
    size = output_size(operations)
    if is_squashed(operations, rule) and size is not None:
        frames.resize(*(np.full(len(rows), float(edge)) for edge in size))
    jobs, matrix, seen = _jobs_of(frames, border)
    if elastic is not None:
        place, operation = elastic
        jobs["elastic_seed"] = draws.seeds(rows, view * _VIEW + place)
        jobs["elastic_spacing"], jobs["elastic_amplitude"] = operation.spacing_xy, operation.amplitude_xy
        assert frames.plane is not None
        for number, row in enumerate(rows):
            found.elastic[int(row)] = Elastic.of(jobs[number], frames.plane[number])
    else:
        for row in rows if found.elastic else ():
            found.elastic.pop(int(row), None)
    if everything:
        found.jobs, found.matrix = jobs, matrix
    else:
        found.jobs[rows], found.matrix[rows] = jobs, matrix
    return seen


def _jobs_of(frames: Frames, border: Border) -> tuple[NDArray[np.void], Floats, Floats]:
    """The engine's jobs, the maps from stored to delivered points, and the stored pixels that may be seen."""
    count = len(frames.height)
    jobs = np.zeros(count, JOB)
    jobs["height"], jobs["width"] = frames.height, frames.width
    jobs["border"], jobs["fill"] = BORDERS[border.padding_mode], border.fill
    to_stored = frames.to_stored()
    bounds, extent = frames.frozen()
    seen = frames.seen()
    if frames.warp is None:
        jobs["box"] = np.concatenate(
            [frames.origin + frames.unit * frames.window[:, :2], frames.origin + frames.unit * frames.window[:, 2:]], 1
        )
        jobs["bounds"] = bounds
        padded = (bounds != extent).any(1)
        jobs["extent"][padded] = extent[padded]
        if frames.padded:
            jobs["inner"] = frames.real - np.tile(frames.window[:, :2], 2)
        jobs["flip_x"], jobs["flip_y"] = frames.flip[:, 0], frames.flip[:, 1]
        if frames.transposed is not None:
            jobs["transpose"] = frames.transposed
    else:
        _warped_jobs(jobs, frames, to_stored, bounds, extent, seen)
    return jobs, inverted(to_stored), seen


def _warped_jobs(
    jobs: NDArray[np.void], frames: Frames, to_stored: Floats, bounds: Floats, extent: Floats, seen: Floats
) -> None:
    """A reduced picture and a map onto it; where the map keeps axes after all, a box."""
    assert frames.warp is not None
    wide = np.linalg.norm(to_stored[:, :, :2], axis=2)  # stored pixels that a step of the output crosses, x and y
    across = np.abs((to_stored[:, 0, :2] * to_stored[:, 1, :2]).sum(1)) / (wide[:, 0] * wide[:, 1])
    factor = np.maximum(wide * np.sqrt(1 + across)[:, None], 1.0)
    length = seen[:, 2:] - seen[:, :2]
    # A whole number of pixels that rounding puts just above itself stays that number.
    grid = np.maximum(np.ceil(length / factor - 1e-6), 1)
    onto = frames.warp if frames.plane is None else frames.plane
    per_pixel = grid / length
    jobs["map"][:, :3] = onto[:, 0] * per_pixel[:, :1]
    jobs["map"][:, 3:] = onto[:, 1] * per_pixel[:, 1:]
    jobs["map"][:, [2, 5]] -= seen[:, :2] * per_pixel
    jobs["grid"] = grid[:, ::-1]
    jobs["before"] = frames.warp.reshape(-1, 6)
    jobs["box"], jobs["bounds"], jobs["extent"] = seen, bounds, extent
    if frames.plane is None:
        keeps_axes = (to_stored[:, 0, 1] == 0) & (to_stored[:, 1, 0] == 0)
        turned = (to_stored[:, 0, 0] == 0) & (to_stored[:, 1, 1] == 0)
        plain = keeps_axes | turned
        if plain.any():
            _unwarped_jobs(jobs, plain, turned, to_stored, bounds, seen)


def _unwarped_jobs(
    jobs: NDArray[np.void],
    plain: NDArray[np.bool_],
    turned: NDArray[np.bool_],
    to_stored: Floats,
    bounds: Floats,
    seen: Floats,
) -> None:
    corners = to_stored[:, :, :2] @ np.stack(
        [0 * jobs["width"], jobs["width"], 0 * jobs["height"], jobs["height"]], 1
    ).reshape(-1, 2, 2)
    first, last = corners[:, :, 0] + to_stored[:, :, 2], corners[:, :, 1] + to_stored[:, :, 2]
    box = np.concatenate([np.minimum(first, last), np.maximum(first, last)], 1)
    outer = np.concatenate([np.floor(seen[:, :2]), np.ceil(seen[:, 2:])], 1)
    real = np.concatenate([np.maximum(outer[:, :2], bounds[:, :2]), np.minimum(outer[:, 2:], bounds[:, 2:])], 1)
    beyond = (box[:, :2] < seen[:, :2]).any(1) | (box[:, 2:] > seen[:, 2:]).any(1)
    hull = np.concatenate(
        [np.floor(np.minimum(box[:, :2], real[:, :2])), np.ceil(np.maximum(box[:, 2:], real[:, 2:]))], 1
    )
    jobs["box"][plain] = box[plain]
    some = plain & beyond
    jobs["bounds"][some], jobs["extent"][some] = real[some], hull[some]
    jobs["grid"][plain], jobs["map"][plain], jobs["before"][plain] = 0, 0, 0
    jobs["flip_x"][plain] = (first > last)[plain, 0]
    jobs["flip_y"][plain] = (first > last)[plain, 1]
    jobs["transpose"][plain] = turned[plain]


def _holds(found: Geometries, row: int, seen: Floats, regions: Sequence[Sequence[float]]) -> bool:
    """Whether all regions lie in the output, and in what it is cut from."""
    slack = 1e-6
    job, matrix = found.jobs[row], found.matrix[row]
    reach = np.abs(matrix[:, :2]) @ _reach(found.elastic.get(row))
    boxes = np.asarray(regions, float).reshape(-1, 4)
    if (boxes[:, :2] < seen[:2] - slack).any() or (boxes[:, 2:] > seen[2:] + slack).any():
        return False
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 2) @ matrix[:, :2].T + matrix[:, 2]
    size = np.array([job["width"], job["height"]], float)
    return bool((corners - reach >= -slack).all() and (corners + reach <= size + slack).all())


def _reach(elastic: Elastic | None) -> Floats:
    """How far a displacement may move a point, in stored pixels."""
    return np.zeros(2) if elastic is None else elastic.reach_stored_xy
