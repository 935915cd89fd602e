"""A table with ten rules, and a plain constrained attack on it: ascent with repair, then a genetic search."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from withstand.estimators.classifier import RobustClassifier
from withstand.perturbations.ball import legal
from withstand.tables.robust import robustness
from withstand.tables.search import Asked, ask

RULES = (
    "installment == amount * rate / 12 + amount / term",
    "open_accounts <= total_accounts",
    "bankruptcies <= records",
    "ratio == amount / income",
    "months_open == age_days / 30",
    "if term == 36: rate <= 0.3",
    "revolving <= limit",
    "use == revolving / limit",
    "payments >= installment",
    "records <= total_accounts",
)
STEPS, RESTARTS, GENERATIONS, OFFSPRING = 10, 2, 20, 100  # the published numbers have 100 generations
FREE = (
    "amount",
    "rate",
    "open_accounts",
    "total_accounts",
    "records",
    "bankruptcies",
    "income",
    "revolving",
    "limit",
    "payments",
)


def table(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return loans that obey the rules, and whether they fail."""
    rng = np.random.default_rng(seed)
    found = pd.DataFrame(
        {
            "amount": rng.lognormal(9, 0.5, rows), "rate": rng.uniform(0.05, 0.28, rows),
            "term": rng.choice([36.0, 60.0], rows),
            "total_accounts": rng.integers(3, 40, rows), "income": rng.lognormal(11, 0.4, rows),
            "limit": rng.lognormal(9.5, 0.5, rows), "age_days": rng.uniform(300, 9000, rows),
        }
    )  # fmt: skip
    found["open_accounts"] = (found.total_accounts * rng.uniform(0.2, 1, rows)).astype(int)
    found["records"] = np.minimum(rng.poisson(0.7, rows), found.total_accounts)
    found["bankruptcies"] = (found.records * rng.uniform(0, 1, rows)).round().astype(int)
    found["revolving"] = found.limit * rng.uniform(0, 1, rows)
    found["installment"] = found.amount * found.rate / 12 + found.amount / found.term
    found["ratio"], found["use"] = found.amount / found.income, found.revolving / found.limit
    found["months_open"], found["payments"] = found.age_days / 30, found.installment * rng.uniform(1, 2, rows)
    risk = 8 * (found.rate - 0.16) + 1.5 * (found.use - 0.5) + 6 * (found.ratio - 0.15) + 0.4 * found.records
    risk += 0.02 * (found.total_accounts - found.open_accounts) - 0.3 * (found.payments / found.installment - 1.5)
    return found, (risk + rng.logistic(0, 0.4, rows) > risk.median()).astype(int).to_numpy()


def compare(seed: int, *, rows: int) -> dict[str, Any]:
    """Return the success of both attacks: the share of right rows with a wrong legal point."""
    frame, y = table(2000 + rows, seed)
    own = RobustClassifier("regular", hidden=(64, 32, 16), epochs=20, device="cpu", random_state=seed)
    model = make_pipeline(StandardScaler(), own).fit(frame[:2000], y[:2000])
    x, y = frame[2000:].reset_index(drop=True), y[2000:]
    radius = {name: 0.2 * float(np.std(frame[name].to_numpy())) for name in FREE}
    given = {"radius": radius, "rules": RULES, "limits": {"rate": (0.0, 1.0)}}
    ours = robustness(model, x, y, **given, budget="standard", num_mean=0)
    question = ask(model, x, y, names=(), who="", changes=None, unit="raw", norm="linf", **given)
    right = ours.rows["correct"].to_numpy()
    theirs, calls = constrained(question, torch.from_numpy(right), seed)
    moved = torch.from_numpy(ours.changed.to_numpy(dtype=np.float64))
    assert question.freedom.space.rules is not None
    illegal = int((~question.freedom.space.rules.are_legal(moved)).sum())
    robust = ours.rows["robust"].to_numpy()
    return {
        "theirs": float(theirs[right].mean()), "ours": float(1 - robust[right].mean()), "illegal": illegal,
        "accuracy": ours.accuracy, "without_rules": 1 - ours.worst_case_without_rules / ours.accuracy, "calls": calls,
    }  # fmt: skip


