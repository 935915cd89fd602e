"""Gradients through pipelines: values are those of the pipeline, whatever its end encodes."""

import numpy as np
import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from withstand.estimators.classifier import RobustClassifier
from withstand.tables.columns import Columns
from withstand.tables.through import through


def test_categories_that_the_estimator_encodes_pass_through():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.normal(50, 9, 60), "plan": rng.choice(["A", "B", "C"], 60)})
    y = ((table["age"] > 50) ^ (table["plan"] == "B")).to_numpy()
    numbers = ColumnTransformer([("num", StandardScaler(), ["age"])], remainder="passthrough")
    end = RobustClassifier("regular", categorical=["remainder__plan"], hidden=(8,), epochs=5, device="cpu")
    model = make_pipeline(numbers.set_output(transform="pandas"), end).fit(table, y)
    columns = Columns.of(table, split=["plan"], who="test")
    module = through(model, columns, [True, False, False, False])
    assert module is not None
    x = torch.from_numpy(columns.matrix()).requires_grad_()
    outputs = module(x)
    assert np.allclose(outputs.softmax(1).detach().numpy(), model.predict_proba(table), atol=1e-5)
    (gradient,) = torch.autograd.grad(outputs[:, 1].sum(), x)
    assert (gradient != 0).any(0)[:1].all()
