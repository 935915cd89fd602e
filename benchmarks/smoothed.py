"""Measure smoothed training and its yardsticks on Avila beside the published recipe, written out here.

The recipe draws all points uniformly from the box and sends them, forward and backward, through the network at once.
"""

import argparse
import json
import multiprocessing
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.data.tables.avila import Avila
from withstand.evaluation.worst_case import WorstCase
from withstand.experiment import ROWS, Experiment
from withstand.functional.lipschitz import lipsdp_neuron_bound
from withstand.functional.losses import loss_per_sample
from withstand.functional.random import stream
from withstand.functional.risks import soft_maximum
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import Mode, PerturbedRisk
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform
from withstand.stacked.trials import run_together
from withstand.study.measures.row import read_rows
from withstand.training.optimizers import SGD
from withstand.training.schedules import StepDecay
from withstand.training.settings import Training

BATCH = 100
PARTS = ("step", "memory", "bias", "training", "worst-case", "lipschitz", "trials")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=3, help="rounds of the step that count")
    parser.add_argument("--epochs", type=int, default=150, help="of the trainings that are compared: the study's")
    parser.add_argument("--seeds", type=int, default=3, help="of the trainings that are compared")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None, help="file for all numbers")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        train, test = Avila(validation=0.0).load("train"), Avila(validation=0.0).load("test")
    except ws.InputError as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
    model = trained(train, PerturbedRisk(), epochs=20)
    goals: list[dict] = []

    def goal(what: str, measured: float, bound: str, limit: float) -> None:
        holds = measured <= limit if bound == "at most" else measured >= limit
        goals.append({"goal": f"{what}: {bound} {limit:g}", "measured": measured, "holds": holds})
        print(f"{goals[-1]['goal']:<88}{measured:>10.3g}  {'holds' if holds else 'missed'}", flush=True)

    if "step" in options.only:
        modes: list[tuple[float, Mode, float]] = [
            (1e-4, "two_pass", 4.0),
            (1e-2, "resampled", 3.0),
            (1.0, "resampled", 2.5),
        ]
        for temperature, mode, limit in modes:
            ratio, seconds = steps(model, train, temperature, mode, repeats=options.repeats)
            print(f"  recipe {seconds[0]:.2f} s, {mode} {seconds[1]:.2f} s a step")
            goal(
                f"step, radius 0.15, 10,954 points, T = {temperature:g}, {mode}, times faster", ratio, "at least", limit
            )
    if "memory" in options.only:
        before, highest = in_a_process_of_its_own(model, train)
        print(f"  {before:.2f} GB before the step (libraries and data), {highest:.2f} GB at its peak")
        goal("memory, radius 0.3, 194,796 points, GB, libraries included", highest, "at most", 1.0)
    if "bias" in options.only:
        few, many = biases(model, test)
        print(f"  bias of the smoothed loss at T = 0.01, radius 0.3: 64 tilted {few:+.4f}, 100,000 uniform {many:+.4f}")
        goal("bias of 64 tilted points over that of 100,000 uniform ones", abs(few / many), "at most", 1.0)
    if "training" in options.only:
        for radius, (tilted, uniform) in trainings(epochs=options.epochs, seeds=options.seeds).items():
            for name, values in (("tilted", tilted), ("uniform", uniform)):
                print(f"  radius {radius}, {options.epochs} epochs, {name}:", *(f"{each:.4f}" for each in values))
            gain = 100 * (statistics.mean(tilted) - statistics.mean(uniform))
            goal(f"16 tilted over 64 uniform points, radius {radius}, points", gain, "at least", 3.0)
    if "worst-case" in options.only:
        seconds, ours, theirs = worst_cases(model, test)
        goal("worst case, radius 0.2, 10,437 rows, seconds", seconds, "at most", 60.0)
        print(f"  1,500 rows: {ours:.4f} by the attacks, {theirs:.4f} by 28,592 uniform points")
        goal("worst case by the attacks less that by uniform points", ours - theirs, "at most", 0.0)
    if "lipschitz" in options.only:
        weights = [each.weight.detach().double() for each in model.modules() if isinstance(each, nn.Linear)]
        started = time.perf_counter()
        bound = lipsdp_neuron_bound(weights, steps=200)
        seconds = time.perf_counter() - started
        goal("LipSDP, 8-200-200-12, seconds", seconds, "at most", 20.0)
        goal("LipSDP, 200 steps over 2,000 steps", bound / lipsdp_neuron_bound(weights, steps=2000), "at most", 1.1)
    if "trials" in options.only:
        name, ratio, least = trials_at_once(options.threads)
        goal(f"regular training of 51 seeds, {name}, times as fast as one by one", ratio, "at least", least)
    if options.json:
        about = {
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.system(),
            "threads": options.threads,
            "versions": {name: version(name) for name in ("withstand", "torch", "numpy")},
        }
        options.json.write_text(json.dumps({"about": about, "goals": goals}, indent=1) + "\n")