def constrained(asked: Asked, right: Tensor, seed: int) -> tuple[np.ndarray, int]:
    """Return which rows a plain attack breaks, and its calls per row that survives.

    Ascent on the loss minus the violation, with repair after each step, from the row and from a random start; then a
    genetic search (uniform crossover, mutation, the fittest survive) for the rows that are left.

    Source:
        The idea: Simonetto et al. 2024, arXiv 2406.00775 (CAPGD, then MOEVA); written from its description.
    """
    rng = torch.Generator().manual_seed(seed)
    radii, rules = torch.tensor(asked.freedom.ball.radius, dtype=torch.float64), asked.freedom.space.rules
    assert rules is not None
    broken = torch.zeros(len(asked.x), dtype=torch.bool)
    for restart in range(RESTARTS):
        rows = (right & ~broken).nonzero()[:, 0]
        points = asked.x[rows].clone()
        if restart:
            points = repaired(
                asked, rows, points + radii * (2 * torch.rand(points.shape, generator=rng, dtype=points.dtype) - 1)
            )
        for step in range(STEPS):
            points.requires_grad_(True)
            logits = asked.subject.searched(points).double()
            loss = torch.nn.functional.cross_entropy(logits, asked.labels[rows], reduction="none")
            (slope,) = torch.autograd.grad((loss - rules.violation(points)).sum(), points)
            points = points.detach() + radii * slope.nan_to_num().sign() / 2 ** (step / 3)
            points = repaired(
                asked, rows, torch.minimum(torch.maximum(points, asked.x[rows] - radii), asked.x[rows] + radii)
            )
            broken[rows] |= answers(asked, points) != asked.labels[rows]
    for row in (right & ~broken).nonzero()[:, 0].tolist():
        broken[row] = evolved(asked, row, radii, rng)
    return broken.numpy(), 2 * STEPS * RESTARTS + GENERATIONS * OFFSPRING


def evolved(asked: Asked, row: int, radii: Tensor, rng: torch.Generator) -> bool:
    """Return whether a genetic search flips a row."""
    label, rows = int(asked.labels[row]), torch.full((OFFSPRING,), row)

    def random() -> Tensor:
        return torch.rand((OFFSPRING, len(radii)), generator=rng, dtype=radii.dtype)

    def fitness(points: Tensor) -> Tensor:
        with torch.no_grad():
            logits = asked.subject.module(points).double()
        return logits.scatter(1, torch.full((len(points), 1), label), -torch.inf).amax(1) - logits[:, label]

    alive = repaired(asked, rows, asked.x[rows] + radii * (2 * random() - 1))
    value = fitness(alive)
    for _ in range(GENERATIONS):
        if value.max() > 0:
            return True
        first, second = (alive[torch.randint(0, len(alive), (OFFSPRING,), generator=rng)] for _ in range(2))
        young = torch.where(random() < 0.5, first, second)
        young = torch.where(random() < 0.1, asked.x[rows] + radii * (2 * random() - 1), young)
        young = repaired(asked, rows, young)
        both, values = torch.cat([alive, young]), torch.cat([value, fitness(young)])
        best = values.argsort(descending=True)[:OFFSPRING]
        alive, value = both[best], values[best]
    return bool(value.max() > 0)


def answers(asked: Asked, points: Tensor) -> Tensor:
    with torch.no_grad():
        return asked.subject.module(points).argmax(1)


def repaired(asked: Asked, rows: Tensor, points: Tensor) -> Tensor:
    """Return legal points of the ball."""
    space, x = asked.freedom.space, asked.x[rows]
    radii = torch.as_tensor(asked.freedom.ball.radii(x, space=space)).expand(x.shape)
    return legal(x, points.detach(), norm="linf", radii=radii, options=[], rules=space.rules)
