"""Outputs and weights that are not finite never pass in silence: a note holds their number, or a sentence refuses them."""

import re
import warnings

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.perturbations.attacks.apgd import APGD

BALL = ws.Ball("l2", 0.5)
X = torch.rand(12, 3, 2, 2, generator=torch.Generator().manual_seed(0))
PAIRS = [(x, number % 3) for number, x in enumerate(X)]
EVALUATIONS = [
    ws.Accuracy(),
    ws.Accuracy(perturbations=(ws.Gaussian(std=0.1),), num_draws=3),
    ws.Recall(),
    ws.Calibration(),
    ws.NoiseDistance(noises=("gaussian",)),
    ws.MinimalNorm(attacks=(ws.FMN(ball=BALL, steps=2),)),
    ws.RandomizedSmoothing(std=0.2, num_selection=4, num_draws=20),
    ws.WorstCase(balls=(BALL,), attacks=(APGD(steps=2),), num_mean=0),
]


class Overflows(nn.Module):
    """A linear model whose outputs are not finite where the first value is large, as after an overflow."""

    def __init__(self, value):
        super().__init__()
        self.linear, self.value = nn.Linear(12, 3), value

    def forward(self, x):
        x = x.flatten(1)
        return torch.where(x[:, :1] > 0.5, self.value, self.linear(x))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=lambda each: type(each).__name__)
def test_a_note_holds_the_number_of_outputs_that_are_not_finite(evaluation, value):
    notes = ws.evaluate(Overflows(value), PAIRS, on=evaluation, device="cpu").notes
    what = "draws of selection, " if isinstance(evaluation, ws.RandomizedSmoothing) else ""
    assert any(re.search(rf"\d of \d.*{what}outputs are not finite", each) for each in notes)


def test_an_attack_warns_of_outputs_that_are_not_finite():
    y = torch.tensor([label for _, label in PAIRS])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ws.attack(Overflows(torch.nan), X, y, BALL, budget="quick", device="cpu")
    assert any("not finite" in str(each.message) and " of 12 points" in str(each.message) for each in caught)


def broken():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    model[1].weight.data[0, :2] = torch.nan
    return model


def test_weights_that_are_not_finite_are_counted_in_a_note_and_not_trained():
    notes = ws.evaluate(broken(), PAIRS, device="cpu").notes
    assert any("2 of 39 weights" in each for each in notes)
    with pytest.raises(ws.InputError, match="2 of 39 weights"):
        ws.fit(broken(), PAIRS, epochs=1, device="cpu")


class Fails(nn.Module):
    def forward(self, x):
        raise KeyError("layer")


def test_the_exception_of_a_model_or_of_data_is_the_cause_of_the_error():
    with pytest.raises(ws.InputError) as caught:
        ws.evaluate(Fails(), PAIRS, device="cpu")
    assert isinstance(caught.value.__cause__, KeyError)

    class Files(list):
        def __getitem__(self, row):
            raise OSError("no such file")

    with pytest.raises(ws.InputError, match="sample 0") as caught:
        ws.evaluate(nn.Linear(1, 2), Files(PAIRS), device="cpu")
    assert isinstance(caught.value.__cause__, OSError)
