"""Attacks and certificates beside their goals and beside AutoAttack, foolbox, adv-lib and bounds of other libraries."""

import argparse
import copy
import importlib
import json
import statistics
import sys
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor

import attacks_distances
import attacks_masked
import bounds
import smoothing
from devices import card, check_device, now
from golden import Goal, Network, add_golden, load, print_goals
from withstand.attacking import attack as attack_module
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.models.frozen import frozen
from withstand.models.memory_format import place
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.attack import checked
from withstand.perturbations.attacks.budgets import Budget, attacks_of
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.union import Union
from withstand.perturbations.ball import Ball
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.target import Target

NETWORKS = ("A", "B", "C")
SURVIVOR = 7731  # passes of FAB-T and Square per sample that they do not break
GOAL_SPEED = 1.5  # PGD, times as fast as foolbox's
GOAL_BUDGET = 3.0  # budget standard on a GPU, times as fast as AutoAttack
STEPS, REPEATS = 40, 9
L1_RADII = (2.0, 5.0)
Line = dict[str, Any]


class Part(NamedTuple):
    """What a part of the benchmark found.

    Attributes:
        lines: Its figures.
        goals: Its goals.
    """

    lines: Any
    goals: list[Goal]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_golden(parser)
    parser.add_argument("--budgets", nargs="+", choices=get_args(Budget), default=["quick", "standard"])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=USUAL, help="parts to run")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"rounds of timed parts (default {REPEATS})")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for budgets, l1, speed and autoattack")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    check_device(options.device)
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    try:
        networks = [on_device(load(options.golden, name), options.device) for name in NETWORKS]
        found = {part: PARTS[part](networks, options) for part in options.only}
    except (InputError, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    goals = [goal for part in found.values() for goal in part.goals]
    print()
    print_goals(goals)
    if options.output is not None:
        lines = {part: each.lines for part, each in found.items()}
        about: dict[str, Any] = {"device": card(options.device), "threads": options.threads}
        about |= {"torch": torch.__version__, "goals": [each._asdict() for each in goals]}
        options.output.write_text(json.dumps(about | lines, indent=1) + "\n")


def on_device(network: Network, device: str) -> Network:
    """Return a network and its samples on a device."""
    return network._replace(model=network.model.to(device), x=network.x.to(device), y=network.y.to(device))


def budgets(networks: list[Network], options: argparse.Namespace) -> Part:
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
    return Part(
        lines, [strength(budget, [each for each in lines if each["budget"] == budget]) for budget in options.budgets]
    )


def strength(budget: Budget, lines: list[Line]) -> Goal:
    """Return the goal of a budget over all networks and balls."""
    other = "after_targets" if budget == "quick" else "autoattack"
    worst = max(each["ours"] - each[other] for each in lines)
    goal = {
        "quick": "at most 1.5 points above AutoAttack after APGD-T, a tenth of its passes",
        "standard": "at most 0.5 points above AutoAttack, a third of its passes",
    }.get(budget, "at most 0.5 points above AutoAttack, its passes")
    share = max(each["share"] for each in lines)
    measured = f"at most {worst:+.1f} points, {share:.2f} of the allowed passes, {len(lines)} networks and balls"
    return Goal(f"budget {budget}", goal, measured, all(each["goal"] == "holds" for each in lines))


def measure(network: Network, stored: Line, budget: Budget) -> Line:
    """Attack one ball with one budget."""
    x, y = network.x, network.y
    ball, num_rows = Ball(stored["norm"], stored["radius"]), len(x)
    device = x.device.type
    begin = now(device)
    with frozen(network.model), torch.no_grad():
        target = Target(network.model, Frame(x, ball, Space.like(x, box=(0.0, 1.0))), y)
        num_classes = target.begin().shape[1]
        target.passes.zero_()  # as in the stored figures, without the clean ones
        union = Union(ball=ball, attacks=attacks_of(budget, ball, num_classes=num_classes))
        union.search(target, rng=row_streams(0, "attacks", index=torch.arange(num_rows), device=device))
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
    flags = torch.tensor(stored["flags"], dtype=torch.bool, device=device)
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
        "seconds": now(device) - begin,
        "only_autoattack": (left & ~flags).nonzero()[:, 0].tolist(),
        "only_ours": (~left & flags).nonzero()[:, 0].tolist(),
        "goal": "holds" if ours <= most + 1e-4 and passes <= limit else "MISSED",
    }


