"""Mistakes are picked from the outcomes, and drawn again as the model met them."""

from dataclasses import dataclass, replace

import numpy as np
import polars
import pytest
import torch

from withstand.data.base import Split, TensorSplit
from withstand.data.sample import Sample
from withstand.engine import Engine
from withstand.functional.random import RowStreams, derive_seed, normal
from withstand.measuring.mistakes import Drawn, draw_mistakes, keep_mistakes, thumbnails
from withstand.perturbations.base import Draws
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.mistakes import read_mistakes, write_mistakes
from withstand.study.picked_mistakes import pick_mistakes

LABELS = [0, 0, 1, 1, 2, 2]
NUMBERS = [3, 10, 17, 24, 31, 38]


@dataclass(frozen=True, kw_only=True)
class FakeNoise:
    """A perturbation that adds noise from the streams; it has only what drawing needs."""

    condition: str
    noise: str

    def draw(self, x, y, model, *, num_draws, rng, space):
        assert (num_draws, space.shape, model.training) == (1, tuple(x.shape[1:]), False)
        return Draws(inputs=(x + 0.2 * normal(x.shape, rng=rng)).clamp(0, 1)[None])


def outcomes(condition, predictions, confidences=(0.9,) * 6, correct=None):
    """Return outcomes in which a prediction of None is an output that is not finite."""
    right = [one == other for one, other in zip(predictions, LABELS, strict=True)] if correct is None else correct
    columns = polars.DataFrame(
        {
            "number": polars.Series(NUMBERS, dtype=polars.UInt32),
            "prediction": polars.Series(predictions, dtype=polars.Int16),
            "confidence": polars.Series(confidences, dtype=polars.Float32),
            "correct": right,
        }
    )
    return ConditionOutcomes(condition=condition, measures=(), columns=columns)


def table(*conditions):
    samples = polars.DataFrame(
        {
            "source": "",
            "number": polars.Series(NUMBERS, dtype=polars.UInt32),
            "label": polars.Series(LABELS, dtype=polars.Int32),
            "identifier": polars.Series([None] * 6, dtype=polars.String),
        }
    )
    return OutcomeTable(samples=samples, classes=("a", "b", "c"), conditions=conditions, data="Tiny", seed=5)


CLEAN = outcomes("clean", LABELS)


def test_the_surest_mistakes_are_picked_and_equal_ones_by_number():
    found = pick_mistakes(table(outcomes("clean", [1, 0, 0, 0, 0, 0], (0.5, 0.9, 0.8, 0.8, 0.70004, 0.6))))
    (own,) = found.conditions
    assert (found.data, found.seed, found.classes) == ("Tiny", 5, ("a", "b", "c"))
    assert [each[:4] for each in own.worst] == [(17, 1, 0, 0.8), (24, 1, 0, 0.8), (31, 2, 0, 0.7), (38, 2, 0, 0.6)]
    assert (own.hits.tolist(), own.sizes.tolist()) == ([1, 0, 0], [2, 2, 2])
    assert [each.name for each in found.worst_classes(own)] == ["b", "c", "a"]


def test_ties_and_outputs_that_are_not_finite_are_mistakes():
    conditions = outcomes("clean", [0, 0, 1, 1, 2, None], (0.5, 0.9, 0.9, 0.9, 0.9, 0.0), [False, *[True] * 4, False])
    (own,) = pick_mistakes(table(conditions)).conditions
    assert [each[:4] for each in own.worst] == [(3, 0, 0, 0.5), (38, 2, -1, 0.0)]


def test_of_a_corruption_the_highest_severity_is_shown_and_what_has_no_prediction_is_not():
    names = ("clean", "fog/1", "fog/4", "fog/2", "fog+jpeg/1", "Gaussian std=0.1", "Gaussian std=0.5")
    without = ConditionOutcomes(condition="distance", measures=(), columns=CLEAN.frame.select("number", "correct"))
    every = [outcomes(each, LABELS, (0.1 * (k + 1),) * 6) for k, each in enumerate(names)]
    found = pick_mistakes(table(*every, replace(CLEAN, condition="clean by class", columns=every[0].frame), without))
    shown = ["clean", "fog/4", "fog+jpeg/1", "Gaussian std=0.1", "Gaussian std=0.5"]
    assert [each.condition for each in found.conditions] == shown
    assert pick_mistakes(table(without)) is None


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (6, 3, 8, 8), generator=generator, dtype=torch.uint8)
    # In the split, samples stand in another order than their numbers.
    order = torch.tensor([2, 0, 1, 5, 4, 3])
    y = torch.tensor(LABELS)[order]
    return TensorSplit(x, y, classes=("a", "b", "c"), box=(0.0, 1.0), numbers=torch.tensor(NUMBERS)[order])


