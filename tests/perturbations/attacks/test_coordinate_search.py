"""CoordinateSearch: the exact worst case of trees, closed forms of linear models."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from withstand.data.space import Space
from withstand.functional.margins import is_wrong
from withstand.functional.random import row_streams
from withstand.models.wrappers.black_box import BlackBox
from withstand.perturbations.attacks.coordinate_search import CoordinateSearch
from withstand.perturbations.ball import Ball

FEATURES, ROWS = 4, 80
SPACE = Space(shape=(FEATURES,))
SEED = np.random.default_rng(0)
CENTRES, OWN = SEED.normal(size=(9, FEATURES)), SEED.integers(0, 9, 600)
X = (CENTRES[OWN] + 0.4 * SEED.normal(size=(600, FEATURES))).astype(np.float32)
Y = OWN % 3
# Share of the rows that can be broken that must be: of a lone tree, pure leaves give no direction to go.
MODELS = {
    "tree": (DecisionTreeClassifier(max_depth=6, random_state=0), 0.9),
    "forest": (RandomForestClassifier(4, max_depth=3, random_state=0), 0.95),
    "boosted": (GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0), 0.97),
}


def edges(model) -> list[list[float]]:
    """Return the thresholds of every feature."""
    found = [set() for _ in range(FEATURES)]
    for each in (
        [model]
        if hasattr(model, "tree_")
        else model.estimators_.ravel()
        if isinstance(model.estimators_, np.ndarray)
        else model.estimators_
    ):
        for feature, threshold in zip(each.tree_.feature, each.tree_.threshold, strict=True):
            if feature >= 0:
                found[feature].add(float(threshold))
    return [sorted(each) for each in found]


def nearest_in(value: np.float32, above: float, upto: float) -> np.float32:
    """Return the float32 in (above, upto] that is nearest to a value."""
    if float(value) <= above:
        value = np.float32(above)
        return value if float(value) > above else np.nextafter(value, np.float32(np.inf))
    if float(value) > upto:
        value = np.float32(upto)
        return value if float(value) <= upto else np.nextafter(value, np.float32(-np.inf))
    return value


def can_be_broken(model, x: np.ndarray, y: np.ndarray, ball: Ball) -> torch.Tensor:
    """Return which rows have a wrong point in the ball: the nearest point of every cell between thresholds is tried."""
    thresholds, found = edges(model), []
    for row, label in zip(x, y, strict=True):
        sides = []
        for value, own in zip(row, thresholds, strict=True):
            nearest = [nearest_in(value, a, b) for a, b in itertools.pairwise([-np.inf, *own, np.inf])]
            sides.append([each for each in nearest if abs(float(each) - float(value)) <= ball.radius])
        cells = torch.tensor(np.array(list(itertools.product(*sides)), dtype=np.float32))
        cells = cells[ball.distance(torch.tensor(row).expand_as(cells), cells, space=SPACE) <= 1]
        found.append(is_wrong(BlackBox(model)(cells), torch.full((len(cells),), int(label))).any().item())
    return torch.tensor(found)


@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.3), ("l2", 0.5), ("l1", 0.6)])
@pytest.mark.parametrize("name", MODELS)
def test_the_search_comes_close_to_the_exact_worst_case_of_trees(name, norm, radius):
    model, share = MODELS[name]
    model.fit(X, Y)
    ball, x, y = Ball(norm, radius), X[:ROWS], Y[:ROWS]
    exact = can_be_broken(model, x, y, ball)
    found = CoordinateSearch(ball=ball, num_queries=600).attack(
        torch.tensor(x),
        torch.tensor(y),
        BlackBox(model),
        space=SPACE,
        rng=row_streams(0, "search", index=torch.arange(ROWS)),
    )
    assert not (found.success & ~exact).any()
    assert 20 < exact.sum() < ROWS
    assert found.success.sum() >= share * exact.sum()


class Linear(nn.Module):
    """Three logits, summed row by row, so that batches cannot differ by rounding."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(3, size, generator=torch.Generator().manual_seed(1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, None] * self.weight).sum(2)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_of_a_linear_model_every_row_is_broken_that_can_be(norm):
    radius, size = 0.3, 8
    x, model = torch.rand(60, size, generator=torch.Generator().manual_seed(0)), Linear(size)
    y = model(x).argmax(1)
    dual = {"l1": torch.inf, "l2": 2, "linf": 1}[norm]
    other = [(y + step) % 3 for step in (1, 2)]
    rise = [radius * torch.linalg.vector_norm(model.weight[each] - model.weight[y], dual, dim=1) for each in other]
    gap = [(model(x).gather(1, y[:, None]) - model(x).gather(1, each[:, None]))[:, 0] for each in other]
    best = torch.stack([up - down for up, down in zip(rise, gap, strict=True)]).amax(0)
    attack = CoordinateSearch(ball=Ball(norm, radius), num_queries=300)
    index = torch.arange(60)
    found = attack.attack(x, y, model, space=Space.like(x), rng=row_streams(0, "search", index=index))
    assert not found.success[best < -1e-4].any()
    assert found.success[best > 2e-2].all()
    parts = [
        attack.attack(x[rows], y[rows], model, space=Space.like(x), rng=row_streams(0, "search", index=rows))
        for rows in index.split(7)
    ]
    for number in range(4):
        assert torch.equal(found[number], torch.cat([each[number] for each in parts]))
    assert found.passes.max() <= 301
