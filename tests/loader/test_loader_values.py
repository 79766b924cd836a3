"""A transform with steps on values: the same batches for any threads and after a restart, under what texts allow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streams import streamed

import medshard
from medshard.augment import (
    CLAHE,
    JPEG,
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    MultiCrop,
    Normalize,
    Operation,
    RandomErasing,
    RandomGamma,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    TakeSlice,
    Window,
    ZScoreNormalize,
    compile_operations,
)
from medshard.augment.geometry import FREE
from medshard.augment.steps import Step
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.conversation import ItemText
from medshard.loader.pixels import PixelPlan, draw_items
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.loader.values import draw_item_values

STEPS: list[Operation] = [
    TakeSlice("z", index="random"),
    RandomResizedCrop(24, scale=(0.3, 1.0)),
    ColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8),
    RandomHorizontalFlip(),
    GaussianBlur(5, p=0.5),
    CLAHE(p=0.3),
    JPEG((20, 90), p=0.3),
    RandomGamma(),
    GaussianNoise(sigma=(0.0, 0.1)),
    RandomErasing(),
    Normalize([0.5] * 3, [0.25] * 3),
]


def loader(corpus: Corpus, transform: list[Operation] = STEPS, **options: object) -> medshard.Loader:
    return medshard.Loader(corpus, batch_size=5, transform=transform, seed=3, **options)  # type: ignore[arg-type]


def test_any_number_of_threads_and_a_restart_give_the_same_batches(corpus: Corpus) -> None:
    expected = streamed(loader(corpus, threads=1))
    assert len(expected) > 4
    for threads in (2, 4):
        assert streamed(loader(corpus, threads=threads)) == expected
    first = loader(corpus, threads=2)
    batches = iter(first)
    begun = [next(batches) for _ in range(3)]
    again = loader(corpus, threads=3)
    again.load_state_dict(begun[-1]["state"])
    assert streamed(begun) + streamed(again) == expected


def test_another_batch_size_another_epoch_and_another_seed(corpus: Corpus) -> None:
    def by_item(**options: object) -> dict[str, str]:
        given: dict[str, object] = {"batch_size": 5, "seed": 3, "transform": STEPS, "threads": 2, **options}
        made = medshard.Loader(corpus, **given)  # type: ignore[arg-type]
        return {item: digest for batch in streamed(made) for item, digest, _ in batch}

    expected = by_item()
    assert by_item(batch_size=8) == expected
    other = by_item(seed=4)
    assert other.keys() == expected.keys()
    assert sum(other[item] == expected[item] for item in other) < len(other) / 10


def pictures(corpus: Corpus, transform: list[Operation]) -> dict[str, torch.Tensor]:
    batches = loader(corpus, transform, shuffle=False, threads=2)
    return {item: batch["image"][place] for batch in batches for place, item in enumerate(batch["item"])}


def test_a_list_that_changes_nothing_gives_the_bits_of_the_direct_path(corpus: Corpus) -> None:
    begin: list[Operation] = [TakeSlice("z"), RandomResizedCrop(24)]
    end = Normalize([0.5, 0.4, 0.3], [0.25, 0.2, 0.3])
    direct = pictures(corpus, [*begin, end])
    stepwise = pictures(corpus, [*begin, RandomGamma(p=0.0), end])
    assert direct.keys() == stepwise.keys()
    assert all(torch.equal(direct[item], stepwise[item]) for item in direct)


def test_values_end_as_the_last_operation_says(corpus: Corpus) -> None:
    seen = pictures(corpus, [TakeSlice("z"), RandomResizedCrop(24), ZScoreNormalize()])
    varied = [picture for picture in seen.values() if picture.std() > 0]
    assert len(varied) > 10
    for picture in varied:
        assert float(picture.double().mean()) == pytest.approx(0, abs=1e-4)
        assert float(picture.double().std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_statistics_of_the_file_do_not_depend_on_the_crop(corpus: Corpus) -> None:
    """Two draws of crops are the same affine map of the pixels that a fixed window gives for them."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in (1, 2):
        seen = []
        for last in (ZScoreNormalize(statistics="file"), Window(0, 100_000)):
            transform: list[Operation] = [TakeSlice("z"), RandomResizedCrop(24), last]
            made = medshard.Loader(corpus, 5, transform=transform, seed=seed, threads=2)
            seen.append({item: batch["image"][n].double() for batch in made for n, item in enumerate(batch["item"])})
        for item, scored in seen[0].items():
            stored = seen[1][item] * 100_000
            if stored.std() < 1 or stored.min() == 0 or stored.max() > 99_000:
                continue  # clipped by the window
            deviation = float(stored.std() / scored.std())
            found.setdefault(item, []).append((deviation, float((stored - scored * deviation).mean())))
    twice = [seen_of for seen_of in found.values() if len(seen_of) == 2]
    assert len(twice) > 3
    for (deviation, mean), (other_deviation, other_mean) in twice:
        assert other_deviation == pytest.approx(deviation, rel=1e-3)
        assert other_mean == pytest.approx(mean, abs=0.02 * deviation)


