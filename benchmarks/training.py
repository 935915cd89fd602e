"""Time the training loop and the evaluation beside bare PyTorch loops that do the same work."""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from withstand.data.base import TensorSplit
from withstand.data.images.fashion_mnist import FashionMnist
from withstand.data.tables.avila import Avila
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.functional.random import stream
from withstand.models.memory_format import place
from withstand.models.mlp import MLP
from withstand.models.small_cnn import SmallCNN
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.identity import Identity
from withstand.training.optimizers import SGD
from withstand.training.schedules import Constant
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

SEED, LR, MOMENTUM = 0, 0.05, 0.9
OURS, BARE, READING, LOADER = "withstand", "bare", "bare, reads the loss", "bare, DataLoader"

Work = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A model and its data.

    Attributes:
        name: For the table.
        model: The network with its initial weights; copied before every run.
        train: What a run trains on.
        test: What a run evaluates on.
        batch_size: Samples per step.
        epochs: Passes over the training samples in one run.
    """

    name: str
    model: nn.Module
    train: TensorSplit
    test: TensorSplit
    batch_size: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A promise about the time of one variant as a multiple of another's.

    Attributes:
        measurement: Which measurement it is about.
        variant: The variant whose time is divided.
        reference: The variant whose time it is divided by.
        limit: What the median of the paired ratios is compared with.
        at_most: Whether the limit is the highest ratio allowed, or else the lowest.
    """

    measurement: str
    variant: str
    reference: str
    limit: float
    at_most: bool = True


GOALS = (
    Goal(measurement="train fashion-mnist", variant=OURS, reference=BARE, limit=1.10),
    Goal(measurement="train avila", variant=OURS, reference=BARE, limit=1.10),
    Goal(measurement="train avila", variant=LOADER, reference=OURS, limit=3.0, at_most=False),
    Goal(measurement="evaluate fashion-mnist", variant=OURS, reference=BARE, limit=1.10),
    Goal(measurement="evaluate avila", variant=OURS, reference=BARE, limit=1.10),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="timed runs per variant (default 15)")
    parser.add_argument("--output", type=Path, help="JSON file for the raw times")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    options = parser.parse_args()
    if options.repeats < 2:
        parser.error(f"--repeats must be at least 2, got {options.repeats}")
    torch.set_num_threads(options.threads)
    try:
        tasks = load_tasks()
    except InputError as problem:
        # The message ends by saying how to point WITHSTAND_DATA at the files.
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    measurements: dict[str, dict] = {}
    for task in tasks:
        for name, samples, variants in (
            (f"train {task.name}", task.epochs * len(task.train), training_variants(task)),
            (f"evaluate {task.name}", len(task.test), evaluation_variants(task)),
        ):
            measurements[name] = measure(variants, repeats=options.repeats) | {"samples": samples}
            print_measurement(name, measurements[name])
    goals = [judge(goal, measurements) for goal in GOALS]
    print_goals(goals)
    if options.output is not None:
        content = {"provenance": provenance(), "measurements": measurements, "goals": goals}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"\nWritten to {options.output}.")


def load_tasks() -> list[Task]:
    """Read the real files, and draw the initial weights."""
    clothes, clothes_test = (FashionMnist().load(part) for part in ("train", "test"))
    avila, avila_test = (Avila().load(part) for part in ("train", "test"))
    return [
        Task(
            name="fashion-mnist",
            model=place(
                SmallCNN().build(clothes.shape, len(clothes.classes), seed=SEED), Engine().device, clothes.shape
            ),
            train=clothes.select(torch.arange(2560)),
            test=clothes_test,
            batch_size=128,
            epochs=1,
        ),
        Task(
            name="avila",
            model=MLP(hidden=(200, 200)).build(avila.shape, len(avila.classes), seed=SEED),
            train=avila,
            test=avila_test,
            batch_size=100,
            epochs=3,
        ),
    ]


def training_variants(task: Task) -> dict[str, Callable[[], Work]]:
    """Return, for each variant, what prepares a run; the run returns the trained weights."""
    variants = {
        OURS: lambda: our_training(task),
        BARE: lambda: bare_training(task, reads_loss=False),
        READING: lambda: bare_training(task, reads_loss=True),
    }
    if task.train.x.is_floating_point():
        variants[LOADER] = lambda: loader_training(task)
    return variants


def our_training(task: Task) -> Work:
    """Prepare the library's loop."""
    trainer = Trainer(
        deepcopy(task.model),
        task.train,
        objective=PerturbedRisk(),
        training=Training(
            epochs=task.epochs,
            batch_size=task.batch_size,
            optimizer=SGD(lr=LR, momentum=MOMENTUM),
            schedule=Constant(),
        ),
        seed=SEED,
        engine=Engine(),
    )
    return lambda: flatten(trainer.fit())


