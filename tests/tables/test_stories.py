"""From a file of people to a page of fragile rows, in a few lines."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import withstand as ws

ROWS = 120


def titanic(rng):
    age = rng.normal(30, 14, ROWS).clip(1, 80).round(1)
    sex, pclass = rng.choice(["male", "female"], ROWS), rng.integers(1, 4, ROWS)
    odds = 1.8 * (sex == "female") - 0.9 * (pclass - 2) - 0.02 * (age - 30) + rng.logistic(size=ROWS)
    frame = pd.DataFrame({"survived": (odds > 0.6).astype(int), "pclass": pclass, "sex": sex, "age": age})
    frame["fare"] = rng.gamma(2, 15, ROWS).round(4)
    frame["embarked"] = rng.choice(["S", "C", "Q"], ROWS)
    return holes(frame, ["age", "embarked"], rng), "survived", {"radius": {"age": 2.0, "fare": 5.0}}


def penguins(rng):
    species = rng.choice(["Adelie", "Chinstrap", "Gentoo"], ROWS)
    place = pd.Series(species).map({"Adelie": 0, "Chinstrap": 1, "Gentoo": 2}).to_numpy()
    frame = pd.DataFrame({"species": species, "island": rng.choice(["Biscoe", "Dream"], ROWS)})
    frame["bill_length_mm"] = (38 + 5 * place + rng.normal(0, 3, ROWS)).round(1)
    frame["flipper_length_mm"] = (188 + 14 * place + rng.normal(0, 7, ROWS)).round()
    frame["sex"] = rng.choice(["MALE", "FEMALE"], ROWS)
    free = {"radius": {"bill_length_mm": 1.0, "flipper_length_mm": 3}, "changes": {"sex": ["MALE", "FEMALE"]}}
    return holes(frame, ["bill_length_mm", "sex"], rng), "species", free


def adult(rng):
    education = rng.choice(["HS-grad", "Bachelors", "Masters"], ROWS)
    age, hours = rng.integers(17, 80, ROWS), rng.integers(10, 70, ROWS)
    score = 0.04 * (age - 40) + 0.05 * (hours - 40) + 1.2 * (education == "Masters") + rng.logistic(size=ROWS)
    frame = pd.DataFrame({"age": age, "workclass": rng.choice(["Private", "State-gov"], ROWS), "education": education})
    frame["hours-per-week"] = hours
    frame["income"] = np.where(score > 0.8, ">50K", "<=50K")
    free = {"radius": {"age": 1, "hours-per-week": 4}, "limits": {"hours-per-week": (1, 99)}}
    return holes(frame, ["workclass"], rng), "income", free


def telco(rng):
    tenure, monthly = rng.integers(1, 73, ROWS), rng.uniform(18, 118, ROWS).round(2)
    contract = rng.choice(["Month-to-month", "One year", "Two year"], ROWS)
    odds = 0.02 * (monthly - 65) - 0.05 * (tenure - 30) + (contract == "Month-to-month") + rng.logistic(size=ROWS)
    frame = pd.DataFrame({"tenure": tenure, "Contract": contract, "MonthlyCharges": monthly})
    frame["TotalCharges"] = (tenure * monthly).round(2)
    frame["Churn"] = np.where(odds > 0, "Yes", "No")
    free = {
        "radius": {"tenure": 2, "MonthlyCharges": 5.0},
        "changes": {"Contract": ["Month-to-month", "One year"]},
        "rules": ["TotalCharges <= 1.2 * tenure * MonthlyCharges + 20"],
    }
    return holes(frame, ["TotalCharges"], rng), "Churn", free


def holes(frame, names, rng):
    for name in names:
        frame.loc[rng.choice(ROWS, 6, replace=False), name] = None
    return frame


@pytest.mark.parametrize("make", [titanic, penguins, adult, telco])
def test_a_file_becomes_a_page_in_eight_lines(make, tmp_path):
    frame, target, free = make(np.random.default_rng(0))
    frame.to_csv(tmp_path / "people.csv", index=False)

    table = pd.read_csv(tmp_path / "people.csv")
    X, y = table.drop(columns=target), table[target]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    is_number = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
    model = make_pipeline(make_column_transformer((numbers, is_number[0]), (words, is_number[1])), LogisticRegression())
    found = ws.tables.fragility(model.fit(X, y), X.head(30), y.head(30), **free, budget="quick")
    page = found.write(tmp_path / "page.html")

    rows, text = found.rows["row"].to_numpy(), page.read_text(encoding="utf-8")
    assert len(rows) > 0
    before, after = model.predict(X.head(30)), model.predict(found.changed)
    assert (before[rows] != after[rows]).all()
    assert found.headline in text
    assert all(name in text for name in free["radius"])
    for name, radius in free["radius"].items():
        moved = (found.changed[name] - X.head(30)[name].to_numpy()).dropna().abs()
        assert moved.max() <= radius * (1 + 1e-6)
