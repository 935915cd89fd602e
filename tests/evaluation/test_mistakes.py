"""Mistakes are those of the measured inputs: hits add up to the rows of Accuracy, whatever the batches and processes."""

import numpy as np
import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.mistakes import find_mistakes, shown_perturbations, thumbnails
from withstand.functional.random import RowStreams, derive_seed
from withstand.perturbations.corruptions.fog import Fog
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

CONDITIONS = (Identity(), Gaussian(std=0.3, box=(0.0, 1.0)), Fog(severity=5, pixels=32))


def found(model, split, *, seed=0, **options):
    return find_mistakes(model, split, CONDITIONS, data="Tiny", seed=seed, engine=Engine(**options))


def assert_equal(one, other):
    assert (one.data, one.seed, one.classes) == (other.data, other.seed, other.classes)
    for mine, theirs in zip(one.conditions, other.conditions, strict=True):
        assert mine.condition == theirs.condition
        assert np.array_equal(mine.hits, theirs.hits)
        assert np.array_equal(mine.sizes, theirs.sizes)
        assert np.array_equal(mine.example, theirs.example)
        assert [each[:3] for each in mine.worst] == [each[:3] for each in theirs.worst]
        confidences = [[each.confidence for each in own.worst] for own in (mine, theirs)]
        assert confidences[0] == pytest.approx(confidences[1], abs=2e-4)
        for a, b in zip(mine.worst, theirs.worst, strict=True):
            assert np.array_equal(a.thumbnail, b.thumbnail)


@pytest.mark.parametrize("seed", [0, 3])
def test_hits_are_those_of_the_rows_of_accuracy(tiny_model, tiny_split, seed):
    rows = Accuracy(perturbations=CONDITIONS, top=(1,)).measure(tiny_model, tiny_split, seed=seed, engine=Engine())
    for row, own in zip(rows, found(tiny_model, tiny_split, seed=seed).conditions, strict=True):
        assert (own.condition, own.hits.sum(), own.sizes.sum()) == (row.condition, row.total, row.count)
        assert own.error == pytest.approx(1 - row.value)
        assert np.array_equal(own.sizes, tiny_split.y.bincount(minlength=3).numpy())
        assert len(own.worst) == min(4, row.count - row.total)


def test_the_worst_are_the_wrong_ones_with_the_highest_probability_as_the_model_met_them(tiny_model, tiny_split):
    x, y, index = next(iter(tiny_split.batches([torch.arange(20)])))
    for perturbation, own in zip(CONDITIONS, found(tiny_model, tiny_split, seed=1).conditions, strict=True):
        rng = RowStreams(derive_seed(1, perturbation.noise), index)
        moved = perturbation.draw(x, y, tiny_model, num_draws=1, rng=rng).inputs[0]
        with torch.no_grad():
            probabilities = tiny_model(moved).softmax(1)
        highest, predicted = probabilities.max(1)
        wrong = [row for row in range(20) if predicted[row] != y[row]]
        order = sorted(wrong, key=lambda row: -highest[row].item())[:4]
        assert [each.index for each in own.worst] == index[order].tolist()
        assert [each.label for each in own.worst] == y[order].tolist()
        assert [each.predicted for each in own.worst] == predicted[order].tolist()
        assert [each.confidence for each in own.worst] == pytest.approx(highest[order].tolist(), abs=1e-4)
        pictures = (255 * moved).round().byte().permute(0, 2, 3, 1).numpy()
        assert all(np.array_equal(each.thumbnail, pictures[row]) for each, row in zip(own.worst, order, strict=True))
        assert np.array_equal(own.example, pictures[0])


def test_neither_the_batch_size_nor_the_mode_nor_anything_global_matters_or_changes(
    tiny_model, tiny_split, untouched_generators
):
    tiny_model.train()
    before = {name: each.clone() for name, each in tiny_model.state_dict().items()}
    with untouched_generators():
        by_size = [found(tiny_model, tiny_split, batch_size=size) for size in (7, 64, 1)]
    assert tiny_model.training
    assert all(torch.equal(each, before[name]) for name, each in tiny_model.state_dict().items())
    assert_equal(by_size[0], by_size[1])
    assert_equal(by_size[0], by_size[2])


def test_several_processes_find_what_one_finds(tiny_model, tiny_split, monkeypatch):
    # Without processes: what each would give to a sum is written down first, and added up in a second round.
    given = {}

    def run(rank, add_up):
        calls = iter(range(10**6))
        monkeypatch.setattr(Engine, "add_up", lambda _, tensor: add_up(rank, next(calls), tensor))
        return found(tiny_model, tiny_split, rank=rank, world_size=3, batch_size=2)

    for rank in range(3):
        run(rank, lambda rank, call, tensor: given.setdefault((rank, call), tensor.clone()))
    several = [
        run(rank, lambda _, call, __: sum(given[other, call] for other in range(3)).clone()) for rank in range(3)
    ]
    monkeypatch.undo()
    for each in several:
        assert_equal(each, found(tiny_model, tiny_split))


def test_ties_and_what_is_no_number_are_mistakes_for_another_class(tiny_split):
    class Constant(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, x):
            return torch.full((len(x), 3), self.value)

    for value in (0.0, float("nan")):
        (own,) = find_mistakes(
            Constant(value), tiny_split, (Identity(),), data="Tiny", seed=0, engine=Engine()
        ).conditions
        assert own.error == 1
        assert all(each.label != each.predicted for each in own.worst)
        assert [each.confidence for each in own.worst] == pytest.approx([0.3333] * 4)
        assert [each.index for each in own.worst] == [3, 10, 17, 24]


def test_tables_have_mistakes_without_pictures():
    split = TensorSplit(torch.randn(9, 2), torch.zeros(9).long(), classes=("a", "b"), box=None)
    model = nn.Linear(2, 2)
    found = find_mistakes(model, split, (Identity(),), data="T", num_worst=9, seed=0, engine=Engine())
    (own,) = found.conditions
    assert own.example is None
    assert len(own.worst) == 9 - own.hits.sum()
    assert all(each.thumbnail is None for each in own.worst)


def test_large_images_become_thumbnails_of_64_pixels():
    x = torch.zeros(2, 3, 100, 200)
    x[..., 100:] = 1.0
    small = thumbnails(x).numpy()
    assert (small.shape, small.dtype) == ((2, 32, 64, 3), np.uint8)
    assert (small[:, :, :30].max(), small[:, :, 34:].min()) == (0, 255)


def test_of_a_corruption_the_highest_severity_is_shown_and_of_saved_images_too():
    fogs = [Fog(severity=each) for each in (1, 4, 2)]
    every = (*fogs, SavedAsJpeg(perturbation=fogs[0]), Gaussian(std=0.1), Gaussian(std=0.5))
    names = [each.condition for each in shown_perturbations(every)]
    assert names == ["clean", "fog/4", "fog+jpeg/1", "Gaussian std=0.1", "Gaussian std=0.5"]


def test_conditions_must_differ(tiny_model, tiny_split):
    with pytest.raises(InputError, match=r"^mistakes: perturbations must differ from each other and be at least one"):
        find_mistakes(tiny_model, tiny_split, (Identity(),) * 2, data="T", seed=0, engine=Engine())
