"""Pictures of real volumes (niivue_demo, torchio_data, totalsegmentator_ref) against nibabel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from corpora import build_corpus
from nibabel.affines import apply_affine

import medshard
from medshard.augment import Montage, Operation, Resize, TakeSlab, TakeSlice, TakeSlices, Window, to_voxels
from medshard.corpus.corpus import Corpus

SPEC = """\
spec: 1
name: real
about: {title: Real volumes, modality: mri}
licence: {id: other, access: open, redistribute: "yes", evidence: page}
sources:
  images: {files: "FILES"}
MASKSsamples: {from: images, key: id, patient: unknown, split: none}
media:
  image: {from: images, kind: volume, units: arbitrary}
SLOTSfacts:
  FACTS
"""
CLASS = "kind: {kind: class, value: id, covers: named_only, match: {'.*': mass}, no_value: error}"
ORGANS = "organ: {kind: mask_classes, of: organs, covers: named_only, match: {'[1-9][0-9]*': mass}}"
FILES = {
    "CT_pitch": "niivue_demo/CT_pitch.nii.gz",  # a tilted gantry
    "fmri_pitch": "niivue_demo/fmri_pitch.nii.gz",
    "M2208_dog": "niivue_demo/M2208_dog.nii.gz",
    "t2": "torchio_data/data/fernando/t2.nii.gz",  # 26 planes 5.5 mm apart, turned
    "example_mr_sm": "totalsegmentator_ref/example_mr_sm.nii.gz",
}
EXACT = Window(-4096, 4096)


def _spec(folder: Path, files: str, masks: str | None = None) -> Path:
    text = SPEC.replace("FILES", files)
    if masks is None:
        text = text.replace("MASKS", "").replace("SLOTS", "")
        text = text.replace(
            "FACTS", "kind: {kind: class, value: id, covers: named_only, match: {'.*': mass}, no_value: error}"
        )
    else:
        text = text.replace("MASKS", f'  labels: {{files: "{masks}"}}\n')
        text = text.replace("SLOTS", "  organs: {from: labels, using: [id], kind: mask, like: image}\n")
        text = text.replace(
            "FACTS", "organ: {kind: mask_classes, of: organs, covers: named_only, match: {'[1-9]\\d*': mass}}"
        )
    (folder / "real.yaml").write_text(text)
    return folder / "real.yaml"


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    root = tmp_path_factory.mktemp("real")
    (root / "tree").mkdir()
    for name, file in FILES.items():
        (root / "tree" / f"{name}.nii.gz").write_bytes((shared / "data" / file).read_bytes())
    return root / "tree", build_corpus(_spec(root, "{id}.nii.gz"), root / "tree", root / "corpus").corpus


def batch_of(corpus: Corpus, name: str, transform: list[Operation], **options: Any) -> dict[str, Any]:
    chosen = corpus.select(f"key = 'real-{name}'")
    (batch,) = medshard.Loader(chosen, 1, transform=transform, by="sample", channels=1, image="image", **options)
    return batch


def stored(batch: dict[str, Any]) -> np.ndarray:
    return batch["image"][0].numpy().astype(np.float64) * 8192 - 4096


def equal(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Exactly, but for values that are no whole numbers, which pass through a window of 8192 in float32."""
    whole = (wanted == np.rint(wanted)).all()
    return bool(np.array_equal(found, wanted) if whole else np.abs(found - wanted).max() < 5e-4)


