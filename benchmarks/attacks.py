"""Budgets of attacks beside AutoAttack's stored outcomes, and PGD beside foolbox and adv-lib, in one run."""

import argparse
import importlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import withstand as ws
from withstand.data.images.cifar10 import Cifar10
from withstand.data.images.fashion_mnist import FashionMnist
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.models.frozen import frozen
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import checked
from withstand.perturbations.attacks.budgets import Budget, attacks_of
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.union import Union
from withstand.perturbations.ball import Ball
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.target import Target

IMAGES = {"A": FashionMnist, "B": FashionMnist, "C": Cifar10}
SURVIVOR = 7731  # passes of FAB-T and Square per sample that they do not break
GOAL_SPEED = 1.5  # PGD, times as fast as foolbox's
STEPS, REPEATS = 40, 3
Line = dict[str, Any]


class Network(NamedTuple):
    """A network of the golden outputs with its samples.

    Attributes:
        name: Its letter.
        model: The network.
        x: The samples.
        y: Their labels.
        results: What AutoAttack left, ball by ball.
    """

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor
    results: list[Line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--golden", type=Path, required=True, help="folder with A.json, A.safetensors, ...")
    parser.add_argument("--budgets", nargs="+", choices=get_args(Budget), default=["quick", "standard"])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to run")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    try:
        networks = [load(options.golden, name) for name in IMAGES]
    except (InputError, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    found = {part: PARTS[part](networks, options) for part in options.only}
    if options.output is not None:
        options.output.write_text(json.dumps({"threads": options.threads} | found, indent=1) + "\n")


def load(golden: Path, name: str) -> Network:
    """Return a network with its first samples, checked against the stored flags."""
    stored = json.loads((golden / f"{name}.json").read_text())
    built = ws.SmallCNN(**stored["architecture"]["init_args"])
    model = built.build(tuple(stored["input_shape"]), stored["num_classes"], seed=0)
    model.load_state_dict(load_file(golden / f"{name}.safetensors"))
    split = IMAGES[name](**stored["data"]["init_args"]).load("test")
    batch = next(iter(split.batches([torch.tensor(stored["samples"])])))
    with torch.no_grad():
        right = model.eval()(batch.x).argmax(1) == batch.y
    if right.int().tolist() != stored["clean_flags"]:
        raise InputError(f"{name}: expected the samples that the stored flags are of, got other predictions.")
    return Network(name, model, batch.x, batch.y, stored["results"])


def budgets(networks: list[Network], options: argparse.Namespace) -> list[Line]:
    """Compare the budgets with AutoAttack in strength and in passes."""
    print("network ball          budget      AutoAttack  after T   ours    passes  of ours / limit  seconds  goal")
    lines = []
    for network in networks:
        for stored in network.results:
            for budget in options.budgets:
                line = measure(network, stored, budget)
                lines.append(line)
                print(
                    "{network:7} {ball:13} {budget:10} {autoattack:10.1f} {after_targets:9.1f} {ours:7.1f} {passes:9,} "
                    "{share:16.2f} {seconds:8.1f}  {goal}".format(**line),
                    flush=True,
                )
    return lines


def measure(network: Network, stored: Line, budget: Budget) -> Line:
    """Attack one ball with one budget."""
    x, y = network.x, network.y
    ball, num_rows = Ball(stored["norm"], stored["radius"]), len(x)
    begin = time.process_time()
    with frozen(network.model), torch.no_grad():
        target = Target(network.model, Frame(x, ball, Space.like(x, box=(0.0, 1.0))), y)
        num_classes = target.begin().shape[1]
        target.passes.zero_()  # as in the stored figures, without the clean ones
        union = Union(ball=ball, attacks=attacks_of(budget, ball, num_classes=num_classes))
        union.search(target, rng=row_streams(0, "attacks", index=torch.arange(num_rows)))
        left = ~checked(target).success
    attacks = {each["attack"]: each for each in stored["attacks"]}
    after_targets, survivors = attacks["apgd-t"]["left"] * 100 / num_rows, attacks["apgd-t"]["left"]
    full = attacks["apgd-ce"]["passes"] + attacks["apgd-t"]["passes"] + SURVIVOR * survivors
    if stored["list"] == "standard":
        full = stored["passes"]
    limit = {"quick": full / 10, "standard": stored["passes"] / 3}.get(budget, full)
    ours, autoattack = 100 * left.float().mean().item(), 100 * stored["robust_accuracy"]
    most = after_targets + 1.5 if budget == "quick" else autoattack + 0.5
    passes = int(target.passes.sum())
    flags = torch.tensor(stored["flags"], dtype=torch.bool)
    return {
        "network": network.name,
        "ball": f"{ball.norm} {ball.radius:.3g}",
        "budget": budget,
        "autoattack": autoattack,
        "autoattack_passes": stored["passes"],
        "after_targets": after_targets,
        "ours": ours,
        "passes": passes,
        "share": passes / limit,
        "seconds": time.process_time() - begin,
        "only_autoattack": (left & ~flags).nonzero()[:, 0].tolist(),
        "only_ours": (~left & flags).nonzero()[:, 0].tolist(),
        "goal": "holds" if ours <= most + 1e-4 and passes <= limit else "MISSED",
    }


def speed(networks: list[Network], options: argparse.Namespace) -> list[Line]:  # noqa: ARG001
    """Compare ascents of equally many steps, on the network and ball with about 60 % robust accuracy."""
    network = next(each for each in networks if each.name == "B")
    radius, lines = 0.1, []
    attacks, times = ascents(network, radius), {}
    for number in range(REPEATS + 1):  # the first run warms up
        for name, attack in attacks.items():
            begin = time.perf_counter()
            points = attack()
            if number:
                times.setdefault(name, []).append(time.perf_counter() - begin)
            if number == REPEATS:
                with torch.no_grad():
                    left = 100 * (network.model(points).argmax(1) == network.y).float().mean().item()
                lines.append({"attack": name, "left": left, "seconds": statistics.median(times[name])})
    seconds = {line["attack"]: line["seconds"] for line in lines}
    for line in lines:
        line["times_ours"] = line["seconds"] / seconds["withstand PGD"]
        print("{attack:20} leaves {left:5.1f} %  {seconds:7.2f} s  {times_ours:5.2f} x PGD".format(**line), flush=True)
    if (ratio := seconds.get("foolbox LinfPGD", 0) / seconds["withstand PGD"]) > 0:
        print(f"PGD is {ratio:.2f} times as fast as foolbox's: {'holds' if ratio >= GOAL_SPEED else 'MISSED'}")
    return lines


def ascents(network: Network, radius: float) -> dict[str, Callable[[], Tensor]]:
    """Return the ascents to compare, by name: ours, and those of other libraries that are installed."""
    model, x, y = network.model, network.x, network.y
    ball, space = Ball("linf", radius), Space.like(x, box=(0.0, 1.0))

    def rows() -> Any:
        return row_streams(0, "pgd", index=torch.arange(len(x)))

    found: dict[str, Callable[[], Tensor]] = {
        "withstand PGD": lambda: (
            PGD(ball=ball, steps=STEPS, until_wrong=True)
            .draw(x, y, model, space=space, num_draws=1, rng=rows())
            .inputs[0]
        ),
        "withstand APGD": lambda: APGD(ball=ball, steps=STEPS).attack(x, y, model, space=space, rng=rows()).points,
    }
    if (foolbox := installed("foolbox")) is not None:
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.LinfPGD(steps=STEPS, rel_stepsize=2.5 / STEPS)
        found["foolbox LinfPGD"] = lambda: attack(wrapped, x, y, epsilons=radius)[1]
    if (library := installed("adv_lib.attacks.auto_pgd")) is not None:
        found["adv-lib APGD"] = lambda: library.apgd(model, x, y, eps=radius, norm=float("inf"), n_iter=STEPS)
    return found


def installed(name: str) -> ModuleType | None:
    """Return a module of another library; None, with a note, if it or what it needs is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        print(f"{name} is left out: {problem}")
        return None


# Parts of the benchmark; each prints its table and returns its lines.
PARTS: dict[str, Callable[[list[Network], argparse.Namespace], list[Line]]] = {"budgets": budgets, "speed": speed}


if __name__ == "__main__":
    main()
