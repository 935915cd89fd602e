"""Public Python functions and classes with arguments of the wrong type, shape or value, as lines that can be run."""

import random
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fuzzing.case import Case

PRELUDE = """import datetime, pathlib
import numpy as np, torch, polars, pandas, scipy.sparse
import withstand as ws
from withstand import *
g = torch.Generator().manual_seed(0)
x, y = torch.rand(12, 3, 8, 8, generator=g), torch.arange(12) % 3
pairs = [(one, int(label)) for one, label in zip(x, y)]
table, target = np.linspace(0, 1, 80).reshape(20, 4) ** np.arange(1, 5), np.arange(20) % 2
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
frozen = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3)).requires_grad_(False)
class Detached(torch.nn.Module):
    def __init__(self): super().__init__(); self.net = net
    def forward(self, x): return self.net(x).detach()
ring = []; ring.append(ring)
"""
ODD = (
    "None", "-1", "0", "1.5", "True", "float('nan')", "float('inf')", "10**30", "'text'", "''", "b'x'", "[]", "{}", "()",
    "object()", "(lambda *a, **k: None)", "int", "Exception('x')", "range(3)", "iter([1])", "ring", "[1, 'a', None]",
    "{1: 2}", "{'a': None}", "'\\udcff'", "'a\\nb'", "'x' * 5000", "'x/y'", "pathlib.Path('nowhere')", "ws", "1j",
    "np.zeros(0)", "np.zeros((2, 3))", "np.array(['a', 'b'])", "np.array([None, 1])", "np.array(0)", "np.int64(3)",
    "np.full((12, 3, 8, 8), np.nan)", "np.zeros((12, 3, 8, 8), complex)", "np.array(['2020-01-01'], 'datetime64[D]')",
    "torch.zeros(0)", "torch.tensor(3)", "torch.zeros(3, dtype=torch.complex64)", "torch.ones(12, requires_grad=True)",
    "torch.full((12, 3, 8, 8), float('inf'))", "torch.eye(3)[y]", "-y", "y + 1000", "y.float()", "[str(i) for i in y]",
    "[(x[0], 0), (x[1, :, :4], 1)]", "[(x[0], 'a')]", "[x[0]]", "[(x[0], None)]", "[(x[0], 0)]", "[(x[0] / 0, 1), (x[1], 0)]",
    "datetime.datetime(2020, 1, 1)", "pandas.DataFrame({'a': ['x', None], 'b': [1, 2]})", "polars.DataFrame({'a': [1]})",
    "pandas.DataFrame({'t': pandas.to_datetime(['2020-01-01'] * 20)})", "scipy.sparse.eye(20)",
    "ws.Digits()", "ws.Digits", "ws.Gaussian(std=0.1)", "ws.Gaussian", "ws.SmallCNN()", "ws.Accuracy", "ws.PerturbedRisk()",
    "torch.nn.Linear(2, 2)", "frozen", "Detached()", "torch.nn.Identity()", "ws.Ball('l2', 0.1)", "ws.Accuracy()",
    "2**63", "-2**63", "'clean'", "'worst-case'", "'cuda:99'", "torch.device('meta')", "torch.float64", "set()", "...",
)  # fmt: skip
EFFORT = ("10**30", "2**63")
NEEDED = {"root": "nowhere", "path": "nowhere.csv", "target": "y", "source": "nowhere.py:net", "name": "resnet18"}
IMAGE = "np.zeros((32, 40, 3), np.uint8)"
TRAIN = {"epochs": "1", "batch_size": "6", "seed": "0", "device": "'cpu'", "workers": "0"}
# Calls that are right as they stand, of which one or two arguments are replaced.
CALLS: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    ("ws.fit", {"model": "net", "data": "pairs", "objective": "None", "validation": "None", "optimizer": "ws.SGD()", "clip_norm": "1.0", "patience": "None", "ema_decay": "None", "schedule": "ws.Constant()", **TRAIN}, ()),
    ("ws.fit", {"model": "net", "data": "pairs", "epochs": "1"}, ()),
    ("ws.evaluate", {"model": "net", "data": "pairs", "on": "'clean'"}, ()),
    ("ws.evaluate", {"model": "net", "data": "pairs", "on": "['clean', ws.Gaussian(std=0.1)]", "frost": "'auto'", "pixels": "None", "keep": "'keep'", "seed": "0", "device": "'cpu'", "workers": "0", "batch_size": "5", "surrogate": "None"}, ()),
    ("ws.evaluate", {"model": "{'a': net, 'b': lambda x: np.zeros((len(x), 3))}", "data": "pairs", "on": "'worst-case'", "seed": "0"}, ()),
    ("ws.attack", {"model": "net", "x": "x", "y": "y", "ball": "ws.Ball('linf', 0.1)", "budget": "'quick'", "space": "None", "seed": "0", "device": "'cpu'", "batch_size": "None"}, ()),
    ("ws.corrupt", {"image": IMAGE, "corruption": "'fog'", "severity": "3", "seed": "0", "pixels": "None"}, ()),
    ("ws.corrupt", {"image": "x[:2]", "corruption": "'contrast'", "severity": "3", "seed": "0", "pixels": "32"}, ()),
    ("ws.corruption_names", {"subset": "'common'"}, ()),
    ("ws.corruption_errors", {"rows": "[ws.Row(measure='top1', condition='fog/1', value=0.5, count=9)]", "measure": "'top1'", "saved": "''"}, ()),
    ("ws.stream", {"seed": "0", "device": "'cpu'"}, ()),
    ("ws.run", {"experiment": "ws.Experiment(training=ws.Training(epochs=1), model=ws.MLP(hidden=(4,)))", "root": "pathlib.Path('runs')", "engine": "None"}, ()),
    ("ws.Experiment", {"data": "ws.Digits()", "model": "ws.MLP()", "objective": "ws.PerturbedRisk()", "training": "ws.Training()", "evaluations": "(ws.Accuracy(),)", "weights": "None", "seed": "0", "name": "'run'"}, ()),
    ("ws.Question.of", {"data": "pairs", "on": "'clean'", "num_classes": "3", "frost": "'auto'", "pixels": "None", "balls": "()", "budget": "'standard'"}, ()),
    ("ws.Study.of", {"folder": "'nowhere'"}, ()),
    ("ws.OutcomeTable.read", {"folder": "pathlib.Path('nowhere')"}, ()),
    ("ws.Ball", {"norm": "'linf'", "radius": "0.1", "unit": "'std'"}, ()),
    ("ws.Space", {"shape": "(3, 8, 8)", "box": "(0.0, 1.0)"}, ()),
    ("ws.Engine.start", {"device": "'cpu'", "num_workers": "0", "batch_size": "4"}, ()),
    ("ws.BlackBox", {"function": "lambda x: np.zeros((len(x), 3))", "num_classes": "3"}, ("TypeError",)),
    ("__import__('withstand.detection', fromlist=['x']).mpc", {"results": "{'fog': {0: 4.0, 1: 3.0}}", "clean": "None", "corruptions": "None", "severities": "(1,)"}, ()),
    *(
        (f"__import__('withstand.compat.{name}', fromlist=['x']).corrupt", {first: IMAGE, "severity": "1", "corruption_name": "'contrast'", "corruption_number": "-1"}, ("AttributeError", "KeyError", "ValueError"))
        for name, first in (("imagecorruptions", "image"), ("imagenet_c", "x"))
    ),
)  # fmt: skip
ESTIMATOR = {"objective": "'regular'", "radius": "0.1", "unit": "'std'", "norm": "'linf'", "hidden": "(4,)", "epochs": "1", "batch_size": "8", "lr": "1e-3", "temperature": "0.01", "num_draws": "None", "device": "'cpu'", "random_state": "0", "verbose": "False"}  # fmt: skip
ALLOWED = ("ValueError", "TypeError", "NotFittedError", "InvalidParameterError")
METHODS: tuple[tuple[str, dict[str, str]], ...] = (
    ("to_csv", {"path": "'rows.csv'"}),
    ("to_samples", {"path": "'samples.csv'"}),
    ("tables", {"measure": "'top1'", "each_severity": "False"}),
    ("to_markdown", {"measure": "None", "each_severity": "False"}),
    ("compare", {"baseline": "None"}),
    ("by", {"column": "'label'", "measure": "'top1'", "condition": "'clean'", "frame": "None"}),
    ("report", {"path": "'report'"}),
)