def test_a_jittered_window_moves_each_item_by_itself(corpus: Corpus) -> None:
    transform: list[Operation] = [TakeSlice("z"), RandomResizedCrop(24, scale=(1.0, 1.0), ratio=(1.0, 1.0))]
    still = pictures(corpus, [*transform, Window(20, 200)])
    moved = pictures(corpus, [*transform, Window(20, 200, jitter_centre=0.2, jitter_width=0.2)])
    shares = [float((still[item] - moved[item]).abs().mean()) for item in still]
    assert np.mean(np.array(shares) > 1e-3) > 0.5


def with_keeps(count: int, **kept: str) -> list[ItemText]:
    return [ItemText(None, (), FREE.model_copy(update=kept), ((2.0, 2.0, 20.0, 20.0),))] * count


def test_each_items_text_decides_for_its_own_picture() -> None:
    """Of three texts: one refuses other intensities, one refuses cropping, one allows everything."""
    compiled = compile_operations([Resize((24, 24)), RandomGamma((2.0, 3.0), p=1.0), RandomErasing(p=1.0, holes=2)])
    texts = [text for kept in ({"intensity": "refuse"}, {"crop": "refuse"}, {}) for text in with_keeps(1, **kept)]
    lines = [ItemLine(item, item, "", "", Part(0, 0, 0, 0), None, None) for item in range(3)]
    plans = [PixelPlan(None)] * 3
    values = draw_item_values(lines, texts, plans, compiled, 3, 0, 0)
    applied = {step.kind: (values.params[:, step.first] != 0).tolist() for step in values.steps}
    assert applied == {"window": [True] * 3, "gamma": [False, True, True], "erase": [True, False, True]}


def test_holes_stay_off_the_regions_of_the_delivered_picture() -> None:
    """A region of stored pixels 2..20 of 48 lies at 1..10 of the 24 that are delivered, mirrored at 14..23."""
    count = 300
    operations = [Resize((24, 24)), RandomHorizontalFlip(p=1.0), RandomErasing(p=1.0, scale=(0.02, 0.1))]
    compiled = compile_operations(operations)
    texts = with_keeps(count, crop="regions")
    medium = MediumLine("image", "image", "YXC", (48, 48, 3), "uint8", 8, None, None, None)
    lines = [ItemLine(item, item, "", "", Part(0, 0, 0, 0), medium, None) for item in range(count)]
    plans = draw_items(lines, texts, compiled, 0, 0)
    values = draw_item_values(lines, texts, plans, compiled, 3, 0, 0)
    top, left, bottom, right = values.params[:, -4:].T
    assert (bottom > top).mean() > 0.95
    covers = (left < 23) & (right > 14) & (top < 10) & (bottom > 1) & (bottom > top)
    assert not covers.any()
    assert ((left < 10) & (top < 10)).any(), "the other side is free"


def test_a_shorter_batch_draws_the_same_for_each_item() -> None:
    geometry = MultiCrop(global_size=24, local_size=24, n_global=1, n_local=1)
    compiled = compile_operations([geometry, *(step for step in STEPS if isinstance(step, Step))])
    lines = [ItemLine(item, item, "", "", Part(0, 0, 0, 0), None, None) for item in range(40)]
    plans = [PixelPlan(None)] * 40
    whole = draw_item_values(lines, with_keeps(40), plans, compiled, 3, 7, 2)
    part = draw_item_values(lines[30:35], with_keeps(5), plans[:5], compiled, 3, 7, 2)
    assert np.array_equal(part.params, whole.params[30:35])
    assert np.array_equal(part.noise_seeds, whole.noise_seeds[30:35])
    for epoch, view in ((3, 0), (2, 1)):
        other = draw_item_values(lines, with_keeps(40), plans, compiled, 3, 7, epoch, view)
        assert not np.isin(other.noise_seeds, whole.noise_seeds).any()
        assert not np.array_equal(other.params, whole.params)


@pytest.mark.parametrize(
    ("transform", "options", "message"),
    [
        ([Normalize([0.5], [0.5])], {"dtype": "uint8"}, "dtype='uint8' holds 0..1 times 255"),
        ([ZScoreNormalize()], {"dtype": "uint8"}, "dtype='uint8' holds 0..1 times 255"),
        ([Normalize([0.5] * 3, [0.5] * 3)], {"channels": 1}, "Normalize has 3 channels, the loader 1"),
        ([RandomErasing(value=(0, 0, 1))], {"channels": 1}, "RandomErasing has 3 channels, the loader 1"),
    ],
)
def test_what_cannot_be_delivered_is_refused_at_once(
    corpus: Corpus, transform: list[Operation], options: dict[str, object], message: str
) -> None:
    with pytest.raises(LoaderError, match=message):
        loader(corpus, [TakeSlice("z"), RandomResizedCrop(24), *transform], **options)
