"""A sweep that looks like a real one: four ways to train, seven radii, five seeds, and some runs that are missing."""

import json

import numpy as np
import pytest

from withstand.results.condition import IMAGENET_C
from withstand.results.row import Row, write_rows
from withstand.results.study import Study
from withstand.results.sweep import Entry, write_entries, write_failure

RADII = (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
FALLS = {"regular": 2.2, "smoothed": 0.7, "adversarial": 0.6, "langevin": 1.0}  # of the accuracy along the radius
SAMPLES = 2087
LOST = {("smoothed", 0.1): (3,), ("langevin", 0.2): (0, 1, 2, 3, 4), ("adversarial", 0.25): (2,)}
PROBLEM = "The loss of epoch 3 is not finite."


def row(measure, condition, value, count=SAMPLES):
    return Row(measure=measure, condition=condition, total=value * count, count=count)


def rows_at(method, radius, random):
    """Return rows with plausible numbers."""
    costs = 0 if method == "regular" else 0.25 * radius
    clean, fall = 0.93 - costs + random.normal(0, 0.006), FALLS[method]
    worst = max(0.02, clean - fall * radius - 2.5 * radius**2 + random.normal(0, 0.012))
    steep = (40 if method == "regular" else 6 / (radius + 0.12)) * np.exp(random.normal(0, 0.1))
    where = f"linf {radius:g}"
    yield row("top1", "clean", clean)
    yield row("top5", "clean", 0.5 + clean / 2)
    yield row("balanced_top1", "clean by class", clean - 0.06)
    yield row("recall A", "clean by class", clean - 0.03)
    yield row("adversarial_top1", f"{where}, PGD-40 x 3", worst + 0.01)
    yield row("worst_case_top1", f"{where}, PGD-40 x 3 + vertices + 64 tilted", worst)
    yield row("mean_top1", f"{where}, mean of 256", clean - 0.1 * radius)
    yield row("lipschitz_upper_lipsdp", "l2 to l2", 6 * steep, 1)
    yield row("lipschitz_lower", "l2 to l2", steep)


def history(random, epochs=30, loss=0.3):
    """Return the epochs of a training."""
    return [
        {
            "epoch": k,
            "loss": loss + 1.8 * np.exp(-k / 6) + random.uniform(0, 0.02),
            "lr": 0.1,
            "validation": 1 - 1 / (k + 2),
        }
        for k in range(1, epochs + 1)
    ]


def write_sweep(folder, *, methods=tuple(FALLS), radii=RADII, seeds=5, rows=rows_at, lost=LOST):
    """Write a sweep; of the seeds lost, the first failed, the others were never begun."""
    entries = []
    for method in methods:
        for radius in radii:
            for seed in range(seeds):
                run = f"{method}-{radius:g}-seed{seed}"
                entries.append(Entry(labels={"method": method, "radius": radius}, seed=seed, run=run))
                if seed in lost.get((method, radius), ()):
                    if seed == min(lost[method, radius]):
                        write_failure(folder / run, PROBLEM, "trace")
                    continue
                random = np.random.default_rng([seed, round(1000 * radius), *method.encode()])
                write_rows(folder / run / "rows.jsonl", rows(method, radius, random))
                epochs = history(random, loss=FALLS.get(method, 1.0) / 3)
                (folder / run / "history.json").write_text(json.dumps(epochs))
    write_entries(folder, entries, command=["withstand", "sweep", "x"])
    return Study.of(folder)


def corrupted_rows(share, *, saved="", kinds=IMAGENET_C):
    """Return rows on corrupted images."""
    yield row("top1", "clean", share)
    for k, kind in enumerate(kinds):
        for severity in range(1, 6):
            yield row("top1", f"{kind}{saved}/{severity}", share - (0.02 + 0.006 * k) * severity)


def write_models(folder, shares, *, seeds=(0,), **options):
    """Write runs of several models, which belong to no sweep."""
    for number, (name, share) in enumerate(shares.items()):
        for seed in seeds:
            run = folder / f"{name}-{number:04x}{seed:04x}"
            write_rows(run / "rows.jsonl", corrupted_rows(share - 0.01 * seed, **options))
            (run / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")
            epochs = history(np.random.default_rng([number, seed]), 5)
            (run / "history.json").write_text(json.dumps(epochs))
    return Study.of(folder)


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    return write_sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    shares = {"plain": 0.9, "gaussian": 0.88, "ant": 0.91}
    return write_models(tmp_path_factory.mktemp("models"), shares, seeds=(0, 1, 2))
