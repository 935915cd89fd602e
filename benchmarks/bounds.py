"""Bounds of the logits by CROWN: tightness and time beside bound-propagation and auto_LiRPA, in one run."""

import argparse
import importlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from withstand.certificates.bounds import bounds_of
from withstand.certificates.graph import trace
from withstand.certificates.region import region_of
from withstand.data.base import Split
from withstand.data.images.fashion_mnist import FashionMnist
from withstand.data.space import Space
from withstand.data.tables.avila import Avila
from withstand.errors import InputError
from withstand.models.mlp import MLP
from withstand.perturbations.ball import Ball

OURS, CHAINS, FULL = "withstand", "bound-propagation", "auto_LiRPA"
GOAL = 1.5  # times the time of each other library
Run = Callable[[Tensor], tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each library (default 5)")
    parser.add_argument("--samples", type=int, default=32, help="samples per run (default 32)")
    parser.add_argument("--radii", type=int, default=3, help="how many radii of each network (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    try:
        lines = table(num_samples=options.samples, num_radii=options.radii, repeats=options.repeats)
    except InputError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    if options.output is not None:
        options.output.write_text(json.dumps({"threads": options.threads, "lines": lines}, indent=1))


def table(*, num_samples: int, num_radii: int, repeats: int) -> list[dict[str, Any]]:
    """Measure, print and return a line per network, radius and library."""
    tasks = {
        "8-200-200-12 on Avila": (avila(), (0.01, 0.05, 0.1)),
        "three-layer CNN on Fashion-MNIST": (fashion(), (0.5 / 255, 2 / 255, 8 / 255)),
    }
    lines = []
    for name, ((model, x), radii) in tasks.items():
        for radius in radii[:num_radii]:
            lines += measure(name, model, x[:num_samples], radius, repeats=repeats)
    for line in lines:
        print("{task:34} {radius:8.4f} {library:18} {milliseconds:9.1f} ms  {width:9.5f}  {note}".format(**line))
    return lines


def avila() -> tuple[nn.Module, Tensor]:
    """Return a network for the first eight columns of Avila, and samples."""
    found = Avila()
    (x, y), (samples, _) = (tensors(found.load(part)) for part in ("train", "test"))
    model = MLP().build((8,), 12, seed=0).get_submodule("network")
    return train(model, x[:, :8], y, steps=1000, radius=0.05), samples[:, :8]


def fashion() -> tuple[nn.Module, Tensor]:
    """Return a convolutional network with three layers, and samples."""
    found = FashionMnist()
    (x, y), (samples, _) = (tensors(found.load(part)) for part in ("train", "test"))
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 10),
    )
    return train(model, x, y, steps=500, radius=8 / 255), samples


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Return inputs and labels of the first samples of a split."""
    batch = next(iter(split.batches([torch.arange(min(len(split), 10000))])))
    return batch.x, batch.y


def train(model: nn.Module, x: Tensor, y: Tensor, *, steps: int, radius: float) -> nn.Module:
    """Train on noisy samples."""
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,), generator=rng)
        noise = (torch.rand(x[rows].shape, generator=rng) * 2 - 1) * radius
        optimizer.zero_grad()
        cross_entropy(model(x[rows] + noise), y[rows]).backward()
        optimizer.step()
    return model.eval()


def measure(task: str, model: nn.Module, x: Tensor, radius: float, *, repeats: int) -> list[dict[str, Any]]:
    """Return time and mean width of the bounds of every library; runs take turns.

    Time is that of the processor, so that other work on the machine counts less.
    """
    runs: dict[str, Run] = {}
    lines: dict[str, dict[str, Any]] = {}
    for library, prepare in {OURS: ours, CHAINS: chains, FULL: full}.items():
        line = {"task": task, "radius": radius, "library": library, "milliseconds": float("nan"), "width": float("nan")}
        lines[library] = line | {"note": "", "holds": None}
        try:
            runs[library] = prepare(model, x, radius)
            runs[library](x)
        except ImportError as problem:
            runs.pop(library, None)
            lines[library]["note"] = f"not installed ({problem})"
    times: dict[str, list[float]] = {library: [] for library in runs}
    for _ in range(repeats):
        for library, run in runs.items():
            start = time.process_time()
            lower, upper = run(x)
            times[library].append(time.process_time() - start)
            lines[library]["width"] = (upper - lower).mean().item()
    for library, found in times.items():
        lines[library]["milliseconds"] = 1000 * statistics.median(found)
    for library in times.keys() - {OURS}:
        own, other = lines[OURS], lines[library]
        other["times_seconds"] = statistics.median(a / b for a, b in zip(times[OURS], times[library], strict=True))
        other["times_width"] = own["width"] / other["width"]
        other["holds"] = other["times_seconds"] <= GOAL and other["times_width"] <= 1.0001
        other["note"] = "withstand: {times_seconds:.2f} x time, {times_width:.4f} x width".format(**other)
        other["note"] += "" if other["holds"] else " (missed)"
    return list(lines.values())


def ours(model: nn.Module, x: Tensor, radius: float) -> Run:
    graph, space = trace(model, tuple(x.shape[1:]), who="benchmark"), Space(shape=tuple(x.shape[1:]))
    unit = torch.eye(graph.num_outputs)
    specification = torch.cat([unit, -unit]).expand(len(x), -1, -1)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            bounds = bounds_of(graph, region_of(Ball("linf", radius), x, space), lines=True)
            found = bounds.by_lines(specification)
            # The others take nothing away for rounding: neither do we here.
            lower, upper = (found + bounds.margin(specification)).chunk(2, 1)
        return lower, -upper

    return run


def chains(model: nn.Module, x: Tensor, radius: float) -> Run:
    """bound-propagation knows no convolutions: they are matrices for it."""
    from bound_propagation import BoundModelFactory, HyperRectangle

    layers: list[nn.Module] = []
    shape = tuple(x.shape[1:])
    for layer in model.children():
        size = torch.Size(shape).numel()
        shape = tuple(layer(torch.zeros(1, *shape)).shape[1:])
        if isinstance(layer, nn.Conv2d):
            inputs = torch.eye(size).view(size, *layer_shape(layer, size))
            shift = layer(torch.zeros_like(inputs[:1])).flatten()
            matrix = nn.Linear(size, len(shift))
            matrix.weight.data = (layer(inputs).flatten(1) - shift).T.contiguous()
            matrix.bias.data = shift
            layers.append(matrix)
        elif not isinstance(layer, nn.Flatten):
            layers.append(layer)
    bounded = BoundModelFactory().build(nn.Sequential(*layers))

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            found = bounded.crown(HyperRectangle.from_eps(x.flatten(1), radius)).concretize()
        return found.lower, found.upper

    return run


def layer_shape(layer: nn.Conv2d, size: int) -> tuple[int, int, int]:
    """Return the shape of the square input of a convolution."""
    side = round((size / layer.in_channels) ** 0.5)
    return layer.in_channels, side, side


def full(model: nn.Module, x: Tensor, radius: float) -> Run:
    library = importlib.import_module("auto_LiRPA")
    bounded = library.BoundedModule(model, torch.zeros_like(x[:1]), device="cpu", verbose=False)
    ball = library.PerturbationLpNorm(norm=float("inf"), eps=radius)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return bounded.compute_bounds(x=(library.BoundedTensor(x, ball),), method="CROWN")

    return run


if __name__ == "__main__":
    main()
