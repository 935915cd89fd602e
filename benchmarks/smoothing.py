"""Time randomised smoothing beside bare forward passes of equal batches, and count the draws that early ends save."""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

import withstand as ws
from devices import card, check_device
from withstand.data.base import TensorSplit
from withstand.data.places import local_root
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import RowStreams
from withstand.models.memory_format import place
from withstand.models.weights import load_weights

# Limits: throughput by that of bare passes, share of the draws saved, share of answers equal to those of all draws.
THROUGHPUT, SAVED, EQUAL = 0.9, 0.5, 0.99
STD, RADII, NUM_IMAGES = 0.25, (0.25, 0.5), 100
PARTS = ("small_cnn", "squeezenet", "early")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--device", default="cpu", help="device (default cpu)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path, help="JSON file for the raw times")
    options = parser.parse_args()
    check_device(options.device)
    torch.set_num_threads(options.threads)
    engine = Engine.start(device=options.device)
    try:
        found = table(options.parts, repeats=options.repeats, engine=engine)
    except InputError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    if options.output is not None:
        about = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.system(),
            "device": card(options.device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        options.output.write_text(json.dumps(about | found, indent=1) + "\n")


def table(parts: list[str], *, repeats: int, engine: Engine) -> dict[str, Any]:
    """Measure, print and return the parts."""
    networks: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, int]]] = {
        "small_cnn": (lambda: ws.SmallCNN().build((1, 28, 28), 10, seed=0), (1, 28, 28), (100, 1000)),
        "squeezenet": (squeezenet, (3, 224, 224), (55, 165)),
    }
    found: dict[str, Any] = {}
    for name, (build, shape, draws) in networks.items():
        if name in parts:
            found[name] = throughput(build(), shape, draws, repeats=repeats, engine=engine)
            print(f"{name}: {found[name]['ratio']:.3f} of the bare throughput (goal: {THROUGHPUT})", flush=True)
    if "early" in parts:
        found["early"] = early_ends(engine)
    return found


def squeezenet() -> nn.Module:
    """Return SqueezeNet, with its ImageNet weights if they are there."""
    model = ws.Vision(name="squeezenet1_1").build((3, 224, 224), 1000, seed=0)
    path = local_root() / "models" / "squeezenet1_1.pth"
    if path.exists():
        load_weights(model, path)
    return model


def throughput(
    model: nn.Module, shape: tuple[int, ...], draws: tuple[int, int], *, repeats: int, engine: Engine
) -> dict[str, Any]:
    """Return seconds of the evaluation and of bare passes, alternating; the first round is not counted."""
    model = place(model, engine.device, shape).eval()
    evaluation = ws.RandomizedSmoothing(num_selection=draws[0], num_draws=draws[1])
    batch, count = engine.samples_per_batch(shape), 4 if len(shape) == 3 and shape[1] < 100 else 1
    x = torch.rand(batch, *shape, device=engine.device)
    y = torch.zeros(count, dtype=torch.int64, device=engine.device)
    space, passes = Space(shape=shape, box=(0.0, 1.0)), count * sum(draws)

    def smoothed() -> None:
        rng = RowStreams(0, torch.arange(count), device=engine.device)
        evaluation.outcomes(model, x[:count], y, space=space, state=batch, rng=rng)

    def bare() -> None:
        for start in range(0, passes, batch):
            model(x[: min(batch, passes - start)]).max(1)

    times: dict[str, list[float]] = {"smoothed": [], "bare": []}
    with torch.no_grad():
        for number in range(repeats + 1):
            pair = [("smoothed", smoothed), ("bare", bare)]
            for name, work in pair if number % 2 else reversed(pair):
                taken = seconds(work, engine)
                times[name] += [taken] if number else []
    ratios = [b / s for s, b in zip(times["smoothed"], times["bare"], strict=True)]
    return times | {"passes": passes, "batch": batch, "ratio": statistics.median(ratios)}


def early_ends(engine: Engine) -> dict[str, Any]:
    """Return how many draws the question at one radius takes, and how often its answer is that of all draws."""
    data = ws.FashionMnist()
    model = ws.SmallCNN(width=4).build((1, 28, 28), 10, seed=0)
    objective = ws.PerturbedRisk(perturbation=ws.Gaussian(std=STD))
    model = ws.fit(model, data, objective=objective, epochs=1, batch_size=128, optimizer=ws.Adam(lr=0.003))
    test = data.load("test")
    split = TensorSplit(test.x[:NUM_IMAGES], test.y[:NUM_IMAGES], classes=test.classes, box=test.box)
    model = place(model, engine.device, test.shape).eval()

    def columns(evaluation: ws.Evaluation) -> dict[str, torch.Tensor]:
        (found,) = evaluation.measure(model, split, seed=0, engine=engine).columns.values()
        return found

    full = columns(ws.RandomizedSmoothing(std=STD))
    found = {}
    for radius in RADII:
        asked = columns(ws.RandomizedSmoothing(std=STD, radius=radius))
        right = asked["correct"]
        saved = 1 - asked["draws"].double() / full["draws"].double()
        numbers = {
            "certified": float(asked["certified"].double().mean()),
            "saved": float(saved.mean()),
            "saved of right samples": float(saved[right].mean()),
            "equal": float((asked["certified"] == (full["radius"] >= radius)).double().mean()),
        }
        shown = ", ".join(f"{name} {100 * value:.1f} %" for name, value in numbers.items())
        print(f"l2 {radius:g}, std {STD:g}: {shown} (goals: saved {SAVED:.0%}, equal {EQUAL:.0%})")
        found[f"{radius:g}"] = numbers
    return found


def seconds(work: Callable[[], None], engine: Engine) -> float:
    """Return how long a function takes: on a CPU the time of the process, which other load disturbs less."""
    clock = time.process_time if engine.device.type == "cpu" else time.perf_counter
    start = clock()
    work()
    if engine.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


if __name__ == "__main__":
    main()
