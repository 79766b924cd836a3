"""Decode an original file into an array, for digests here and for tolerant comparison in tests.

Images by Pillow as stored: (H, W) for grey, (H, W, C) else; no colour conversion, no JPEG EXIF rotation.
Volumes in (k, j, i) order, i fastest, with the file's slope and intercept applied.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from .expected import Geometry, MaskArea, Matrix

__all__ = ["decode_image", "decode_nifti", "geometry_of", "label_areas", "matrix", "probe_voxels"]


def decode_image(path: Path) -> np.ndarray:
    """First frame in its stored mode. Pillow itself rotates TIFF by its orientation tag, JPEG not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()
            return np.asarray(image)


def decode_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array in (k, j, i) or (t, k, j, i) order, and the affine (sform where its code is set, else qform)."""
    image = nib.load(path)
    return np.asanyarray(image.dataobj).T, image.affine


def matrix(affine: np.ndarray) -> Matrix:
    return tuple(tuple(float(v) for v in row) for row in affine)


def probe_voxels(array: np.ndarray) -> dict[tuple[int, ...], float]:
    """Values at corners, asymmetric inner points and the first maximum: shows a flip or a swap of axes."""
    size_k, size_j, size_i = array.shape[-3:]
    places = [(0, 0, 0), (size_k - 1, size_j - 1, size_i - 1), (size_k - 1, 0, 0), (0, size_j - 1, 0)]
    places += [
        (0, 0, size_i - 1),
        (size_k // 2, size_j // 2, size_i // 2),
        (size_k // 3, size_j // 2, size_i // 3),
    ]
    places += [(2 * size_k // 3, size_j // 3, size_i // 2), (size_k // 2, 2 * size_j // 3, 2 * size_i // 3)]
    frames = [(t,) for t in sorted({0, array.shape[0] - 1})] if array.ndim == 4 else [()]
    first = array[frames[0]]
    places.append(tuple(int(v) for v in np.unravel_index(int(first.argmax()), first.shape)))
    return {(*frame, *place): float(array[(*frame, *place)]) for frame in frames for place in places}


def geometry_of(array: np.ndarray, affine: np.ndarray) -> Geometry:
    frames = array.shape[0] if array.ndim == 4 else 1
    size_k, size_j, size_i = array.shape[-3:]
    return Geometry(matrix(affine), (size_k, size_j, size_i), frames, probe_voxels(array))


def label_areas(array: np.ndarray) -> dict[str, MaskArea]:
    """Area and box of each non-zero value of a label map, keyed by the value ('5' for 5 and 5.0)."""
    return {f"{value:g}": MaskArea.of(array == value) for value in np.unique(array) if value}
