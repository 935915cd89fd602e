"""No point of training, noise or attack breaks a rule, a type or a limit."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from withstand.data.tables.rules import Field, Rules
from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.regressor import RobustRegressor
from withstand.evaluation import worst_case
from withstand.models.mlp import MLP
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.gaussian import Gaussian

TINY = {"hidden": (4,), "epochs": 1, "batch_size": 24, "device": "cpu"}
LEVELS = ["A", "B", "C"]
# Rules, and how far rows are from obeying them, computed from columns by name.
RULES = {
    "total == a + b": lambda x: abs(x["total"] - x["a"] - x["b"]),
    "a <= age": lambda x: x["a"] - x["age"],
    "if plan == 'B': b <= 3": lambda x: np.where(x["plan=B"] == 1, x["b"] - 3, 0),
    "year >= 1990 + a": lambda x: 1990 + x["a"] - x["year"],
    "max(a, b) <= 6": lambda x: np.maximum(x["a"], x["b"]) - 6,
    "not (a > 4 and plan == 'C')": lambda x: np.where(x["plan=C"] == 1, x["a"] - 4, 0),
    "fee + age <= 180": lambda x: x["fee"] + x["age"] - 180,
}


def rows(seed: int = 0) -> pd.DataFrame:
    """24 rows that obey the rules and limits."""
    rng = np.random.default_rng(seed)
    plan, a, b = rng.choice(LEVELS, 24), rng.integers(0, 6, 24), rng.integers(0, 7, 24)
    table = {
        "age": rng.integers(18, 90, 24),
        "a": np.where(plan == "C", a // 2, a),
        "b": np.where(plan == "B", b // 2, b),
    }
    table |= {"plan": plan, "fee": rng.normal(50, 20, 24).clip(10, 90), "year": 2000.0 + rng.integers(0, 20, 24)}
    return pd.DataFrame(table | {"total": table["a"] + table["b"]})


OPTIONS = {
    "categorical": ["plan"],
    "changes": {"plan": ["A", "B", "C"], "b": [-1, 1]},
    "integer": ["age", "a", "b", "year", "total"],
    "limits": {"age": (18, 90), "a": (0, None), "fee": (10, 90)},
    "rules": list(RULES),
    "radius": {"age": 5, "a": 1, "fee": 8.0, "year": 30},
    "unit": "raw",
}


class Recorder(nn.Module):
    """A network that records its inputs."""

    def __init__(self, network: nn.Module, seen: list) -> None:
        super().__init__()
        self.network, self.seen = network, seen

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return self.network(x)


def recording(monkeypatch) -> list:
    """Return a list that records the inputs of networks that are built from now on."""
    seen, build = [], MLP.build
    monkeypatch.setattr(MLP, "build", lambda *args, **options: Recorder(build(*args, **options), seen))
    return seen


def check(model, points: torch.Tensor, rules=tuple(RULES)) -> None:
    """Check points of the network in the units of the table, by plain numbers."""
    known = model.features_
    value = points.double().numpy() * np.array(known.scale) + np.array(known.offset)
    found = dict(zip(known.names, value.T, strict=True))
    for name in OPTIONS["integer"]:
        assert np.allclose(found[name], found[name].round(), atol=1e-3), name
    for name, (low, high) in OPTIONS["limits"].items():
        assert found[name].min() > low - 1e-3
        assert high is None or found[name].max() < high + 1e-3
    for text in rules:
        assert RULES[text](found).max() < 2e-2, text
    levels = np.stack([found[f"plan={each}"] for each in LEVELS])
    assert ((levels == 0) | (levels == 1)).all()
    assert (levels.sum(0) == 1).all()


def attacked(model, table, y, monkeypatch, **options) -> torch.Tensor:
    """Return the points that a robust score counts."""
    found, own = [], worst_case.checked

    def record(*args, **others):
        found.append(own(*args, **others))
        return found[-1]

    monkeypatch.setattr(worst_case, "checked", record)
    model.robust_score(table, y, **options)
    return torch.cat([each.points[each.success] for each in found])


@pytest.mark.parametrize("objective", ["noise", "adversarial", "smoothed", "langevin"])
def test_no_point_of_training_is_illegal(objective, monkeypatch):
    table, seen = rows(), recording(monkeypatch)
    model = RobustClassifier(objective, num_draws=4, **OPTIONS, **TINY).fit(table, table["age"] > 50)
    trained = torch.cat(seen)
    check(model, trained)
    assert len(trained.unique(dim=0)) > 40


def test_no_point_that_a_robust_score_counts_is_illegal(monkeypatch):
    table = rows()
    y = (table["age"] > 50).astype(int)
    model = RobustClassifier("regular", **OPTIONS, **TINY).fit(table, y)
    broken = attacked(model, table, y, monkeypatch, budget="quick")
    check(model, broken)
    assert len(broken) > 3


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_no_point_that_a_regression_is_measured_at_is_illegal(norm, monkeypatch):
    table = rows(1)
    seen = recording(monkeypatch)
    model = RobustRegressor("adversarial", num_draws=2, norm=norm, **OPTIONS, **TINY).fit(table, table["fee"])
    score = model.robust_score(table, table["fee"], budget="quick")
    check(model, torch.cat([each for each in seen if each.dtype == torch.float32]))
    assert score < model.score(table, table["fee"])


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=st.lists(st.sampled_from(list(RULES)), unique=True, max_size=4),
    objective=st.sampled_from(["noise", "adversarial", "langevin", PerturbedRisk(perturbation=Gaussian(std=0.5))]),
    norm=st.sampled_from(["linf", "l2", "l1"]),
    radius=st.sampled_from([0.05, 0.5, {"a": 2.0, "fee": 1.0}]),
    seed=st.integers(0, 99),
)
def test_draws_obey_any_rules(rules, objective, norm, radius, seed, monkeypatch):
    table = rows(seed)
    with monkeypatch.context() as patch:
        seen = recording(patch)
        options = OPTIONS | {"rules": rules, "radius": radius, "unit": "std", "norm": norm}
        model = RobustClassifier(objective, num_draws=2, **options, **TINY).fit(table, table["age"] > 50)
    check(model, torch.cat(seen), rules)


def test_whole_numbers_take_every_number_within_a_small_radius(monkeypatch):
    x = np.arange(24.0)[:, None] + np.array([0, 0.25])
    seen = recording(monkeypatch)
    model = RobustClassifier("noise", {0: 2.9, 1: 0.4}, unit="raw", integer=[0], num_draws=200, **TINY).fit(
        x, x[:, 0] > 12
    )
    offset, scale = (torch.tensor(each) for each in (model.features_.offset, model.features_.scale))
    found = (torch.cat(seen).view(200, -1, 2) * scale + offset).round(decimals=3)
    moved = (found[..., 0] - (found[..., 1] - 0.25).round()).flatten()
    assert moved.unique().tolist() == [-2, -1, 0, 1, 2]
    assert all(abs((moved == each).double().mean() - 0.2) < 0.02 for each in moved.unique())


def test_rows_that_break_a_rule_are_counted_and_stay(monkeypatch):
    table = rows()
    table.loc[:4, "total"] += 1
    seen = recording(monkeypatch)
    with pytest.warns(UserWarning, match="5 of 24 rows break a rule or a limit; they do not move"):
        model = RobustClassifier("noise", num_draws=3, **OPTIONS, **TINY).fit(table, table["age"] > 50)
    inputs = model.to_split(table, table["age"] > 50).x
    drawn = torch.cat(seen)
    assert all((drawn == row).all(1).sum() >= 3 for row in inputs[:5])


def test_years_in_32_bits_are_legal():
    rules = Rules(fields=(Field("year", (0,), offset=2000.3, scale=2.0, is_whole=True),))
    years = torch.tensor([1999.0, 2001.0, 2003.0, 2010.0], dtype=torch.float64)
    assert rules.are_legal(((years - 2000.3) / 2).float()[:, None]).all()
