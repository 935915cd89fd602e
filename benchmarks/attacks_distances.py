"""Distances of minimum-norm attacks beside those of foolbox and adv-lib, on the networks of golden/attacks."""

import argparse
import importlib
import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from golden import Network, add_golden, load
from withstand.data.space import Space
from withstand.functional.random import stream
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.ddn import DDN
from withstand.perturbations.attacks.fmn import FMN
from withstand.perturbations.attacks.sigma_zero import SigmaZero
from withstand.perturbations.ball import Ball

ORDER = {"l0": 0, "l1": 1, "l2": 2, "linf": float("inf")}
GOAL = 1.01


class Line(NamedTuple):
    """The distances that an attack found."""

    network: str
    norm: str
    steps: int
    attack: str
    is_ours: bool
    median: float
    mean: float
    missed: int
    passes: float
    seconds: float


class Counted(nn.Module):
    """A network that counts the samples it is given, and those whose gradient is computed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.passes = network, 0

    def forward(self, x: Tensor) -> Tensor:
        """Count a forward pass per sample, and a backward pass where a gradient is wanted."""
        self.passes += len(x) * (1 + (x.requires_grad and torch.is_grad_enabled()))
        return self.network(x)


def without_plots() -> None:
    """Let adv-lib import without visdom, which it needs for plots alone."""
    sys.modules.setdefault("visdom", types.ModuleType("visdom"))
    sys.modules["visdom"].Visdom = object  # type: ignore[attr-defined]


def peers(norm: str, steps: int) -> Iterator[tuple[str, Callable[[nn.Module, Tensor, Tensor], Tensor]]]:
    """Yield the attacks of foolbox and adv-lib in a norm."""
    without_plots()
    foolbox, adv_lib = importlib.import_module("foolbox"), importlib.import_module("adv_lib.attacks")

    def of_foolbox(attack: Any) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
        return lambda model, x, y: attack(
            foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=None
        )[1]

    attacks = foolbox.attacks
    yield "adv-lib FMN", lambda model, x, y: adv_lib.fmn(model, x, y, norm=ORDER[norm], steps=steps)
    kinds = {"l0": "L0", "l1": "L1", "l2": "L2", "linf": "LInf"}
    yield "foolbox FMN", of_foolbox(getattr(attacks, f"{kinds[norm]}FMNAttack")(steps=steps))
    if norm == "l2":
        yield "adv-lib DDN", lambda model, x, y: adv_lib.ddn(model, x, y, steps=steps, levels=None)
        yield "foolbox DDN", of_foolbox(attacks.DDNAttack(steps=steps))
    if norm == "l0":
        yield "adv-lib sigma-zero", lambda model, x, y: adv_lib.sigma_zero(model, x, y, num_steps=steps)


def ours(norm: str, steps: int) -> tuple[Attack, ...]:
    """Return our attacks in a norm."""
    if norm == "l0":
        return (SigmaZero(steps=steps),)
    ball = Ball(norm, 1.0)  # type: ignore[arg-type]
    return (FMN(ball=ball, steps=steps), *((DDN(ball=ball, steps=steps),) if norm == "l2" else ()))


def distances(name: str, network: nn.Module, x: Tensor, y: Tensor, norm: str, steps: int) -> Iterator[Line]:
    """Yield a line per attack; every point that counts is checked by a pass of its own."""
    right = network(x).argmax(1) == y
    space = Space(shape=tuple(x.shape[1:]), box=(0.0, 1.0))

    def line(attack: str, found: Tensor, passes: float, start: float, *, is_ours: bool) -> Line:
        own = found[right]
        mean = float(own[own.isfinite()].mean())
        seconds = time.process_time() - start
        return Line(
            name, norm, steps, attack, is_ours, float(own.median()), mean, int(own.isinf().sum()), passes, seconds
        )

    for each in ours(norm, steps):
        start = time.process_time()
        found = each.attack(x, y, network, space=space, rng=stream(0, "benchmark"))
        yield line(type(each).__name__, found.distance, float(found.passes.float().mean()), start, is_ours=True)
    for attack, run in peers(norm, steps):
        torch.manual_seed(0)
        start, counted = time.process_time(), Counted(network).eval()
        points = run(counted, x, y).detach()
        found = torch.linalg.vector_norm((points - x).flatten(1), ORDER[norm], dim=1)
        found[network(points).argmax(1) == y] = torch.inf
        yield line(attack, found, counted.passes / len(x), start, is_ours=False)


def ratio(line: Line, lines: list[Line]) -> float:
    """Return the median distance of an attack over the best median of the other libraries; 0 if they found none."""
    others = [each for each in lines if each[:3] == line[:3] and not each.is_ours]
    return line.median / min(each.median for each in others)


def table(networks: list[Network], steps: list[int]) -> list[Line]:
    """Print the table, and return its lines."""
    head = f"{'network':8}{'norm':6}{'steps':>6}  {'attack':20}{'median':>9}{'/ best':>8}{'mean':>9}"
    print(f"{head}{'missed':>7}{'passes':>8}{'s':>7}")
    lines: list[Line] = []
    for network, count, norm in product(networks, steps, ORDER):
        own = list(distances(network.name, network.model, network.x, network.y, norm, count))
        for each in own:
            share = ratio(each, own)
            verdict = "" if not each.is_ours else "  holds" if share <= GOAL else "  MISSED"
            print(
                f"{each.network:8}{norm:6}{count:>6}  {each.attack:20}{each.median:>9.4f}{share:>8.3f}{each.mean:>9.4f}"
                f"{each.missed:>7}{each.passes:>8.0f}{each.seconds:>7.1f}{verdict}",
                flush=True,
            )
        lines += own
    return lines


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_golden(parser)
    parser.add_argument("--only", nargs="+", default=["A", "B", "C"])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = table([load(options.golden, name) for name in options.only], options.steps)
    if options.output:
        options.output.write_text(json.dumps([each._asdict() for each in lines], indent=1) + "\n")


if __name__ == "__main__":
    main()
