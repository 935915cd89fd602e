"""Randomised smoothing against linear models, whose certified radius is the distance to the plane between the classes."""

import dataclasses

import pytest
import torch
from scipy.special import ndtr, ndtri
from scipy.stats import beta
from torch import nn

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.data.tables.features import fit_features
from withstand.errors import InputError
from withstand.evaluation.randomized_smoothing import RandomizedSmoothing
from withstand.functional.changes import Change
from withstand.functional.random import RowStreams

PLANE = Space(shape=(2,))


class Linear(nn.Module):
    """Class 1 where 3 a + 4 b > 0, computed in the same order in every batch."""

    def forward(self, x):
        height = 3 * x[:, 0] + 4 * x[:, 1]
        return torch.stack([-height, height], 1)


def points(distances):
    """Return points at signed distances from the plane."""
    along = torch.linspace(-2, 2, len(distances))[:, None] * torch.tensor([-0.8, 0.6])
    return along + torch.as_tensor(distances, dtype=torch.float32)[:, None] * torch.tensor([0.6, 0.8])


def measured(evaluation, x, y, *, model=None, space=PLANE, most=500, seed=0, index=None):
    rng = RowStreams(seed, torch.arange(len(x)) if index is None else index)
    with torch.no_grad():
        (found,) = evaluation.outcomes(model or Linear(), x, y, space=space, state=most, rng=rng).values()
    return found


def test_the_bound_and_the_radius_are_those_of_the_closed_form():
    distance = torch.linspace(0.05, 1.2, 400)
    evaluation = RandomizedSmoothing(std=0.5, num_draws=1000, alpha=0.05)
    found = measured(evaluation, points(distance), torch.ones(400, dtype=torch.int64))
    right = found["prediction"] == 1
    assert right[distance > 0.2].all()
    hits = (found["confidence"] * 1000).round()
    torch.testing.assert_close(
        found["p_low"], torch.from_numpy(beta.ppf(0.05, hits.numpy(), 1001 - hits.numpy())), rtol=1e-9, atol=0
    )
    expected = torch.from_numpy(0.5 * ndtri(found["p_low"].numpy())).clamp_min(0).where(right, 0)
    torch.testing.assert_close(found["radius"], expected)
    # The bounds hold with probability 95 %, and not by a wide margin.
    too_high = (found["p_low"] > torch.from_numpy(ndtr(distance.numpy() / 0.5)))[right].double().mean()
    assert 0.01 < too_high < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    # The radius is the distance, less the width of the interval.
    middle = (distance > 0.3) & (distance < 0.8)
    assert (distance - found["radius"])[middle].mean().item() == pytest.approx(0.045, abs=0.02)


def test_the_most_frequent_class_counts_not_that_of_the_input():
    class Band(nn.Module):
        def forward(self, x):  # class 0 in a narrow band around 0
            return torch.stack([0.1 - x[:, 0].abs(), x[:, 0].abs() - 0.1], 1)

    x, y = torch.zeros(3, 2), torch.ones(3, dtype=torch.int64)
    found = measured(RandomizedSmoothing(std=1.0, num_draws=1000), x, y, model=Band())
    assert found["prediction"].tolist() == [1, 1, 1]
    assert found["certified"].all()


def test_it_abstains_on_the_plane_and_certifies_no_wrong_class():
    x = points([0.0] * 50 + [-0.7] * 50)
    found = measured(RandomizedSmoothing(std=0.5, num_draws=1000), x, torch.ones(100, dtype=torch.int64))
    assert found["abstains"][:50].double().mean() > 0.98
    assert not found["abstains"][50:].any()
    assert not found["certified"][50:].any()
    assert not found["correct"][50:].any()
    assert (found["radius"][50:] == 0).all()
    assert (found["certified"] == (found["radius"] > 0)).all()


@pytest.mark.parametrize("radius", [None, 0.4])
def test_neither_other_samples_nor_the_batch_size_matter(radius):
    evaluation = RandomizedSmoothing(std=0.5, radius=radius, num_selection=70, num_draws=700)
    x, y = points(torch.linspace(-0.5, 0.9, 30)), torch.ones(30, dtype=torch.int64)
    whole = measured(evaluation, x, y)
    for most in (7, 64, 4096):
        again = measured(evaluation, x, y, most=most)
        assert all(torch.equal(whole[name], again[name]) for name in whole)
    rows = torch.tensor([17, 3, 28])
    some = measured(evaluation, x[rows], y[rows], index=rows)
    assert all(torch.equal(whole[name][rows], some[name]) for name in whole)
    other = measured(evaluation, x, y, seed=1)
    assert not torch.equal(whole["confidence"], other["confidence"])