def bare_training(task: Task, *, reads_loss: bool) -> Work:
    """Prepare the loop over tensors in memory, with the samples in our order."""
    model, x, y = deepcopy(task.model), task.train.x, task.train.y
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def work() -> Tensor:
        model.train()
        total = 0.0
        for epoch in range(task.epochs):
            order = torch.randperm(len(x), generator=stream(SEED, "data/order", epoch))
            for rows in order.split(task.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = cross_entropy(model(to_float(x[rows])), y[rows])
                loss.backward()
                optimizer.step()
                if reads_loss:
                    total += loss.item()
        return flatten(model)

    return work


def loader_training(task: Task) -> Work:
    """Prepare the same loop over a DataLoader, which shuffles and collates sample by sample."""
    model = deepcopy(task.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    dataset = TensorDataset(task.train.x, task.train.y)
    order = torch.Generator().manual_seed(SEED)
    loader = DataLoader(dataset, batch_size=task.batch_size, shuffle=True, num_workers=0, generator=order)

    def work() -> Tensor:
        model.train()
        for _ in range(task.epochs):
            for x, y in loader:
                optimizer.zero_grad(set_to_none=True)
                loss = cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
        return flatten(model)

    return work


def evaluation_variants(task: Task) -> dict[str, Callable[[], Work]]:
    """Return, for each variant, what prepares a run; the run returns the number of correct answers."""
    model = deepcopy(task.model).eval()
    x, y = task.test.x, task.test.y
    size = Engine().samples_per_batch(task.test.shape)
    evaluation = Accuracy(perturbations=(Identity(),))

    def ours() -> Tensor:
        found = evaluation.measure(model, task.test, seed=SEED, engine=Engine())
        return found.columns["clean"]["correct"].sum().float()

    def bare() -> Tensor:
        correct = 0
        with torch.no_grad():
            for first in range(0, len(x), size):
                chosen = slice(first, first + size)
                correct += (model(to_float(x[chosen])).argmax(1) == y[chosen]).sum().item()
        return torch.tensor(float(correct))

    return {OURS: lambda: ours, BARE: lambda: bare}


def to_float(x: Tensor) -> Tensor:
    """Return pictures in [0, 1]; leave features as they are."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def flatten(model: nn.Module) -> Tensor:
    """Return all weights in one vector."""
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def measure(variants: dict[str, Callable[[], Work]], *, repeats: int) -> dict:
    """Time the variants in turn, after one round that is not counted.

    Every round has all variants, so that what else the machine does hits all of them; each round begins with
    the next one, so that none is always the first.

    Returns:
        The raw seconds of each variant, and how far our outcome is from the bare loop's.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    outcome: dict[str, Tensor] = {}
    names = list(variants)
    for count in range(repeats + 1):
        first = count % len(names)
        for name in names[first:] + names[:first]:
            work = variants[name]()
            gc.collect()
            start = time.perf_counter()
            outcome[name] = work()
            elapsed = time.perf_counter() - start
            if count > 0:
                seconds[name].append(elapsed)
    difference = (outcome[OURS] - outcome[BARE]).abs().max().item()
    return {"seconds": seconds, "largest_difference": difference}


def judge(goal: Goal, measurements: dict[str, dict]) -> dict:
    """Compare the median of the paired ratios with the goal."""
    seconds = measurements[goal.measurement]["seconds"]
    paired = paired_ratio(seconds[goal.variant], seconds[goal.reference])
    return {
        "goal": f"{goal.measurement}: {goal.variant} {'at most' if goal.at_most else 'at least'} "
        f"{goal.limit:g} x {goal.reference}",
        "paired_ratio": paired,
        "ratio_of_medians": ratio_of_medians(seconds[goal.variant], seconds[goal.reference]),
        "holds": paired <= goal.limit if goal.at_most else paired >= goal.limit,
    }


def paired_ratio(seconds: list[float], reference: list[float]) -> float:
    """Return the median over the rounds of the ratio of two times of the same round."""
    return statistics.median(a / b for a, b in zip(seconds, reference, strict=True))


def ratio_of_medians(seconds: list[float], reference: list[float]) -> float:
    """Return the ratio of two medians."""
    return statistics.median(seconds) / statistics.median(reference)


def print_measurement(name: str, measurement: dict) -> None:
    seconds, samples = measurement["seconds"], measurement["samples"]
    titles = f"{'ms: median':>12}{'quartiles':>20}{'samples/s':>12}{'to bare: medians':>18}{'paired':>8}"
    print(f"\n{name}: {samples:,} samples a run, {len(seconds[BARE])} runs each; ", end="")
    print(f"outcomes of {OURS} and {BARE} differ by {measurement['largest_difference']:g} at most")
    print(f"  {'variant':<22}{titles}")
    for variant, times in seconds.items():
        low, middle, high = (each * 1e3 for each in statistics.quantiles(times, n=4, method="inclusive"))
        speed = f"{samples / middle * 1e3:,.0f}"
        medians, paired = ratio_of_medians(times, seconds[BARE]), paired_ratio(times, seconds[BARE])
        spread = f"{low:.1f} - {high:.1f}"
        print(f"  {variant:<22}{middle:>12.1f}{spread:>20}{speed:>12}{medians:>18.3f}{paired:>8.3f}", flush=True)


def print_goals(goals: list[dict]) -> None:
    print(f"\n{'goal (time against time, median of paired ratios)':<72}{'measured':>9}")
    for goal in goals:
        print(f"{goal['goal']:<72}{goal['paired_ratio']:>9.3f}  {'holds' if goal['holds'] else 'missed'}")


def provenance() -> dict[str, object]:
    """Return what the times depend on besides the code."""
    here, processor = Path(__file__).parent, Path("/proc/cpuinfo")
    lines = processor.read_text().splitlines() if processor.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    changed = git(here, "status", "--porcelain", "--untracked-files=no", "--", "../src", "training.py")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git(here, "rev-parse", "HEAD"),
        "changed_files": [line[3:] for line in changed.splitlines()],
        "device": "cpu",
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "threads": torch.get_num_threads(),
        "platform": platform.system(),
        "versions": {
            "withstand": version("withstand"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": version("numpy"),
        },
        "settings": {"lr": LR, "momentum": MOMENTUM},
    }


def git(folder: Path, *arguments: str) -> str:
    """Return what git answers, nothing outside a repository."""
    answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return answer.stdout.rstrip()


if __name__ == "__main__":
    main()