def trials_at_once(threads: int) -> tuple[str, float, float]:
    """Return the best size of a batch of trials, how much faster it is, and what that should be: see trials.py."""
    script = Path(__file__).with_name("trials.py")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trials.json"
        subprocess.run([sys.executable, script, f"--threads={threads}", f"--output={file}"], check=True)
        found = json.loads(file.read_text())
    best = found["goal"]["variant"]
    return best, found["paired_ratio"][best], found["goal"]["at_least"]


def trained(train: TensorSplit, objective: PerturbedRisk, *, epochs: int) -> nn.Module:
    model = ws.MLP().build(train.shape, len(train.classes), seed=0)
    return ws.fit(
        model,
        train,
        objective=objective,
        epochs=epochs,
        batch_size=BATCH,
        optimizer=SGD(lr=0.2, momentum=0.0),
        clip_norm=2.0,
        device="cpu",
    )


def steps(
    model: nn.Module, train: TensorSplit, temperature: float, mode: Mode, *, repeats: int
) -> tuple[float, tuple[float, float]]:
    """Return the median of paired ratios, and the median seconds, of the recipe's step and of ours."""
    radius, count = 0.15, 10_954
    ours = PerturbedRisk(
        perturbation=Uniform(ball=Ball("linf", radius)),
        num_draws=count,
        fold=SoftMaximum(temperature=temperature),
        mode=mode,
    )
    x, y = train.x[:BATCH], train.y[:BATCH]
    one, other = deepcopy(model).train(), deepcopy(model).train()

    def recipe() -> None:
        points = x + (2 * torch.rand((count, *x.shape)) - 1) * radius
        losses = cross_entropy(one(points.flatten(0, 1)), y.repeat(count), reduction="none").view(count, -1)
        (temperature * torch.logsumexp(losses / temperature, dim=0)).mean().backward()

    def step() -> None:
        state = ours.init(x, model=other, rng=stream(0, "init"))
        ours.step(other, x, y, space=Space.like(x), state=state, count=0, rng=stream(0, "step")).loss.backward()

    return paired(recipe, step, repeats=repeats)


def paired(one: Callable[[], None], other: Callable[[], None], *, repeats: int) -> tuple[float, tuple[float, float]]:
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for run, times in zip((one, other), seconds, strict=True):
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
    first, second = (times[1:] for times in seconds)
    ratio = statistics.median(a / b for a, b in zip(first, second, strict=True))
    return ratio, (statistics.median(first), statistics.median(second))


def in_a_process_of_its_own(model: nn.Module, train: TensorSplit) -> tuple[float, float]:
    """Return the process's peak of memory in GB before a step at radius 0.3 and after it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_one_large_step, args=(theirs, model, train.x[:BATCH], train.y[:BATCH]))
    process.start()
    found = ours.recv()
    process.join()
    return found


def _one_large_step(pipe, model: nn.Module, x: Tensor, y: Tensor) -> None:
    torch.set_num_threads(1)
    objective = PerturbedRisk(
        perturbation=Uniform(ball=Ball("linf", 0.3)),
        num_draws=194_796,
        fold=SoftMaximum(temperature=1e-2),
        mode="resampled",
    )
    model.train()
    small = PerturbedRisk(
        perturbation=objective.perturbation, num_draws=64, fold=SoftMaximum(temperature=1e-2), mode="resampled"
    )
    small.step(model, x, y, space=Space.like(x), state=nn.Module(), count=0, rng=stream(0, "first")).loss.backward()
    before = peak()
    objective.step(model, x, y, space=Space.like(x), state=nn.Module(), count=0, rng=stream(0, "step")).loss.backward()
    pipe.send((before, peak()))


def peak() -> float:
    """Return this process's peak of memory in GB; that of `getrusage` begins with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


