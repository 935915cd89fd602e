"""A table as people have them: numbers, whole numbers, categories, holes and a total."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def _customers(rows: int = 160, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return customers and whether they leave."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "tenure": rng.integers(0, 72, rows),
            "calls": rng.gamma(2.0, 10.0, rows).round(2),
            "data": rng.gamma(2.0, 20.0, rows).round(2),
            "plan": rng.choice(["basic", "plus", "pro"], rows),
            "paperless": rng.choice([True, False], rows),
        }
    )
    frame["total"] = frame["calls"] + frame["data"]
    logit = 0.05 * (frame["total"] - 60) - 0.06 * (frame["tenure"] - 36) + 1.0 * (frame["plan"] == "basic")
    leaves = np.where(logit + rng.logistic(size=rows) > 0, "leaves", "stays")
    frame.loc[rng.choice(rows, rows // 20, replace=False), "tenure"] = np.nan
    return frame, leaves


def _prepared(end):
    """Return a pipeline for customers."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = (numbers, ["tenure", "calls", "data", "total"]), (words, ["plan", "paperless"])
    return make_pipeline(make_column_transformer(*parts), end)


@pytest.fixture(scope="session")
def customers():
    return _customers


@pytest.fixture(scope="session")
def prepared():
    return _prepared


class Staircase:
    """A classifier without gradients that answers quickly: its probability is a staircase of the columns."""

    classes_ = np.array(["leaves", "stays"])

    def predict_proba(self, table):
        logit = 0.05 * (table["total"] - 60) - 0.06 * (table["tenure"].fillna(36) - 36) + (table["plan"] == "basic")
        leaves = expit(np.floor(4 * logit.to_numpy()) / 4 + 0.1)
        return np.stack([leaves, 1 - leaves], 1)

    def predict(self, table):
        return self.classes_[self.predict_proba(table).argmax(1)]


@pytest.fixture(scope="session")
def fitted():
    return Staircase()


@pytest.fixture(scope="session")
def pipeline():
    return _prepared(RandomForestClassifier(20, random_state=0)).fit(*_customers())
