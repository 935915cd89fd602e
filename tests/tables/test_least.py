"""Least changes: no larger than those that random search finds with as many questions to the model."""

import numpy as np
import pytest

from withstand.tables import fragility


class Counted:
    """A random network of steps, which counts the rows that it answers for."""

    classes_ = np.array([0, 1])

    def __init__(self, rng, num_columns):
        self.weights = rng.normal(size=(num_columns, 12))
        self.ends, self.num_rows = rng.normal(size=12), 0

    def predict_proba(self, rows):
        self.num_rows += len(rows)
        score = np.sign(np.round(4 * np.tanh(rows @ self.weights)) / 4) @ self.ends
        positive = 1 / (1 + np.exp(-score))
        return np.stack([1 - positive, positive], 1)


@pytest.mark.parametrize("seed", range(3))
def test_random_search_with_as_many_questions_finds_no_smaller_changes(seed):
    rng = np.random.default_rng(seed)
    x, radius = rng.normal(size=(40, 6)), 0.6
    model = Counted(rng, 6)
    found = fragility(model, x, radius=radius, budget="quick")
    assert len(found.rows) >= 10
    per_row, before = model.num_rows // len(x), model.predict_proba(x).argmax(1)
    ratios = []
    for each in found.rows.to_dicts():
        row = each["row"]
        # The same order: few columns, then small. Half of the draws move one column, a quarter two, and so on.
        count = np.minimum(rng.geometric(0.5, per_row), 6)
        chosen = rng.random((per_row, 6)).argsort(1) < count[:, None]
        points = x[row] + radius * rng.uniform(-1, 1, (per_row, 6)) * rng.random((per_row, 1)) * chosen
        wrong = model.predict_proba(points).argmax(1) != before[row]
        if not wrong.any():
            continue
        keys = sorted(zip(count[wrong], np.abs(points[wrong] - x[row]).max(1) / radius, strict=True))
        num, size = keys[0]
        fewer, more = each["num_columns"] < num, each["num_columns"] > num
        ratios.append(0.0 if fewer else np.inf if more else each["size"] / size)
    assert np.median(ratios) <= 1.05
