"""Crops of 128 cubed out of 192 cubed int16 voxels with their mask: turned, bent, and nnU-Net's steps on values.

python benchmarks/volume_augment.py [--rounds 9]

Peers are MONAI, TorchIO, batchgeneratorsv2 and bare torch, those that are installed; each gets the arrays that it likes
best, on one thread. TorchIO gets the 128 cubed in the middle, since it gives out the size that it gets.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from interleaved import Rates, race, versions
from machine import machine
from numpy.typing import NDArray

from medshard.augment import GaussianNoise, Operation
from medshard.augment.volume import (
    CenterCrop3D,
    ElasticTransform3D,
    GaussianBlur3D,
    RandomAffine3D,
    RandomBrightness3D,
    RandomContrast3D,
    RandomGamma3D,
    SimulateLowResolution,
    compile_volume,
    deliver,
    deliver_mask,
    draw_steps,
    draw_volume,
)
from medshard.loader.draws import VolumeCropDraws

EDGE, STORED, DEGREES, SCALE = 128, 192, 30.0, (1.0, 1.25)
Work = Callable[[int], object]


def voxels() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """(1, Z, Y, X) of a CT-like volume and a mask of four labels."""
    numbers = np.random.default_rng(0)
    coarse = numbers.normal(0, 300, (STORED // 8,) * 3).repeat(8, 0).repeat(8, 1).repeat(8, 2)
    image = (coarse + numbers.normal(0, 20, coarse.shape)).astype(np.int16)
    return image[None], np.clip(coarse // 150, 0, 4).astype(np.uint8)[None]


def own(operations: list[Operation]) -> Work:
    """Draw, take the box that is needed, deliver image and mask."""
    image, mask = voxels()
    compiled = compile_volume([CenterCrop3D((EDGE,) * 3, outside=0.0), *operations])
    moves = bool(compiled.spatial)

    def work(number: int) -> object:
        draws = VolumeCropDraws(0, 0, 0, number)
        geometry = draw_volume(compiled, image.shape, draws)
        start, size = geometry.source_box(image.shape)
        box = (slice(None), *(slice(s, s + n) for s, n in zip(start, size, strict=True)))
        out = np.empty((1, *geometry.size_zyx), np.float32)
        deliver(geometry, draw_steps(compiled, draws, 1), image[box], start, out)
        labels = np.empty((1, *geometry.size_zyx), np.int32)
        if moves:
            deliver_mask(geometry, mask[box], start, labels)
        return out, labels

    return work


def bare_torch() -> Work:
    """affine_grid and grid_sample, image and mask: what the peers are made of."""
    image, mask = (torch.from_numpy(array.astype(np.float32))[None] for array in voxels())
    sample = torch.nn.functional.grid_sample

    def work(number: int) -> object:
        matrix = torch.eye(3, 4)[None] * (EDGE / STORED) + 0.02 * torch.rand(1, 3, 4)
        grid = torch.nn.functional.affine_grid(matrix, [1, 1, EDGE, EDGE, EDGE], align_corners=False)
        return sample(image, grid, align_corners=False), sample(mask, grid, mode="nearest", align_corners=False)

    return work


def monai(elastic: bool) -> Work:
    """Its dictionary transforms."""
    from monai.transforms import Rand3DElasticd, RandAffined

    radians, size = float(np.radians(DEGREES)), (EDGE,) * 3
    common: dict[str, Any] = {
        "keys": ("image", "mask"),
        "prob": 1.0,
        "rotate_range": (radians,) * 3,
        "scale_range": ((1 / SCALE[1] - 1, 1 / SCALE[0] - 1),) * 3,
        "spatial_size": size,
        "mode": ("bilinear", "nearest"),
        "padding_mode": "zeros",
    }
    transform = (
        Rand3DElasticd(sigma_range=(5, 7), magnitude_range=(50, 150), **common) if elastic else RandAffined(**common)
    )
    image, mask = (torch.from_numpy(array.astype(np.float32)) for array in voxels())
    return lambda _: transform({"image": image, "mask": mask})


def torchio(elastic: bool) -> Work:
    """RandomAffine, and RandomElasticDeformation after it."""
    import torchio as tio

    low, high = (STORED - EDGE) // 2, (STORED + EDGE) // 2
    image, mask = (torch.from_numpy(array[:, low:high, low:high, low:high].copy()) for array in voxels())
    subject = tio.Subject(image=tio.ScalarImage(tensor=image), mask=tio.LabelMap(tensor=mask))
    transforms: list[Any] = [tio.RandomAffine(scales=SCALE, degrees=DEGREES, isotropic=True)]
    if elastic:
        transforms.append(tio.RandomElasticDeformation(num_control_points=7, max_displacement=7.5))
    transform = tio.Compose(transforms)
    return lambda _: transform(subject)


def batchgenerators(elastic: bool) -> Work:
    """batchgeneratorsv2's SpatialTransform, with nearest labels."""
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    radians = float(np.radians(DEGREES))
    transform = SpatialTransform(
        (EDGE,) * 3,
        0,
        random_crop=False,
        p_elastic_deform=float(elastic),
        p_rotation=1.0,
        rotation=(-radians, radians),
        p_scaling=1.0,
        scaling=(1 / SCALE[1], 1 / SCALE[0]),
        p_synchronize_scaling_across_axes=1.0,
        mode_seg="nearest",
    )
    image, mask = voxels()
    floats, labels = torch.from_numpy(image.astype(np.float32)), torch.from_numpy(mask.astype(np.int16))
    return lambda _: transform(image=floats, segmentation=labels)