def test_pictures_are_those_of_the_samples_as_the_model_met_them(split, tmp_path):
    known = table(CLEAN, outcomes("noisy", [1, 0, 0, 1, 2, 1]))
    picked = pick_mistakes(known)
    noises = {name: FakeNoise(condition=name, noise=f"noise of {name}") for name in ("clean", "noisy")}
    model = torch.nn.Linear(1, 1).train()
    inputs = {name: Drawn(lambda: split, each) for name, each in noises.items()}
    found = draw_mistakes(picked, known, inputs, model, engine=Engine(device="cpu"))
    assert model.training
    x, y, index, *_ = next(iter(split.batches([torch.arange(6)])))
    for own in found.conditions:
        rng = RowStreams(derive_seed(5, noises[own.condition].noise), index)
        moved = noises[own.condition].draw(x, y, model.eval(), num_draws=1, rng=rng, space=split.space).inputs[0]
        pictures = dict(zip(index.tolist(), thumbnails(moved).numpy(), strict=True))
        assert np.array_equal(own.example, pictures[3])
        assert all(np.array_equal(each.thumbnail, pictures[each.index]) for each in own.worst)
    assert [len(own.worst) for own in found.conditions] == [0, 3]
    write_mistakes(tmp_path / "m.npz", found)
    assert np.array_equal(read_mistakes(tmp_path / "m.npz").conditions[1].worst[2].thumbnail, own.worst[2].thumbnail)


def test_a_condition_that_cannot_be_drawn_has_no_pictures_and_the_others_have(split, tmp_path):
    known = table(outcomes("clean", [1] * 6), outcomes("attack", [1] * 6, (0.8,) * 6))
    picked = pick_mistakes(known)
    noise = FakeNoise(condition="clean", noise="n")
    found = draw_mistakes(
        picked, known, {"clean": Drawn(lambda: split, noise)}, torch.nn.Identity().eval(), engine=Engine(device="cpu")
    )
    write_mistakes(tmp_path / "m.npz", found)
    clean, attack = read_mistakes(tmp_path / "m.npz").conditions
    assert all(each.thumbnail is not None for each in clean.worst)
    assert attack.example is None
    assert [each[:3] for each in attack.worst] == [each[:3] for each in clean.worst]
    assert all(each.thumbnail is None for each in attack.worst)


def test_tables_have_mistakes_without_pictures():
    known = table(outcomes("clean", [1] * 6))
    picked = pick_mistakes(known)
    rows = TensorSplit(torch.randn(6, 2), torch.tensor(LABELS), classes=("a", "b", "c"), box=None)
    noise = FakeNoise(condition="clean", noise="n")
    found = draw_mistakes(
        picked, known, {"clean": Drawn(lambda: rows, noise)}, torch.nn.Identity(), engine=Engine(device="cpu")
    )
    assert all(each.thumbnail is None for each in found.conditions[0].worst)


def test_large_images_become_thumbnails_of_64_pixels():
    x = torch.zeros(2, 3, 100, 200)
    x[..., 100:] = 1.0
    small = thumbnails(x).numpy()
    assert (small.shape, small.dtype) == ((2, 32, 64, 3), np.uint8)
    assert (small[:, :, :30].max(), small[:, :, 34:].min()) == (0, 255)


class Unreadable(Split):
    """A split of which the first file cannot be read, so that batches leave it out."""

    def __init__(self, split):
        self.split, self.classes, self.shape, self.box = split, split.classes, split.shape, split.box
        self.numbers = split.numbers

    def __len__(self):
        return len(self.split)

    def batches(self, plan, *, device="cpu", num_workers=0, augmentation_seed=None):
        for found in self.split.batches(plan, device=device):
            rows = (found.number != self.numbers[0]).nonzero()[:, 0]
            yield Sample(*(each if each is None else each[rows] for each in found))


def test_the_example_is_a_sample_that_could_be_read(split):
    lost = int(split.numbers[0])
    clean = outcomes("clean", [1] * 6)
    known = table(replace(clean, columns=clean.frame.filter(polars.col("number") != lost)))
    inputs = {"clean": Drawn(lambda: Unreadable(split), FakeNoise(condition="clean", noise="n"))}
    picked = pick_mistakes(known)
    (own,) = draw_mistakes(picked, known, inputs, torch.nn.Identity(), engine=Engine(device="cpu")).conditions
    assert own.example is not None
    # A split without numbers has its places for numbers.
    assert Unreadable.numbers is None


def test_a_condition_that_was_measured_again_has_its_mistakes_picked_again(tmp_path):
    def kept(name, predictions, confidence=0.9):
        own = outcomes("clean", predictions, (confidence,) * 6)
        path = tmp_path / f"{name}.parquet"
        own.frame.write_parquet(path)
        keep_mistakes(tmp_path, table(replace(own, columns=path)), {}, torch.nn.Identity, engine=Engine(device="cpu"))
        return read_mistakes(tmp_path / "mistakes.npz")

    first = kept("clean-a", [1, *LABELS[1:]]).conditions[0]
    assert (len(first.worst), first.outcomes) == (1, "clean-a.parquet")
    again = kept("clean-b", [1, 1, *LABELS[2:]]).conditions[0]
    assert (len(again.worst), again.outcomes) == (2, "clean-b.parquet")
    # The same file: what is kept stays.
    (tmp_path / "mistakes.npz").touch()
    before = (tmp_path / "mistakes.npz").stat().st_mtime_ns
    kept("clean-b", [1, 1, *LABELS[2:]])
    assert (tmp_path / "mistakes.npz").stat().st_mtime_ns == before
