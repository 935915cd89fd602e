"""Calibration against closed forms and scikit-learn; temperatures that are known."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.calibration import Calibration, Fitted, _halves
from withstand.functional.random import RowStreams
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity

CLEAN = "clean calibration"


class Scaled(nn.Module):
    """The inputs are logits that the labels were drawn from; the model is surer by a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


@pytest.fixture(scope="module")
def split():
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(4000, 3, generator=generator)
    y = torch.multinomial(x.softmax(1), 1, generator=generator)[:, 0]
    return TensorSplit(x, y, classes=("a", "b", "c"), box=None)


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered_and_calibrates(split, factor, measured):
    rows = measured(Calibration(), Scaled(factor), split, engine=Engine())
    assert rows["temperature", CLEAN].value == pytest.approx(factor, rel=0.05)
    assert rows["ece_scaled", CLEAN].value < 0.03
    best = measured(Calibration(), Scaled(1.0), split, engine=Engine())
    for name in ("nll", "brier"):
        assert rows[f"{name}_scaled", CLEAN].value == pytest.approx(best[name, CLEAN].value, abs=0.003)
        assert rows[name, CLEAN].value > rows[f"{name}_scaled", CLEAN].value - 0.003
    if factor != 1:
        assert rows["ece", CLEAN].value > 0.08


def test_the_scores_are_those_of_scikit_learn_and_of_the_definitions(split, measured):
    rows = measured(Calibration(bins=10), Scaled(2.0), split, engine=Engine(batch_size=300))
    p = (2 * split.x).double().softmax(1).numpy()
    y = split.y.numpy()
    assert rows["nll", CLEAN].value == pytest.approx(log_loss(y, p), rel=1e-5)
    assert rows["brier", CLEAN].value == pytest.approx(((p - np.eye(3)[y]) ** 2).sum(1).mean(), rel=1e-5)
    confidence, right = p.max(1), p.argmax(1) == y
    bins = np.ceil(confidence * 10).astype(int)
    gaps = [abs(right[bins == k].mean() - confidence[bins == k].mean()) * (bins == k).mean() for k in set(bins)]
    assert rows["ece", CLEAN].value == pytest.approx(sum(gaps), abs=1e-5)


def test_a_sample_has_no_part_in_the_temperature_that_scales_it(split):
    evaluation, engine, space = Calibration(), Engine(), Space(shape=(3,))
    model = Scaled(2.0)
    own = _halves(torch.arange(4000)) == 0
    assert 0.45 < own.double().mean() < 0.55
    before = evaluation.prepare(model, split, space=space, seed=0, engine=engine).temperatures
    changed = TensorSplit(split.x, torch.where(own, (split.y + 1) % 3, split.y), classes=split.classes, box=None)
    after = evaluation.prepare(model, changed, space=space, seed=0, engine=engine).temperatures
    assert after[0] == before[0]
    assert after[1] != before[1]
    x, y = split.x[:8], split.y[:8]
    rng = RowStreams(0, torch.arange(8))
    found = evaluation.outcomes(model, x, y, space=space, state=Fitted((1.5, 4.0)), rng=rng)[CLEAN]
    temperature = torch.where(own[:8], 1.5, 4.0)[:, None]
    expected = (2 * x / temperature).log_softmax(1).gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(found["nll_scaled"], -expected)


def test_noise_and_the_worst_point_of_a_ball_cost_calibration(split, measured):
    noises = (Identity(), Gaussian(std=2.0), PGD(ball=Ball("linf", 0.5)))
    rows = measured(Calibration(perturbations=noises), Scaled(1.0), split, engine=Engine())
    clean, noisy, worst = (rows["ece", f"{each.condition} calibration"] for each in noises)
    assert clean.value < 0.03
    assert noisy.value > 0.1
    assert worst.value > 0.1
    assert rows["temperature", CLEAN].value == pytest.approx(1, rel=0.05)


def test_outputs_that_are_not_finite_have_the_worst_scores():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.where(x == 5, torch.nan, torch.where(x == 6, torch.inf, x))

    x = torch.tensor([[5.0, 0.0], [0.0, 9.0], [6.0, 0.0]])
    split = TensorSplit(x, torch.tensor([0, 1, 1]), classes=("a", "b"), box=None)
    found = Calibration().measure(Broken(), split, seed=0, engine=Engine()).columns[CLEAN]
    assert found["prediction"].tolist() == [-1, 1, -1]
    assert found["brier"].tolist() == pytest.approx([2, 0, 2], abs=1e-6)
    assert found["nll"].isinf().tolist() == [True, False, True]


def test_a_single_sample_has_no_temperature():
    split = TensorSplit(torch.ones(1, 2), torch.tensor([0]), classes=("a", "b"), box=None)
    state = Calibration().prepare(Scaled(1.0), split, space=split.space, seed=0, engine=Engine())
    assert 1.0 in state.temperatures


def test_conditions_differ():
    with pytest.raises(InputError, match="Calibration: perturbations"):
        Calibration(perturbations=(Identity(), Identity()))


def test_probabilities_are_scaled_as_their_logarithms(measured, tiny_split, tiny_model):
    own = measured(Calibration(), tiny_model, tiny_split)
    other = measured(Calibration(), torch.nn.Sequential(tiny_model, torch.nn.Softmax(dim=1)), tiny_split)
    assert own.keys() == other.keys()
    for key, row in own.items():
        assert other[key].value == pytest.approx(row.value, rel=1e-4)
