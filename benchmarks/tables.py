"""Search on tables beside random points, the attacks of other packages, exact answers, and a published idea."""

import argparse
import importlib.util
import json
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tables_rules
from load import Outcome, provenance
from withstand.estimators.classifier import RobustClassifier
from withstand.tables.exact import prove, read_trees
from withstand.tables.robust import robustness
from withstand.tables.search import Found, ask

COLUMNS, ROWS, RADIUS = 30, 1000, 0.1  # the radius in standard deviations
NUM_RANDOM = 20_000  # points per row
RIVAL_ROWS = 40
RIVAL_CALLS = 2000  # per row, about


class Counted:
    """A classifier that counts the rows it is asked about."""

    def __init__(self, model: Any) -> None:
        self.model, self.classes_, self.rows = model, model.classes_, 0

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the model's probabilities."""
        self.rows += len(x)
        return self.model.predict_proba(x)


class Made(NamedTuple):
    """Rows that a model has not seen, and their radius per column."""

    model: Any
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray

    @property
    def named(self) -> dict[str, float]:
        """The radii by column."""
        return {f"x{number}": each for number, each in enumerate(self.radius.tolist())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the rows")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts to measure (default: all)")
    parser.add_argument("--json", type=Path, help="JSON file; parts that are not measured now stay in it")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # waiting threads would count as processor time
    content: dict[str, Any] = {"parts": {}}
    if options.json is not None and options.json.exists():
        content = json.loads(options.json.read_text())
    print(f"  {'what':<72}{'goal':>12}{'measured':>12}")
    for name in options.only:
        found = PARTS[name](10 if options.small else 1)
        for each in found:
            goal, measured = (f"{number:.2f} {each.unit}" for number in (each.goal, each.measured))
            print(f"  {each.what:<72}{goal:>12}{measured:>12}  {'holds' if each.holds else 'missed'}", flush=True)
        rows = [each._asdict() | {"holds": each.holds} for each in found]
        content["parts"][name] = {"provenance": provenance(small=options.small), "rows": rows}
        if options.json is not None:
            options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def made(model: Any, rows: int, *, radius: float = RADIUS, columns: int = COLUMNS) -> Made:
    """Fit a model to 2,000 rows, and return others."""
    third, sixth = columns // 3, columns // 6
    both = make_classification(2000 + rows, columns, n_informative=third, n_redundant=sixth, random_state=0)
    x, y = (np.asarray(each) for each in both)
    return Made(model.fit(x[:2000], y[:2000]), x[2000:], y[2000:], radius * x[:2000].std(0))