def _replaced(rng: random.Random, given: dict[str, str]) -> tuple[dict[str, str], str]:
    changed = dict(given)
    for _ in range(rng.choice((1, 1, 1, 2))):
        changed[rng.choice(list(given))] = rng.choice(ODD)
    new = {name: value for name, value in changed.items() if value != given[name]}
    return changed, ", ".join(f"{name}={value}" for name, value in new.items())


def _call(name: str, given: dict[str, str]) -> str:
    return f"{name}({', '.join(f'{each}={value}' for each, value in given.items())})"


def functions(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Replace arguments of a function's call."""
    name, given, errors = rng.choice(CALLS)
    changed, damage = _replaced(rng, given)
    return Case(
        code=f"{PRELUDE}{_call(name, changed)}\n",
        damage=f"{name}: {damage}",
        errors=errors,
        may_be_long=any(each in damage for each in EFFORT),
    )


def estimators(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Replace parameters, rows or labels of an estimator."""
    kind = rng.choice(("RobustClassifier", "RobustRegressor"))
    given, rows, labels, after = dict(ESTIMATOR), "table", "target", ""
    what = rng.randrange(4)
    if what == 0:
        given, damage = _replaced(rng, given)
    elif what == 1:
        rows = rng.choice(ODD)
        damage = f"X={rows}"
    elif what == 2:
        labels = rng.choice(ODD)
        damage = f"y={labels}"
    else:
        value = rng.choice(ODD)
        after = rng.choice(("predict({})", "score({}, target)", "score(table, {})", "robust_score(table, target, {})"))
        after = "." + after.format(value)
        damage = after
    code = f"{PRELUDE}{_call(f'ws.{kind}', given)}.fit({rows}, {labels}){after}\n"
    return Case(
        code=code, damage=f"{kind}: {damage}", errors=ALLOWED, may_be_long=any(each in damage for each in EFFORT)
    )


def results(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Replace arguments of the methods of results."""
    name, given = rng.choice(METHODS)
    changed, damage = _replaced(rng, given)
    code = f"{PRELUDE}results = ws.evaluate(net, pairs, on=['clean', ws.Gaussian(std=0.1)])\n{_call(f'results.{name}', changed)}\n"
    return Case(code=code, damage=f"Results.{name}: {damage}")


@cache
def _classes() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the public dataclasses that are configurations, with their fields."""
    import withstand

    found: list[tuple[str, tuple[str, ...]]] = []
    for name in withstand.__all__:
        value: Any = getattr(withstand, name)
        if isinstance(value, type) and is_dataclass(value) and not getattr(value, "__abstractmethods__", None):
            own = tuple(each.name for each in fields(value) if each.init)
            needed = [each for each in fields(value) if each.default is MISSING and each.default_factory is MISSING]
            if own and (not needed or getattr(value, "examples", None)) and not name.startswith("Robust"):
                found.append((name, own))
    return tuple(found)


def configurations(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Replace fields of a configuration, and use it where it was accepted."""
    name, own = rng.choice(_classes())
    given = {each: rng.choice(ODD) for each in rng.sample(own, min(len(own), rng.choice((1, 1, 2))))}
    lines = [
        f"found = ws.{name}.examples() if hasattr(ws.{name}, 'examples') else []",
        "base = vars(found[0][0] if isinstance(found[0], tuple) else found[0]) if found else {}",
        f"base = {{**{ {each: NEEDED[each] for each in own if each in NEEDED} }, **base}}",
        f"made = ws.{name}(**({{**base}} | dict({', '.join(f'{k}={v}' for k, v in given.items())})))",
    ]
    family = "Perturbation, ws.Evaluation" if rng.random() < 0.5 else "Evaluation"
    lines.append(f"if isinstance(made, (ws.{family})): ws.evaluate(net, pairs, on=made, batch_size=6)")
    lines.append("if isinstance(made, ws.Objective): ws.fit(net, pairs, objective=made, epochs=1)")
    lines.append("if isinstance(made, ws.Training): ws.fit(net, pairs, epochs=1, batch_size=made.batch_size)")
    damage = f"{name}: {given}"
    return Case(code=PRELUDE + "\n".join(lines) + "\n", damage=damage, may_be_long=True)
