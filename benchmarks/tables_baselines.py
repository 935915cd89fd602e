"""Compare robust training with the usual models of tables: five tables, five splits."""

import argparse
import json
import platform
import statistics
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import withstand as ws

RADIUS = 0.25  # standard deviations
MOST_TRAINED, MOST_TESTED = 2000, 150
MEASURES = ("accuracy", "mean over changes", "wrong entries, 0.05", "worst case")


def tables() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return rows and labels of each table; Avila and Grid Stability where their files are."""
    loads: dict[str, Any] = {
        "breast cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "iris": datasets.load_iris,
    }
    found = {name: load(return_X_y=True) for name, load in loads.items()}
    for name, dataset in {"avila": ws.Avila(), "grid stability": ws.GridStability()}.items():
        split = dataset.load("train")
        found[name] = split.x[:4000].double().numpy(), split.y[:4000].numpy()
    # Splits need two rows of each class.
    counts = {name: np.unique(y, return_counts=True, return_inverse=True)[1:] for name, (_, y) in found.items()}
    return {
        name: (x[(n[i] >= 10)], y[(n[i] >= 10)])
        for (name, (x, y)), (i, n) in zip(found.items(), counts.values(), strict=True)
    }


def models(seed: int) -> dict[str, Any]:
    """Return the models, not fitted."""
    robust = {"hidden": (100, 100), "epochs": 40, "random_state": seed, "device": "cpu"}
    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random forest": RandomForestClassifier(100, random_state=seed),
        "gradient boosting": HistGradientBoostingClassifier(random_state=seed),
        "network, plain": ws.RobustClassifier("regular", **robust),
        "network, noise": ws.RobustClassifier("noise", radius=RADIUS, **robust),
        "network, smoothed": ws.RobustClassifier("smoothed", radius=RADIUS, **robust),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--only", nargs="+", help="tables to measure (default: all)")
    parser.add_argument("--json", type=Path, help="JSON file of the numbers")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    content: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "scikit-learn": version("scikit-learn"),
        "radius, standard deviations": RADIUS,
        "tables": {},
    }
    for name, (x, y) in tables().items():
        if options.only and name not in options.only:
            continue
        begun, found = time.perf_counter(), []
        for split in range(options.splits):
            parts = train_test_split(x, y, test_size=0.3, random_state=split, stratify=y)
            train_x, test_x, train_y, test_y = (
                each[:most] for each, most in zip(parts, (MOST_TRAINED, MOST_TESTED) * 2, strict=True)
            )
            fitted = {key: each.fit(train_x, train_y) for key, each in models(split).items()}
            compared = ws.tables.compare(
                fitted, test_x, test_y, radius=RADIUS, unit="std", budget="quick", num_mean=16, seed=split
            )
            found += compared.table.with_columns(split=pl.lit(split)).to_dicts()
        content["tables"][name] = found
        print(f"{name}: {len(x):,} rows x {x.shape[1]} columns, {time.perf_counter() - begun:.0f} s")
        print(f"  {'median (lowest to highest) of the splits':<24}" + "".join(f"{each:>24}" for each in MEASURES))
        for model in models(0):
            cells = []
            for measure in MEASURES:
                values = [100 * e["value"] for e in found if e["model"] == model and e["measure"] == measure]
                cells.append(
                    f"{statistics.median(values):.1f} ({min(values):.0f} to {max(values):.0f})" if values else ""
                )
            print(f"  {model:<40}" + "".join(f"{each:>24}" for each in cells), flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