@torch.no_grad()
def biases(
    model: nn.Module, test: TensorSplit, *, temperature: float = 0.01, radius: float = 0.3
) -> tuple[float, float]:
    """Return the mean error of the smoothed loss over 40 rows, by 64 tilted points and by 100,000 uniform ones."""
    x, y, ball = test.x[:40], test.y[:40], Ball("linf", radius)
    tilted = Tilted(ball=ball, temperature=temperature)

    def smoothed(perturbation: Tilted | Uniform, count: int, name: str, turn: int) -> Tensor:
        draws = perturbation.draw(x, y, model, space=test.space, num_draws=count, rng=stream(0, name, turn))
        losses = loss_per_sample(model(draws.inputs.flatten(0, 1)), y.repeat(count)).view(count, -1)
        return soft_maximum(losses.double(), temperature=temperature, log_weights=draws.log_weights)

    reference = torch.stack([smoothed(tilted, 40_000, "reference", turn) for turn in range(5)]).mean(0)
    few = torch.stack([smoothed(tilted, 64, "tilted", turn) for turn in range(64)]).mean(0)
    many = torch.stack([smoothed(Uniform(ball=ball), 100_000, "uniform", turn) for turn in range(4)]).mean(0)
    return (few - reference).mean().item(), (many - reference).mean().item()


def trainings(*, epochs: int, seeds: int) -> dict[float, tuple[list[float], list[float]]]:
    """Return by radius the worst-case accuracies, seed by seed, after training with 16 tilted and 64 uniform points."""
    found = {}
    for radius in (0.1, 0.2):
        ball = Ball("linf", radius)
        values = []
        for perturbation, count in ((Tilted(ball=ball), 16), (Uniform(ball=ball), 64)):
            experiments = [
                Experiment(
                    data=Avila(validation=0.0),
                    model=ws.MLP(),
                    objective=PerturbedRisk(
                        perturbation=perturbation, num_draws=count, fold=SoftMaximum(temperature=0.01)
                    ),
                    training=Training(
                        epochs=epochs,
                        batch_size=BATCH,
                        clip_norm=2.0,
                        optimizer=SGD(lr=0.2, momentum=0.0),
                        schedule=StepDecay(every=round(0.75 * epochs), decay=0.1),
                    ),
                    evaluations=(WorstCase(balls=(ball,), num_mean=0),),
                    seed=seed,
                )
                for seed in range(seeds)
            ]
            with tempfile.TemporaryDirectory() as root:
                folders = run_together(experiments, Path(root), engine=ws.Engine())
                rows = [row for each in folders for row in read_rows(each / ROWS).rows]
            values.append([row.value for row in rows if row.measure == "worst_case_top1"])
        found[radius] = (values[0], values[1])
    return found


def worst_case(model: nn.Module, split: TensorSplit, ball: Ball) -> float:
    (found,) = WorstCase(balls=(ball,), num_mean=0).measure(model, split, seed=0, engine=ws.Engine()).columns.values()
    return found["correct"].float().mean().item()


@torch.no_grad()
def worst_cases(model: nn.Module, test: TensorSplit) -> tuple[float, float, float]:
    """Return the seconds for all rows, and the worst case of 1,500 rows by the attacks and by uniform points."""
    ball = Ball("linf", 0.2)
    started = time.perf_counter()
    worst_case(model, test, ball)
    seconds = time.perf_counter() - started
    part = test.select(torch.arange(1500))
    x, y = test.x[:1500], test.y[:1500]
    right = model(x).argmax(1) == y
    for turn in range(28_592 // 16):
        rows = right.nonzero()[:, 0]
        points = ball.sample(x[rows], space=test.space, num_draws=16, rng=stream(0, "uniform", turn))
        answers = model(points.flatten(0, 1)).argmax(1).view(16, -1)
        right[rows] = (answers == y[rows]).all(0)
    return seconds, worst_case(model, part, ball), right.float().mean().item()


if __name__ == "__main__":
    main()