def test_batches_are_filled_across_samples_and_no_draw_is_lost():
    sizes = []

    class Counting(Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    evaluation = RandomizedSmoothing(num_selection=100, num_draws=1000)
    measured(evaluation, points([1.0] * 8), torch.ones(8, dtype=torch.int64), model=Counting(), most=256)
    assert sum(sizes) == 8 * 1100
    assert max(sizes) <= 256
    assert len(sizes) <= 8 * 1100 / 256 * 1.15


@pytest.mark.slow
@pytest.mark.parametrize("radius", [0.25, 0.5, 1.0])
def test_the_question_at_one_radius_has_the_answers_of_all_draws_for_less_than_half_of_them(radius):
    distance = torch.linspace(-0.5, 1.5, 300)
    x, y = points(distance), torch.ones(300, dtype=torch.int64)
    full = measured(RandomizedSmoothing(std=0.5), x, y)
    early = measured(RandomizedSmoothing(std=0.5, radius=radius), x, y)
    expected = full["radius"] >= radius
    assert 50 < int(expected.sum()) < 250
    assert int((early["certified"] != expected).sum()) <= 3
    assert not early["certified"][distance < radius].any()
    right = early["correct"]
    assert torch.equal(right, full["correct"])
    assert early["draws"][right].double().mean() < 0.5 * 10_100
    assert (early["draws"][~right] == 100).all()
    assert int(early["draws"].max()) <= 10_100


def test_a_radius_beyond_all_draws_is_a_no_without_draws():
    x, y = points([9.0]), torch.ones(1, dtype=torch.int64)
    found = measured(RandomizedSmoothing(std=0.5, radius=2.0, num_draws=1000), x, y)
    assert found["draws"].tolist() == [100]
    assert not found["certified"].any()


def test_noise_of_images_is_not_clipped():
    seen = []

    class Seeing(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return x.flatten(1)[:, :2]

    space = Space(shape=(1, 2, 2), box=(0.0, 1.0))
    evaluation = RandomizedSmoothing(std=0.5, num_selection=200, num_draws=3000)
    y = torch.zeros(1, dtype=torch.int64)
    measured(evaluation, torch.full((1, 1, 2, 2), 0.5), y, model=Seeing(), space=space)
    noise = torch.cat(seen) - 0.5
    # Selection and estimation share no numbers, but for the rounding of few.
    assert len(noise.unique()) > 0.998 * noise.numel()
    assert noise.std().item() == pytest.approx(0.5, rel=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert float(noise.max()) > 1


def features(**fields):
    return fit_features(["a", "b"], torch.tensor([[0.0, 0.0], [1.0, 2.0]]))._replace(**fields)


def test_radii_are_in_the_unit_and_about_the_moving_columns():
    # In the units of the file the plane is 3 a / 2 + 4 b = 0.
    x, y = torch.tensor([[0.4, 0.1]]), torch.ones(1, dtype=torch.int64)
    height = 3 * 0.4 + 4 * 0.1
    scaled = Space(shape=(2,), features=features(scale=(2.0, 1.0)))
    evaluation = RandomizedSmoothing(std=0.25, unit="raw", num_draws=20_000)
    found = measured(evaluation, x, y, space=scaled)
    assert float(found["radius"]) == pytest.approx(height / (1.5**2 + 4**2) ** 0.5, rel=0.06)
    assert float(found["radius"]) < height / (1.5**2 + 4**2) ** 0.5
    fixed = Space(shape=(2,), features=features(movable=(True, False)))
    found = measured(RandomizedSmoothing(std=0.25, num_draws=20_000), x, y, space=fixed)
    assert float(found["radius"]) == pytest.approx(height / 3, rel=0.06)


def test_discrete_changes_are_refused():
    changed = features(movable=(True, False), changes=(Change(inputs=(1,), values=((0.0,), (1.0,))),))
    split = TensorSplit(points([1.0]), torch.tensor([1]), classes=("no", "yes"), box=None, features=changed)
    with pytest.raises(InputError, match=r"RandomizedSmoothing: .* b;"):
        RandomizedSmoothing().adapted(split)


def test_outputs_that_are_not_finite_count_for_no_class():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.where(x[:, :1] > 0, torch.tensor([0.0, 1.0]), torch.nan)

    x, y = torch.tensor([[-9.0, 0.0], [0.3, 0.0]]), torch.ones(2, dtype=torch.int64)
    found = measured(RandomizedSmoothing(std=0.25, num_draws=2000), x, y, model=Broken())
    assert found["prediction"].tolist() == [-1, 1]
    assert found["certified"].tolist() == [False, True]
    assert found["confidence"].tolist() == pytest.approx([0, float(ndtr(1.2))], abs=0.03)
    assert 0.2 < float(found["radius"][1]) < 0.3


def test_certified_accuracy_falls_with_the_radius(measured):
    split = TensorSplit(
        points(torch.linspace(-0.1, 1.4, 60)), torch.ones(60, dtype=torch.int64), classes=("no", "yes"), box=None
    )
    evaluation = RandomizedSmoothing(std=0.5, radii=(0.4, 0.8), num_draws=1000)
    rows = measured(evaluation, Linear(), split)
    values = [rows[f"certified_top1 {radius}", "smoothing std 0.5"].value for radius in ("0", "0.4", "0.8")]
    assert values == pytest.approx([1.34 / 1.5, 0.93 / 1.5, 0.47 / 1.5], abs=0.06)
    asked = measured(dataclasses.replace(evaluation, radius=0.4), Linear(), split)
    assert asked["certified_top1", "l2 0.4, smoothing std 0.5"].value == pytest.approx(values[1], abs=0.02)


def test_a_note_in_the_tables_says_which_numbers_are_about_the_smoothed_model():
    split = TensorSplit(points([-0.1, 0.4]), torch.tensor([0, 1]), classes=("no", "yes"), box=None)
    worst = ws.WorstCase(balls=(ws.Ball("l2", 0.1),), budget="quick", num_mean=0)
    for radius in (None, 0.1):
        results = ws.evaluate(
            Linear(), split, on=[RandomizedSmoothing(num_draws=100, radius=radius), worst], device="cpu"
        )
        (note,) = results.notes
        assert "about the smoothed model" in note
        assert "worst-case accuracy are about the model itself" in note
        for table in results.tables():
            assert note in table.notes


def test_published_numbers_of_draws_are_possible_and_blocks_are_short():
    assert RandomizedSmoothing(num_draws=100_000).most_per_block == 1
    assert 1 <= RandomizedSmoothing().most_per_block <= 5