def timed(task: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what a task returns, its wall time and that of the processors, in seconds."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    found = task()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found, {"wall": time.perf_counter() - begun, "cpu": cpu}


def forest(divisor: int) -> list[Outcome]:
    """Search a forest of 100 trees, and compare with random points."""
    case = made(RandomForestClassifier(100, random_state=0), ROWS // divisor)
    search = lambda budget: robustness(case.model, case.x, case.y, radius=case.named, budget=budget, num_mean=0)  # noqa: E731
    found, used = timed(lambda: search("standard"))
    quick, used_quick = timed(lambda: search("quick"))
    some = slice(0, max(20, 100 // divisor))
    random = at_random(case, some)
    robust = found.rows["robust"].to_numpy()[some], quick.rows["robust"].to_numpy()[some]
    details = {"rows": len(case.x), "accuracy": found.accuracy, "worst_case": found.worst_case} | used
    than_random = {"random": float(random.mean()), "rows": len(random), "points": NUM_RANDOM}
    gaps = [100 * float(each.mean() - random.mean()) for each in robust]
    more, what = {"worst_case": quick.worst_case} | used_quick, "forest of 100 trees, 30 columns, standard"
    return [
        Outcome(f"{what}: wall time per 1,000 rows", 60, used["wall"] * divisor, "s", details),
        Outcome("the same: processor time per core of two", 60, used["cpu"] / 2 * divisor, "s", {}),
        Outcome("quick: processor time per core of two", 60, used_quick["cpu"] / 2 * divisor, "s", more),
        Outcome("worst case, standard - random points", 0, gaps[0], "points", than_random),
        Outcome("worst case, quick - random points", 0, gaps[1], "points", {}),
    ]  # fmt: skip


def at_random(case: Made, some: slice) -> np.ndarray:
    """Return which rows are right at all of many random points: half of them corners."""
    rng, robust = np.random.default_rng(0), []
    for row, label in zip(case.x[some], case.y[some], strict=True):
        steps = rng.uniform(-1, 1, (NUM_RANDOM, len(row)))
        steps[::2] = np.sign(steps[::2])
        points = np.concatenate([row[None], row + steps * case.radius])
        robust.append((case.model.predict(points) == label).all())
    return np.array(robust)


def rivals(divisor: int) -> list[Outcome]:
    """Compare with HopSkipJump and ZOO of ART and the boundary attack of foolbox at as many calls."""
    case = made(RandomForestClassifier(100, random_state=0), max(10, RIVAL_ROWS // divisor))
    found = []
    for name, package, attack in (
        ("ART's HopSkipJump", "art", hop_skip_jump),
        ("ART's ZOO", "art", zoo),
        ("foolbox's boundary attack", "foolbox", boundary),
    ):  # fmt: skip
        if importlib.util.find_spec(package) is None:
            print(f"  skipped: {name} ({package} is not installed)")
            continue
        counted = Counted(case.model)
        points, used = timed(lambda counted=counted, attack=attack: attack(counted, case))
        inside = (np.abs(points - case.x) <= case.radius * (1 + 1e-6)).all(1)
        robust = (case.model.predict(case.x) == case.y) & ~(inside & (case.model.predict(points) != case.y))
        own = Counted(case.model)
        ours, own_used = timed(
            lambda own=own: robustness(own, case.x, case.y, radius=case.named, budget="quick", num_mean=0)
        )
        details = {
            "theirs": float(robust.mean()),
            "ours": ours.worst_case,
            "accuracy": ours.accuracy,
            "rows": len(case.x),
        }
        details |= {"calls": counted.rows / len(case.x), "own_calls": own.rows / len(case.x)}
        details |= {"seconds": used, "own_seconds": own_used}
        found += [
            Outcome(
                f"worst case, quick - {name}", 0, 100 * (ours.worst_case - float(robust.mean())), "points", details
            ),
            Outcome(f"calls per row, quick / {name}", 1, own.rows / counted.rows, "x", {}),
        ]
    return found


def hop_skip_jump(counted: Counted, case: Made) -> np.ndarray:
    """Search in units of the radius, where its linf ball is a cube."""
    art = importlib.import_module("art.attacks.evasion")
    attack = art.HopSkipJump(of_art(counted, case), norm=np.inf, max_iter=12, max_eval=200, init_eval=50, verbose=False)
    return attack.generate(case.x / case.radius).astype(float) * case.radius


def zoo(counted: Counted, case: Made) -> np.ndarray:
    art = importlib.import_module("art.attacks.evasion")
    attack = art.ZooAttack(
        of_art(counted, case), max_iter=RIVAL_CALLS // 60, nb_parallel=min(30, case.x.shape[1]), use_resize=False,
        use_importance=False, binary_search_steps=1, learning_rate=0.2, initial_const=1.0, variable_h=0.5,
        verbose=False,
    )  # fmt: skip
    return attack.generate((case.x / case.radius).astype(np.float32)).astype(float) * case.radius


def of_art(counted: Counted, case: Made) -> Any:
    estimators = importlib.import_module("art.estimators.classification")
    wide = float(np.abs(case.x / case.radius).max()) + 10
    return estimators.BlackBoxClassifierNeuralNetwork(
        lambda x: counted.predict_proba(x * case.radius), (case.x.shape[1],), 2, clip_values=(-wide, wide),
        channels_first=False,
    )  # fmt: skip


def boundary(counted: Counted, case: Made) -> np.ndarray:
    foolbox = importlib.import_module("foolbox")
    radius = torch.from_numpy(case.radius)
    wide = float(np.abs(case.x / case.radius).max()) + 10

    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(counted.predict_proba((x.double() * radius).numpy())).float()

    model = foolbox.PyTorchModel(Network().eval(), bounds=(-wide, wide), device="cpu")
    attack = foolbox.attacks.BoundaryAttack(steps=RIVAL_CALLS, update_stats_every_k=10)
    right = case.model.predict(case.x) == case.y
    x = torch.from_numpy(case.x[right] / case.radius).float()
    points = case.x.copy()
    points[right] = attack(model, x, torch.from_numpy(case.y[right]), epsilons=None)[0].double().numpy() * case.radius
    return points


def exact(divisor: int) -> list[Outcome]:
    """Compare the search with exact answers."""
    kinds = {
        "forest of 20 trees": RandomForestClassifier(20, random_state=0),
        "forest of 100 trees": RandomForestClassifier(100, random_state=0),
        "20 extra trees of depth 8": ExtraTreesClassifier(20, max_depth=8, random_state=0),
        "boosting, 100 trees": GradientBoostingClassifier(n_estimators=100, random_state=0),
        "boosting by histograms, 50 trees": HistGradientBoostingClassifier(max_iter=50, random_state=0),
    }
    found = []
    for name, model in kinds.items():
        case = made(model, 60 // divisor)
        ours = robustness(case.model, case.x, case.y, radius=case.named, budget="standard", num_mean=0)
        free = {"radius": case.named, "changes": None, "unit": "raw", "norm": "linf", "limits": None, "rules": ()}
        question = ask(case.model, case.x, case.y, names=(), who="", **free)
        nothing = Found(question.x, question.x, torch.empty(0), torch.empty(0))
        trees = read_trees(case.model, question)
        (points, proved), used = timed(lambda t=trees, q=question, n=nothing: prove(t, q, n, seconds=2.0))
        right, proved = ours.rows["correct"].to_numpy(), proved.numpy()
        worst = float((right & ~points.is_flipped.numpy()).mean())
        details = {"worst_case": ours.worst_case, "exact": worst, "certified": float(proved.mean()), "rows": len(right)}
        contradictions = int((proved & ~ours.rows["robust"].to_numpy()).sum())
        undecided = 100 * float((right & ~proved & ~points.is_flipped.numpy()).mean())
        found += [
            Outcome(f"{name}: worst case, standard - exact", 1, 100 * (ours.worst_case - worst), "points", details),
            Outcome(f"{name}: rows that 2 s do not decide", 5, undecided, "%", {}),
            Outcome(f"{name}: processor time per row of the proof", 0.5, used["cpu"] / len(right), "s", used),
            Outcome(f"{name}: proofs that the search contradicts", 0, contradictions, "rows", {}),
        ]
    return found


def gradients(divisor: int) -> list[Outcome]:
    """Compare gradients through a pipeline with the search that sees its answers alone."""
    own, worst, times = (
        (lambda n: RobustClassifier("regular", hidden=(64, 64), epochs=n, device="cpu", random_state=0)),
        {},
        {},
    )
    case = made(make_pipeline(StandardScaler(), own(20)), 200 // divisor, radius=0.2)
    for name, model in (("gradients", case.model), ("answers", case.model.predict_proba)):
        ours, used = timed(
            lambda m=model: robustness(m, case.x, case.y, radius=case.named, budget="standard", num_mean=0)
        )
        worst[name], times[name] = ours.worst_case, used["cpu"]
    gap = 100 * (worst["gradients"] - worst["answers"])
    details = {"worst_case": worst, "cpu": times, "rows": len(case.x)}
    return [
        Outcome("pipeline with a network: worst case, gradients - answers alone", 0, gap, "points", details),
        Outcome("the same: answers alone - gradients", 2, -gap, "points", {}),
    ]  # fmt: skip


def rules(divisor: int) -> list[Outcome]:
    """Compare constrained attacks on a table with ten rules."""
    lines = [tables_rules.compare(seed, rows=30 // divisor) for seed in range(3)]
    gap = statistics.median(100 * (each["theirs"] - each["ours"]) for each in lines)
    illegal = max(each["illegal"] for each in lines)
    return [
        Outcome(
            "ten rules: success of ascent with repair, then genetic search - ours", 0, gap, "points", {"seeds": lines}
        ),
        Outcome("ten rules: illegal points among ours", 0, illegal, "rows", {}),
    ]


PARTS: dict[str, Callable[[int], list[Outcome]]] = {
    "forest": forest, "rivals": rivals, "exact": exact, "gradients": gradients, "rules": rules,
}  # fmt: skip


if __name__ == "__main__":
    main()
