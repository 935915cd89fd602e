"""Time steps and epochs of every method of the sweep `generalise` beside plain training."""

import argparse
import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import torch

from augmentations import images
from corruptions import print_goals, provenance
from devices import card, check_device, now
from withstand.data.base import TensorSplit
from withstand.data.images.augmentation import crop_and_flip
from withstand.engine import Engine
from withstand.experiment import Experiment, build_model
from withstand.options import read_experiment
from withstand.pools.memory import keep_freed_memory
from withstand.sweeps.plan import read_plan
from withstand.training.trainer import Trainer

PLAIN = "plain"
GOALS = {"augmix": 3.3, "hybrid": 2.2, "ant-hybrid": 3.0}  # times plain training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="1 round with 3 steps per epoch, to see that all run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--steps", type=int, default=30, help="steps per epoch (default: 30)")
    parser.add_argument("--depth", type=int, default=10, help="of the wide residual network of width 1 (default: 10)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this method beside plain; may be repeated")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    check_device(options.device)
    methods = planned(options.depth)
    if unknown := set(options.only or ()) - set(methods):
        parser.error(f"--only must be one of {', '.join(methods)}, got {', '.join(sorted(unknown))}")
    chosen = {name: own for name, own in methods.items() if not options.only or name in (PLAIN, *options.only)}
    steps, rounds = (3, 1) if options.small else (options.steps, options.rounds)
    epochs: dict[str, list[float]] = {name: [] for name in chosen}
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    # Each in a new process, as a command is: in one that was used, plain training takes up to 1.4 times as long.
    processes = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    for count in range(rounds):
        print(f"round {count + 1} of {rounds}", file=sys.stderr, flush=True)
        for name in list(chosen)[:: -1 if count % 2 else 1]:
            of_epoch, of_steps = processes.submit(second_epoch, chosen[name], steps, options.device).result()
            epochs[name].append(of_epoch)
            seconds[name].append(statistics.median(of_steps))
    processes.shutdown()
    print(f"\n{'method':<30}{'ms per step':>12}{'ratio':>8}{'ratio of epochs':>18}")
    ratios = {name: ratio(seconds, name) for name in chosen}
    for name, own in seconds.items():
        of_epochs = ratio(epochs, name)
        print(f"{name:<30}{1000 * statistics.median(own):>12,.0f}{ratios[name]:>8.2f}{of_epochs:>18.2f}")
    known = [name for name in GOALS if name in ratios]
    goals = [goal(f"{name}, WideResNet-{options.depth}-1", ratios[name], GOALS[name]) for name in known]
    print_goals(goals)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"provenance": provenance(), "device": card(options.device), "depth": options.depth}
        content |= {"steps": steps, "seconds per epoch": epochs, "seconds per step": seconds}
        options.json.write_text(json.dumps(content | {"goals": goals}, indent=1, allow_nan=False) + "\n")
        print(f"\nWritten to {options.json}.")


def planned(depth: int) -> dict[str, Experiment]:
    """Return the runs of the small sweep by method; their data is not used."""
    plan = read_plan("generalise", read_experiment, small=True, more=["--data", "digits", f"--model.depth={depth}"])
    return {str(each.labels["method"]): plan.experiments[each.run] for each in plan.entries}


def second_epoch(experiment: Experiment, steps: int, device: str) -> tuple[float, list[float]]:
    """Return the seconds of a second epoch of training on one thread, with what precedes it, and those of its steps."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as `withstand train` does
    trainer = trainer_of(experiment, steps, Engine(device=torch.device(device)))
    times: list[float] = []
    for _ in range(2):
        times = [now(device), *(now(device) for _ in trainer.steps())]
        trainer.end_epoch()
    return times[-1] - times[0], [later - earlier for earlier, later in pairwise(times[1:])]


def trainer_of(experiment: Experiment, steps: int, engine: Engine) -> Trainer:
    """Return a trainer on photographs of 32 pixels, cropped and flipped, with random labels."""
    training = experiment.training
    x = (images(32, training.batch_size).repeat(steps, 1, 1, 1) * 255).round().to(torch.uint8)
    y = torch.randint(10, (len(x),), generator=torch.Generator().manual_seed(0))
    classes = tuple(map(str, range(10)))
    split = TensorSplit(x, y, classes=classes, box=(0.0, 1.0), augment=crop_and_flip)
    model = build_model(experiment, split, engine)
    return Trainer(model, split, objective=experiment.objective, training=training, seed=0, engine=engine)


def ratio(times: dict[str, list[float]], name: str) -> float:
    """Return the median over the rounds of a method's time divided by that of plain training."""
    return statistics.median(own / plain for own, plain in zip(times[name], times[PLAIN], strict=True))


def goal(name: str, measured: float, limit: float) -> dict:
    """Return a goal and what was measured."""
    text = f"{name}: a step takes at most {limit:g} times as long as a plain one"
    return {"goal": text, "measured": measured, "holds": measured <= limit}


if __name__ == "__main__":
    main()