@pytest.mark.parametrize("name", FILES)
def test_radiological_slices_are_those_of_nibabel(real: tuple[Path, Corpus], name: str) -> None:
    folder, corpus = real
    volume = nibabel.load(folder / f"{name}.nii.gz")
    values = np.asarray(nibabel.as_closest_canonical(volume).dataobj)
    for axis, last, first in (("axial", 2, (1, 0)), ("coronal", 1, (2, 0)), ("sagittal", 0, (2, 1))):
        wanted = np.flip(values.transpose(last, *first), (1, 2))
        wanted = wanted[::-1] if axis == "coronal" else wanted
        take = TakeSlices(axis, count=5, orientation="radiological")  # type: ignore[arg-type]
        batch = batch_of(corpus, name, [take, Resize(wanted.shape[1:]), EXACT])
        planes = [(2 * number + 1) * len(wanted) // 10 for number in range(5)]
        stacked = stored(batch)[:, 0]
        # Even planes of the stored order, shown in the patient's: the same ones counted from either end.
        from_end = [len(wanted) - 1 - plane for plane in planes][::-1]
        assert any(equal(stacked, wanted[chosen]) for chosen in (planes, from_end))
        for matrix, index, position in zip(
            batch["voxels_from_picture"][0], batch["slice_index"][0], batch["position_mm"][0], strict=True
        ):
            corners = to_voxels([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]], matrix, batch["geometry"][0])
            world = apply_affine(volume.affine, corners[:, ::-1])
            normal = np.cross(world[1] - world[0], world[2] - world[0])
            normal /= np.linalg.norm(normal)
            normal *= np.sign(normal[np.abs(normal).argmax()])
            assert float(position) == pytest.approx(float(world[0] @ normal), abs=1e-4)
            assert int(index) in corners[0].astype(int)


@pytest.mark.parametrize("name", FILES)
def test_projections_and_montages_are_numpys(real: tuple[Path, Corpus], name: str) -> None:
    folder, corpus = real
    values = np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj).transpose()
    for letter, axis in (("z", 0), ("y", 1), ("x", 2)):
        wanted = values.max(axis)
        batch = batch_of(corpus, name, [TakeSlab(letter, reduce="max"), Resize(wanted.shape), EXACT])  # type: ignore[arg-type]
        assert equal(stored(batch)[0], wanted)
    planes = [values[(2 * number + 1) * len(values) // 8] for number in range(4)]
    wanted = np.concatenate([np.concatenate(planes[:2], 1), np.concatenate(planes[2:], 1)])
    batch = batch_of(corpus, name, [Montage("z", rows=2, columns=2), Resize(wanted.shape), EXACT])
    assert equal(stored(batch)[0], wanted)


def test_masks_of_an_abdomen_lie_on_its_slices(shared: Path, tmp_path: Path) -> None:
    """TotalSegmentator's labels of a CT: every plane, and the projection of a slab of 60 mm."""
    data, tree = shared / "data" / "totalsegmentator_ref", tmp_path / "tree"
    tree.mkdir()
    image, mask = nibabel.load(data / "example_ct.nii.gz"), nibabel.load(data / "example_seg_fast_force_split.nii.gz")
    for name, of in (("ct", "example_ct"), ("seg", "example_seg_fast_force_split")):
        (tree / f"{name}_a.nii.gz").write_bytes((data / f"{of}.nii.gz").read_bytes())
    spec = _spec(tmp_path, "ct_{id}.nii.gz", "seg_{id}.nii.gz")
    corpus = build_corpus(spec, tree, tmp_path / "corpus").corpus
    values, labels = (np.asarray(one.dataobj).transpose() for one in (image, mask))
    take = TakeSlices("z", count="all")
    batch = batch_of(corpus, "a", [take, Resize(labels.shape[1:]), EXACT], mask="organs")
    np.testing.assert_array_equal(stored(batch)[:, 0], values)
    np.testing.assert_array_equal(batch["mask"][0], labels)
    slab = TakeSlab("coronal", thickness_mm=60.0, reduce="max")  # 20 planes of 3 mm
    batch = batch_of(corpus, "a", [slab, Resize(labels.max(1).shape), EXACT], mask="organs")
    middle = labels.shape[1] // 2
    np.testing.assert_array_equal(batch["mask"][0], labels[:, middle - 9 : middle + 11].max(1))
    marked: list[Operation] = [TakeSlice("z", index="foreground"), Resize((64, 64))]
    drawn = [batch_of(corpus, "a", marked, mask="organs", seed=seed) for seed in range(8)]
    shown = {int(batch["slice_index"][0, 0]) for batch in drawn}
    assert len(shown) > 3
    assert all(labels[plane].any() for plane in shown)