def l1(networks: list[Network], options: argparse.Namespace) -> Part:
    """Compare the budgets with AutoAttack's ascents in l1: cross entropy, and then nine targets, of 100 steps."""
    if (library := installed("autoattack.autopgd_base")) is None:
        return Part([], [Goal("l1", "at most AutoAttack's ascents", "autoattack is not installed", None)])
    lines = []
    for network, radius in product(networks, L1_RADII):
        model, x, y = network.model, network.x, network.y
        own = {"n_iter": 100, "norm": "L1", "eps": radius, "seed": 0, "device": options.device, "use_largereps": True}
        with torch.no_grad():
            left = model(x).argmax(1) == y
        for attack in (library.APGDAttack(model, **own), library.APGDAttack_targeted(model, **own)):
            rows = left.nonzero()[:, 0]
            points = attack.perturb(x[rows], y[rows])
            with torch.no_grad():
                left[rows] = model(points).argmax(1) == y[rows]
        line = {"network": network.name, "radius": radius, "autoattack": 100 * left.float().mean().item()}
        for budget in options.budgets:
            found = attack_module(model, x, y, Ball("l1", radius), budget=budget, device=options.device)
            line[budget] = 100 * (~found.success).float().mean().item()
        lines.append(line)
        numbers = ", ".join(f"{name} {line[name]:.1f}" for name in ("autoattack", *options.budgets))
        print(f"{network.name} l1 {radius:g}: {numbers}", flush=True)
    goals = []
    for budget in options.budgets:
        worst, limit = max(each[budget] - each["autoattack"] for each in lines), 1.5 if budget == "quick" else 0.5
        measured = f"at most {worst:+.1f} points, {len(lines)} networks and radii"
        goal = f"at most {limit} points above AutoAttack's APGD and APGD-T"
        goals.append(Goal(f"budget {budget} in l1", goal, measured, worst <= limit + 1e-4))
    return Part(lines, goals)


def speed(networks: list[Network], options: argparse.Namespace) -> Part:
    """Compare ascents of equally many steps, on the network and ball with about 60 % robust accuracy.

    Every round runs all of them, in turn; time is that of the processor, which other load disturbs less.
    """
    network = next(each for each in networks if each.name == "B")
    attacks, times, lines = ascents(network, 0.1), dict[str, list[float]](), []
    for number in range(options.repeats + 1):  # the first round warms up
        for name, attack in attacks.items():
            begin = now(options.device)
            points = attack()
            if number:
                times.setdefault(name, []).append(now(options.device) - begin)
            else:
                with torch.no_grad():
                    left = 100 * (network.model(points).argmax(1) == network.y).float().mean().item()
                lines.append({"attack": name, "left": left})
    for line in lines:
        line["seconds"] = statistics.median(times[line["attack"]])
        pairs = zip(times[line["attack"]], times["withstand PGD"], strict=True)
        line["times_ours"] = statistics.median(other / own for other, own in pairs)
        print("{attack:28} leaves {left:5.1f} %  {seconds:7.2f} s  {times_ours:5.2f} x PGD".format(**line), flush=True)
    by = {line["attack"]: line for line in lines}
    own, others = by["withstand PGD"], [line for name, line in by.items() if name.startswith("foolbox")]
    if not others:
        measured, holds = "foolbox is not installed", None
    else:
        other = min(others, key=lambda line: line["times_ours"])
        measured = f"{other['times_ours']:.2f} times; leaves {own['left']:.1f} %, foolbox {other['left']:.1f} %"
        holds = other["times_ours"] >= GOAL_SPEED
    return Part(lines, [Goal("PGD, 40 steps", f"at least {GOAL_SPEED} times as fast as foolbox", measured, holds)])


