"""Budgets on models without gradients: what they find is near what gradients find, and the table says so."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.errors import InputError
from withstand.perturbations.ball import Ball


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 5)).astype(np.float32)
    return x, (x[:, 0] + 0.7 * x[:, 1] - 0.4 * x[:, 2] > 0).astype(int)


def asked(model, rows, norm, radius, *, count=40):
    x, y = (torch.from_numpy(each[:count]) for each in rows)
    split = TensorSplit(x, y, classes=("no", "yes"), box=None)
    on = ws.WorstCase(balls=(Ball(norm, radius),), budget="quick", num_mean=0)
    return ws.evaluate(ws.BlackBox(model, (0, 1)), split, on=on, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", np.inf)])
@pytest.mark.parametrize("labels_only", [False, True])
def test_of_a_linear_model_queries_find_the_closed_form(norm, dual, labels_only, rows):
    fitted = LogisticRegression().fit(*rows)
    slope, bias = fitted.coef_[0], fitted.intercept_[0]
    margin = (rows[0][:40] @ slope + bias) * np.where(rows[1][:40] == 1, 1, -1)
    exact = (margin > 0.3 * np.linalg.norm(slope, dual)).mean()
    results = asked(fitted.predict if labels_only else fitted, rows, norm, 0.3)
    found = {row.measure: row.value for row in results.rows["model"]}
    assert exact - 1e-9 <= found["worst_case_top1"] <= exact + 1 / 40
    assert 0 < exact < 1
    assert any("no gradients" in note for note in results.notes)


def test_points_of_a_forest_are_wrong_in_the_ball_and_no_uniform_point_finds_more(rows):
    forest = RandomForestClassifier(21, random_state=0).fit(*rows)
    x, y = (torch.from_numpy(each[:30]) for each in rows)
    found = ws.attack(ws.BlackBox(forest), x, y, Ball("linf", 0.25), budget="quick", device="cpu")
    assert found.success.any()
    assert not found.success.all()
    assert ((found.points - x).abs() <= 0.25 + 1e-6).all()
    assert (forest.predict(found.points.numpy())[found.success] != y[found.success].numpy()).all()
    draws = np.random.default_rng(1).uniform(-0.25, 0.25, (200, *x.shape)).astype(np.float32)
    wrong = (forest.predict((x.numpy() + draws).reshape(-1, 5)).reshape(200, -1) != y.numpy()).any(0)
    assert not (wrong & ~found.success.numpy()).any()


@pytest.mark.parametrize(("norm", "walks"), [("l0", "l1"), ("l1", "l1"), ("l2", "l2"), ("linf", "linf")])
def test_distances_that_need_gradients_are_refused_and_the_advice_works(norm, walks, rows):
    forest = RandomForestClassifier(5, random_state=0).fit(*rows)
    x, y = (torch.from_numpy(each[:6]) for each in rows)
    split, model = TensorSplit(x, y, classes=("no", "yes"), box=None), ws.BlackBox(forest, (0, 1))
    with pytest.raises(
        ws.InputError, match=rf"^distance/{norm}: \w+ needs gradients.* for distance/{walks}, "
    ) as refused:
        ws.evaluate(model, split, on=f"distance/{norm}", device="cpu")
    advice = str(refused.value).partition("pass ")[2].removesuffix(".")
    on = eval(advice, {name: getattr(ws, name) for name in ("MinimalNorm", "BoundaryWalk", "Ball")})
    distance = ws.evaluate(model, split, on=on, device="cpu").outcomes()["distance"]
    assert distance.is_finite().all()
    assert (distance > 0).any()


@pytest.mark.parametrize(
    "on",
    [
        ws.Lipschitz(),
        ws.Certificate(balls=(Ball("linf", 0.1),)),
        ws.Sandwich(balls=(Ball("linf", 0.1),)),
        ws.PGD(ball=Ball("linf", 0.1)),
        ws.Calibration(perturbations=(ws.PGD(ball=Ball("linf", 0.1)),)),
        ws.MinimalNorm(),
    ],
)
def test_what_needs_gradients_is_refused_in_one_sentence(on, rows):
    x, y = (torch.from_numpy(each[:10]) for each in rows)
    split = TensorSplit(x, y, classes=("no", "yes"), box=None)
    with pytest.raises(InputError, match=r"needs gradients, which the model does not have; [^\n]+\.$"):
        ws.evaluate(ws.BlackBox(LogisticRegression().fit(*rows), (0, 1)), split, on=on, device="cpu")
