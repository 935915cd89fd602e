"""The search for models without gradients: ties, batches, and guides of float64 models."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from withstand.data.space import Space
from withstand.perturbations.masking.surrogate import surrogate
from withstand.tables import search as searching
from withstand.tables.robust import robustness


def test_a_tie_is_no_flip_and_does_not_end_the_search():
    def model(x):
        second = np.where(x[:, 0] > 0.2, 0.5, 0.4)  # a tie is for the first class
        second = np.where((x[:, 0] < -0.5) & (x[:, 1] < -0.5), 0.8, second)
        return np.stack([1 - second, second], 1)

    found = robustness(
        model, np.full((3, 2), 0.01), [0, 0, 0], radius={"x0": 0.9, "x1": 0.9}, budget="quick", num_mean=0
    )
    assert found.accuracy == 1
    assert found.worst_case == 0
    assert (found.changed < -0.48).all()
    tied = robustness(model, np.full((3, 2), 0.01), [0, 0, 0], radius={"x0": 0.4}, budget="quick", num_mean=0)
    assert tied.worst_case == 1


def test_what_is_found_does_not_depend_on_how_many_rows_are_searched_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(135, 3))
    y = (x.sum(1) > 0).astype(int)
    model = RandomForestClassifier(5, random_state=0).fit(x[:120], y[:120])

    def points():
        return robustness(model, x[120:], y[120:], radius=0.1, budget="quick", num_mean=0).changed

    together = points()
    monkeypatch.setattr(searching, "_rows_at_once", lambda *_: 7)
    assert (points() == together).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_surrogates_take_the_type_of_the_inputs(dtype):
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)).to(dtype)

    model = torch.nn.Linear(3, 2).to(dtype).requires_grad_(False)
    found = surrogate(model, x, space=Space(shape=(3,)), num_classes=2)
    assert found(x).dtype == dtype
    assert (found(x).argmax(1) == model(x).argmax(1)).float().mean() > 0.9


def test_a_model_that_gives_probabilities_alone_is_asked_for_them():
    class Model:
        def predict_proba(self, x):
            return np.stack([x[:, 0] < 1, x[:, 0] >= 1], 1).astype(float)

    assert robustness(Model(), np.zeros((2, 1)), [0, 0], radius={"x0": 2}, budget="quick", num_mean=0).worst_case == 0