def batchgenerators_values() -> Work:
    """The steps of nnU-Net on values, each of them done."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform

    low, high = (STORED - EDGE) // 2, (STORED + EDGE) // 2
    crop = voxels()[0][:, low:high, low:high, low:high].astype(np.float32)
    factor = BGContrast((0.75, 1.25))
    steps = [
        GaussianNoiseTransform((0, 0.1), 1, True),
        GaussianBlurTransform((0.5, 1.0), False, False, 1, benchmark=True),
        MultiplicativeBrightnessTransform(factor, False, 1),
        ContrastTransform(factor, True, False, 1),
        SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 1),
        GammaTransform(BGContrast((0.7, 1.5)), 1, False, 1, 1),
        GammaTransform(BGContrast((0.7, 1.5)), 0, False, 1, 1),
    ]

    def work(number: int) -> object:
        given = {"image": torch.from_numpy(crop.copy())}
        for step in steps:
            given = step(**given)
        return given

    return work


VALUES: list[Operation] = [
    GaussianNoise(sigma=(0.0, 0.1), clip=False),
    GaussianBlur3D((0.5, 1.0), per_axis=True),
    RandomBrightness3D((0.75, 1.25), p=1.0),
    RandomContrast3D((0.75, 1.25), p=1.0),
    SimulateLowResolution((0.5, 1.0), p=1.0, p_of_channel=1.0),
    RandomGamma3D((0.7, 1.5), invert=True, p=1.0),
    RandomGamma3D((0.7, 1.5), p=1.0),
]
AFFINE = RandomAffine3D(DEGREES, scale=SCALE)
WORKLOADS: dict[str, dict[str, Callable[[], Work]]] = {
    "affine, image and mask": {
        "medshard": lambda: own([AFFINE]),
        "torch": bare_torch,
        "MONAI": lambda: monai(False),
        "TorchIO": lambda: torchio(False),
        "batchgeneratorsv2": lambda: batchgenerators(False),
    },
    "affine and elastic, image and mask": {
        "medshard": lambda: own([AFFINE, ElasticTransform3D(spacing=21.0, amplitude=7.5)]),
        "MONAI": lambda: monai(True),
        "TorchIO": lambda: torchio(True),
        "batchgeneratorsv2": lambda: batchgenerators(True),
    },
    "nnU-Net's seven steps on values": {
        "medshard": lambda: own(VALUES),
        "batchgeneratorsv2": batchgenerators_values,
    },
}


def timed(work: Work) -> Callable[[], tuple[int, float]]:
    """One crop, each time another."""
    number = 0

    def once() -> tuple[int, float]:
        nonlocal number
        number += 1
        began = time.perf_counter()
        work(number)
        return 1, time.perf_counter() - began

    return once


def run(contestants: dict[str, Callable[[], Work]], rounds: int) -> tuple[Rates, dict[str, str]]:
    """Rates of those that are installed, and why others are missing."""
    there, missing = {}, {}
    for name, make in contestants.items():
        try:
            there[name] = timed(make())
        except ImportError as error:
            missing[name] = str(error)
    return race(there, budget_s=0.0, least_rounds=rounds, most_rounds=rounds), missing


def main() -> None:
    """Print a table, then everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    told: dict[str, Any] = {
        "machine": machine(),
        "versions": versions("torch", "monai", "torchio", "batchgeneratorsv2", "numpy", "scipy"),
    }
    for title, contestants in WORKLOADS.items():
        rates, missing = run(contestants, rounds)
        told[title] = {"missing": missing}
        print(f"{title}, {EDGE} cubed")
        for name in rates.of:
            ratio = rates.ratio("medshard", name)
            told[title][name] = {"crops_per_s": round(rates.median(name), 2), "medshard_over_it": ratio}
            spread = f"{ratio['median']:5.2f} [{ratio['lowest']:.2f} - {ratio['highest']:.2f}]"
            print(f"  {name:20} {1000 / rates.median(name):8.1f} ms    medshard is {spread} times as fast")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