def autoattack(networks: list[Network], options: argparse.Namespace) -> Part:
    """Compare the time of the standard budget with AutoAttack's, on the network and ball of `speed`."""
    what, goal = "budget standard", f"at least {GOAL_BUDGET:g} times as fast as AutoAttack on a GPU"
    if (library := installed("autoattack")) is None:
        return Part([], [Goal(what, goal, "autoattack is not installed", None)])
    network = next(each for each in networks if each.name == "B")
    model, x, y, radius = network.model, network.x, network.y, 0.1
    rival = library.AutoAttack(model, norm="Linf", eps=radius, version="standard", device=options.device, verbose=False)
    variants = {
        "withstand": lambda: attack_module(model, x, y, Ball("linf", radius), budget="standard", device=options.device),
        "AutoAttack": lambda: rival.run_standard_evaluation(x, y, bs=len(x)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(min(3, options.repeats) + 1):  # the first round warms up
        for name, attack in variants.items():
            begin = now(options.device)
            attack()
            seconds[name] += [now(options.device) - begin] if number else []
    pairs = zip(seconds["AutoAttack"], seconds["withstand"], strict=True)
    ratio = statistics.median(theirs / own for theirs, own in pairs)
    holds = ratio >= GOAL_BUDGET if options.device.startswith("cuda") else None
    return Part([{"seconds": seconds, "ratio": ratio}], [Goal(what, goal, f"{ratio:.2f} times", holds)])


def ascents(network: Network, radius: float) -> dict[str, Callable[[], Tensor]]:
    """Return the ascents to compare, by name: ours, and those of other libraries that are installed.

    All attack a copy in channels-last format, as `withstand evaluate` does; foolbox also attacks
    the contiguous network.
    """
    given, x, y = network.model, network.x, network.y
    model = place(copy.deepcopy(given), x.device, tuple(x.shape[1:]))
    ball, space = Ball("linf", radius), Space.like(x, box=(0.0, 1.0))

    def rows() -> Any:
        return row_streams(0, "pgd", index=torch.arange(len(x)), device=x.device)

    found: dict[str, Callable[[], Tensor]] = {
        "withstand PGD": lambda: (
            PGD(ball=ball, steps=STEPS, until_wrong=True)
            .draw(x, y, model, space=space, num_draws=1, rng=rows())
            .inputs[0]
        ),
        "withstand APGD": lambda: APGD(ball=ball, steps=STEPS).attack(x, y, model, space=space, rng=rows()).points,
    }
    if (foolbox := installed("foolbox")) is not None:
        attack = foolbox.attacks.LinfPGD(steps=STEPS, rel_stepsize=2.5 / STEPS)
        for name, each in (("foolbox LinfPGD", model), ("foolbox LinfPGD, contiguous", given)):
            wrapped = foolbox.PyTorchModel(each, bounds=(0, 1), device=x.device)
            found[name] = lambda wrapped=wrapped: attack(wrapped, x, y, epsilons=radius)[1]
    attacks_distances.without_plots()
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


def masked(networks: list[Network], options: argparse.Namespace) -> Part:  # noqa: ARG001
    """Attack networks whose gradients are masked."""
    lines = attacks_masked.table(options.golden)
    met = sum(each["is_met"] for each in lines)
    goal = "within 2 points of the transfer truth, or a note; no note without a mask"
    return Part(lines, [Goal("masked networks", goal, f"{met} of {len(lines)} lines", met == len(lines))])


def distances(networks: list[Network], options: argparse.Namespace) -> Part:  # noqa: ARG001
    """Compare minimum-norm attacks."""
    try:
        lines = attacks_distances.table(networks, [100])
    except ImportError as problem:
        return Part([], [Goal("minimal distances", "1 % above the best of others", f"left out: {problem}", None)])
    ratios = [attacks_distances.ratio(each, lines) for each in lines if each.is_ours]
    found = [each for each in ratios if each > 0]
    measured = f"median distance {min(found):.2f} to {max(ratios):.2f} times the best, {len(ratios)} comparisons"
    if len(found) < len(ratios):
        measured += f"; in {len(ratios) - len(found)} the others found no point for half of the samples"
    goal = "at most 1.01 times the better of foolbox and adv-lib"
    return Part([each._asdict() for each in lines], [Goal("minimal distances", goal, measured, max(ratios) <= 1.01)])


def certificates(networks: list[Network], options: argparse.Namespace) -> Part:  # noqa: ARG001
    """Compare CROWN bounds."""
    lines = bounds.table(num_samples=8, num_radii=3, repeats=5)
    goals = []
    for library in (bounds.CHAINS, bounds.FULL):
        own = [each for each in lines if each["library"] == library]
        if any(each["holds"] is None for each in own):
            measured, holds = own[0]["note"], None
        else:
            width, seconds = (max(each[name] for each in own) for name in ("times_width", "times_seconds"))
            measured = f"at most {width:.4f} times the width, {seconds:.2f} times the time"
            holds = all(each["holds"] for each in own)
        goals.append(Goal(f"CROWN beside {library}", "as tight, at most 1.5 times the time", measured, holds))
    return Part(lines, goals)


def smoothed(networks: list[Network], options: argparse.Namespace) -> Part:  # noqa: ARG001
    """Compare randomised smoothing with bare passes."""
    found = smoothing.table(list(smoothing.PARTS), repeats=options.repeats, engine=Engine.start(device="cpu"))
    goals = [
        Goal(
            f"randomised smoothing, {name}",
            f"at least {smoothing.THROUGHPUT:.0%} of the bare throughput",
            f"{100 * found[name]['ratio']:.0f} %",
            found[name]["ratio"] >= smoothing.THROUGHPUT,
        )
        for name in ("small_cnn", "squeezenet")
    ]
    for radius, each in found["early"].items():
        holds = each["saved"] >= smoothing.SAVED and each["equal"] >= smoothing.EQUAL
        measured = f"{100 * each['saved']:.1f} % saved, {100 * each['equal']:.0f} % equal"
        goals.append(Goal(f"early end at l2 {radius}", "half of the draws saved, 99 % equal", measured, holds))
    return Part(found, goals)


# Parts of the benchmark; each prints its table and returns its figures and goals.
PARTS: dict[str, Callable[[list[Network], argparse.Namespace], Part]] = {
    "budgets": budgets,
    "l1": l1,
    "masked": masked,
    "distances": distances,
    "speed": speed,
    "autoattack": autoattack,
    "smoothing": smoothed,
    "bounds": certificates,
}
USUAL = [each for each in PARTS if each != "autoattack"]  # which takes hours on a CPU


if __name__ == "__main__":
    main()
