"""Time plain training on Avila for many seeds in one batch, beside the same seeds one by one."""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from devices import card, check_device, now
from withstand.data.base import TensorSplit
from withstand.data.tables.avila import Avila
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import derive_seed
from withstand.models.mlp import MLP
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.stacked.trainer import Together
from withstand.training.optimizers import SGD
from withstand.training.schedules import Constant
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

BATCH_SIZE, WIDTH = 100, 200
TRAINING = Training(epochs=1, batch_size=BATCH_SIZE, optimizer=SGD(lr=0.05), schedule=Constant())
SINGLE, MATMUL = "one by one", "products of matrices alone"
GOALS = {"cpu": 1.5, "cuda": 20.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--trials", type=int, default=51, help="seeds (default 51)")
    parser.add_argument("--steps", type=int, default=30, help="steps of each trial in a round (default 30)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--output", type=Path, help="JSON file for the raw times")
    options = parser.parse_args()
    check_device(options.device)
    torch.set_num_threads(options.threads)
    engine = Engine(device=torch.device(options.device))
    try:
        train = Avila().load("train")
    except InputError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    train = train.select(torch.arange(options.steps * BATCH_SIZE))
    seeds = list(range(options.trials))
    sizes = sorted({1, 4, 16, options.trials})
    together = {f"{size} at once": partial(in_batches, train, seeds, engine, size) for size in sizes}
    variants = {SINGLE: partial(one_by_one, train, seeds, engine), **together}
    variants[MATMUL] = partial(matmul_alone, train, seeds, engine)
    seconds, difference = measure(variants, repeats=options.repeats, device=options.device)
    steps = options.trials * options.steps
    print(f"{options.trials} trials of {options.steps} steps, {options.device}, {options.repeats} rounds; ", end="")
    print(f"weights differ from those of single runs by {difference:g} at most")
    print(f"  {'variant':<28}{'us per step and trial':>24}{'times as fast: paired':>24}{'quartiles':>16}")
    ratios = {}
    for name, times in seconds.items():
        paired = [single / own for single, own in zip(seconds[SINGLE], times, strict=True)]
        low, ratios[name], high = statistics.quantiles(paired, n=4, method="inclusive")
        spread = f"{low:.2f} - {high:.2f}"
        print(f"  {name:<28}{statistics.median(times) / steps * 1e6:>24.0f}{ratios[name]:>24.2f}{spread:>16}")
    best = max(together, key=lambda name: ratios[name])
    limit = GOALS[engine.device.type]
    holds = ratios[best] >= limit
    print(f"goal: at least {limit:g} times as fast; {best}: {ratios[best]:.2f}, {'holds' if holds else 'missed'}")
    if options.output is not None:
        content = {
            "provenance": provenance(options),
            "seconds": seconds,
            "paired_ratio": ratios,
            "largest_difference": difference,
            "goal": {"at_least": limit, "variant": best, "holds": holds},
        }
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def build(train: TensorSplit, seed: int, engine: Engine) -> torch.nn.Module:
    """Return the network of a trial."""
    model = MLP(hidden=(WIDTH, WIDTH)).build(train.shape, len(train.classes), seed=derive_seed(seed, "model/init"))
    return model.to(engine.device)


def one_by_one(train: TensorSplit, seeds: list[int], engine: Engine) -> Callable[[], Tensor]:
    """Prepare a trainer per seed."""
    objective = PerturbedRisk()
    trainers = [
        Trainer(build(train, seed, engine), train, objective=objective, training=TRAINING, seed=seed, engine=engine)
        for seed in seeds
    ]
    return lambda: torch.stack([flatten(dict(each.fit().named_parameters())) for each in trainers])


def in_batches(train: TensorSplit, seeds: list[int], engine: Engine, size: int) -> Callable[[], Tensor]:
    """Prepare a trainer for every so many seeds."""
    trainers = []
    for start in range(0, len(seeds), size):
        own = seeds[start : start + size]
        models = [build(train, seed, engine) for seed in own]
        trainers.append(Together(models, train, objective=PerturbedRisk(), training=TRAINING, seeds=own, engine=engine))

    def work() -> Tensor:
        for each in trainers:
            each.fit()
        states = [each.model.state_of(trial) for each in trainers for trial in range(each.model.num_networks)]
        return torch.stack(
            [flatten({name: own for name, own in state.items() if "network" in name}) for state in states]
        )

    return work


def matmul_alone(train: TensorSplit, seeds: list[int], engine: Engine) -> Callable[[], Tensor]:
    """Prepare the eight products of matrices of a training step, one after the other into the same memory.

    No training can be faster: three products forward, three for the weights' and two for the inputs' gradients.
    """
    widths, pairs = (train.shape[0], WIDTH, WIDTH, len(train.classes)), []
    for number, (before, after) in enumerate(pairwise(widths)):
        x, w, g = (torch.rand(shape) for shape in ((BATCH_SIZE, before), (after, before), (BATCH_SIZE, after)))
        pairs += [(x, w.T), (g.T, x)] + ([(g, w)] if number > 0 else [])
    moved = [(a.to(engine.device), b.to(engine.device)) for a, b in pairs]
    outputs = [a @ b for a, b in moved]
    steps = len(seeds) * (len(train) // BATCH_SIZE)

    def work() -> Tensor:
        for _ in range(steps):
            for (a, b), out in zip(moved, outputs, strict=True):
                torch.mm(a, b, out=out)
        return outputs[0].sum().cpu()

    return work


def flatten(weights: dict[str, Tensor]) -> Tensor:
    """Return all weights in one vector."""
    return torch.cat([each.detach().flatten() for each in weights.values()]).cpu()


def measure(
    variants: dict[str, Callable[[], Callable[[], Tensor]]], *, repeats: int, device: str
) -> tuple[dict[str, list[float]], float]:
    """Time the variants in turn after a round that is not counted; return seconds and the largest difference."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    outcomes: dict[str, Tensor] = {}
    names = list(variants)
    for count in range(repeats + 1):
        first = count % len(names)
        for name in names[first:] + names[:first]:
            work = variants[name]()
            gc.collect()
            start = now(device, processor=False)
            outcomes[name] = work()
            elapsed = now(device, processor=False) - start
            if count > 0:
                seconds[name].append(elapsed)
    others = [outcomes[name] for name in names if name not in (SINGLE, MATMUL)]
    return seconds, max((outcomes[SINGLE] - each).abs().max().item() for each in others)


def provenance(options: argparse.Namespace) -> dict[str, object]:
    """Return what the times depend on besides the code."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "device": card(options.device),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "threads": torch.get_num_threads(),
        "platform": platform.system(),
        "versions": {
            "withstand": version("withstand"),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "trials": options.trials,
        "steps": options.steps,
    }


if __name__ == "__main__":
    main()
