"""numpy references of the pointwise steps: each defines what the native engine does to a sampled crop.

A picture is (C, H, W) float64, the crop; ``whole`` is the stored picture that it was taken from. Parameters are those
of csrc/pipeline/program.hpp, without the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "color_jitter",
    "erase",
    "gamma",
    "gaussian_noise",
    "grayscale",
    "invert",
    "luma",
    "multi_window",
    "normalize",
    "percentile_normalize",
    "philox",
    "posterize",
    "solarize",
    "stain_jitter",
    "window",
    "zscore_normalize",
]

Array = NDArray[np.float64]
Params = Sequence[float]

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601."""


def luma(picture: Array) -> Array:
    """(1, H, W): of one channel, itself."""
    if len(picture) == 1:
        return picture
    return np.asarray(np.tensordot(np.array(LUMA), picture, 1)[None], np.float64)


def window(picture: Array, params: Params = (), *, scale: float, bias: float) -> Array:
    """value * scale + bias, to 0..1."""
    return np.clip(picture * scale + bias, 0, 1)


def multi_window(picture: Array, params: Params, *, scale: float, bias: float) -> Array:
    """(value * scale + bias) * scale of the channel + bias of the channel, to 0..1."""
    of_each = np.asarray(params, np.float64).reshape(-1, 2)[: len(picture), :, None, None]
    return np.clip((picture * scale + bias) * of_each[:, 0] + of_each[:, 1], 0, 1)


def percentile_normalize(picture: Array, params: Params, *, whole: Array) -> Array:
    """(value - low) / (high - low), to 0..1, of percentiles of all finite values; a width of 0 is taken as 1."""
    of = whole if params[2] else picture
    finite = of[np.isfinite(of)]
    low, high = np.percentile(finite, params[:2]) if finite.size else (0.0, 0.0)
    return np.clip((picture - low) / (high - low if high > low else 1.0), 0, 1)


def normalize(picture: Array, params: Params) -> Array:
    """(value - mean) / deviation, a channel each."""
    channels = len(picture)
    mean, deviation = np.array(params[:channels]), np.array(params[3 : 3 + channels])
    return np.asarray((picture - mean[:, None, None]) / deviation[:, None, None], np.float64)


def zscore_normalize(picture: Array, params: Params, *, whole: Array) -> Array:
    """(value - mean) / deviation of all values, or of each channel; a deviation of 0 is taken as 1."""
    of = whole if params[1] else picture
    axes = (1, 2) if params[0] and len(of) in (1, len(picture)) else None
    mean, deviation = of.mean(axes, keepdims=True), of.std(axes, keepdims=True)
    return np.asarray((picture - mean) / np.where(deviation > 0, deviation, 1), np.float64)


def color_jitter(picture: Array, params: Params) -> Array:
    """Brightness, contrast, saturation, hue, each to 0..1, as torchvision's functions of float pictures."""
    brightness, contrast, saturation, hue = params[:4]
    if brightness != 1:
        picture = np.clip(picture * brightness, 0, 1)
    if contrast != 1:
        picture = np.clip(contrast * picture + (1 - contrast) * luma(picture).mean(), 0, 1)
    if len(picture) == 1:
        return picture
    if saturation != 1:
        picture = np.clip(saturation * picture + (1 - saturation) * luma(picture), 0, 1)
    return _turn_hue(picture, hue) if hue != 0 else picture


def _turn_hue(picture: Array, turn: float) -> Array:
    """RGB to HSV, hue moved by a share of the circle, and back (Smith, "Color gamut transform pairs", 1978)."""
    red, green, blue = picture
    high, low = picture.max(0), picture.min(0)
    chroma = high - low
    safe = np.where(chroma > 0, chroma, 1)
    sixths = np.select(
        [high == red, high == green], [(green - blue) / safe, 2 + (blue - red) / safe], 4 + (red - green) / safe
    )
    sixths = np.mod(sixths + 6 * turn, 6)
    shares = [np.mod(sixths + offset, 6) for offset in (5, 3, 1)]
    return np.stack([high - chroma * np.clip(np.minimum(k, 4 - k), 0, 1) for k in shares])


def grayscale(picture: Array, params: Params = ()) -> Array:
    """Every channel is the luma."""
    return np.repeat(luma(picture), len(picture), 0)


def gamma(picture: Array, params: Params) -> Array:
    """(value to 0..1) ** exponent."""
    return np.asarray(np.clip(picture, 0, 1) ** params[0], np.float64)


def invert(picture: Array, params: Params = ()) -> Array:
    """1 - value."""
    return 1 - picture


def solarize(picture: Array, params: Params) -> Array:
    """1 - value where value >= threshold."""
    return np.where(picture >= params[0], 1 - picture, picture)


def posterize(picture: Array, params: Params) -> Array:
    """floor(value * levels) / levels, at most (levels - 1) / levels."""
    levels = params[0]
    return np.asarray(np.minimum(np.floor(np.clip(picture, 0, 1) * levels), levels - 1) / levels, np.float64)


def stain_jitter(picture: Array, params: Params) -> Array:
    """log2(rgb) becomes matrix * log2(rgb) + offset; rgb is at least 1e-6 before and in 0..1 after."""
    if len(picture) == 1:
        return picture
    logarithms = np.log2(np.maximum(picture, 1e-6))
    mixed = np.tensordot(np.reshape(params[:9], (3, 3)), logarithms, 1) + np.reshape(params[9:12], (3, 1, 1))
    return np.asarray(np.clip(2.0**mixed, 0, 1), np.float64)


def erase(picture: Array, params: Params) -> Array:
    """Boxes top, left, bottom, right filled with one value a channel."""
    picture = picture.copy()
    for place in range(3, len(params), 4):
        top, left, bottom, right = (int(edge) for edge in params[place : place + 4])
        picture[:, top:bottom, left:right] = np.reshape(params[: len(picture)], (-1, 1, 1))
    return picture


def philox(counters: NDArray[np.uint32], key: int) -> NDArray[np.uint32]:
    """Philox4x32-10 of (N, 4) counters under a 64-bit key, low half first (Salmon and others, SC 2011)."""
    c = [counters[:, lane].astype(np.uint64) for lane in range(4)]
    keys = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        products = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        low, high = zip(*((p & np.uint64(0xFFFFFFFF), p >> np.uint64(32)) for p in products), strict=True)
        c = [high[1] ^ c[1] ^ np.uint64(keys[0]), low[1], high[0] ^ c[3] ^ np.uint64(keys[1]), low[0]]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, 1).astype(np.uint32)


def gaussian_noise(picture: Array, params: Params, *, seed: int, place: int) -> Array:
    """mean + sigma * normal numbers added, then to 0..1 if asked; see csrc/augment/noise.inl for the numbers."""
    mean, sigma, clip = params[:3]
    blocks = -(-picture.size // 4)
    counters = np.zeros((blocks, 4), np.uint32)
    counters[:, 0], counters[:, 1] = np.arange(blocks), place
    words = (philox(counters, seed) >> np.uint32(8)).astype(np.float64) * 2.0**-24
    normal = []
    for length, turn in ((words[:, 0], words[:, 1]), (words[:, 2], words[:, 3])):
        radius = np.sqrt(-2 * np.log((length + 2.0**-25).astype(np.float32).astype(np.float64)))
        normal += [radius * np.cos(2 * np.pi * turn), radius * np.sin(2 * np.pi * turn)]
    drawn = np.concatenate(normal)[: picture.size].reshape(picture.shape)
    noisy = picture + mean + sigma * drawn
    return np.clip(noisy, 0, 1) if clip else noisy
