"""Time an epoch of every method of the sweep `generalise` beside plain training."""

import argparse
import json
import statistics
import sys
from collections import deque
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
from withstand.sweeps.plan import read_plan
from withstand.training.trainer import Trainer

PLAIN = "plain"
GOALS = {"augmix": 3.3, "hybrid": 2.2, "ant-hybrid": 3.0}  # times plain training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="1 round with 2 steps per epoch, to see that all run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--steps", type=int, default=70, help="steps per epoch (default: 70, as of 9,000 images)")
    parser.add_argument("--depth", type=int, default=10, help="of the wide residual network of width 1 (default: 10)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this method beside plain; may be repeated")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    check_device(options.device)
    torch.set_num_threads(1)
    # The options of a run, without its data.
    more = ["--data", "digits", f"--model.depth={options.depth}"]
    plan = read_plan("generalise", read_experiment, small=True, more=more)
    methods = {str(each.labels["method"]): plan.experiments[each.run] for each in plan.entries}
    if unknown := set(options.only or ()) - set(methods):
        parser.error(f"--only must be one of {', '.join(methods)}, got {', '.join(sorted(unknown))}")
    chosen = {name: own for name, own in methods.items() if not options.only or name in (PLAIN, *options.only)}
    steps, rounds = (2, 1) if options.small else (options.steps, options.rounds)
    engine = Engine(device=torch.device(options.device))
    trainers = {name: trainer_of(own, steps, engine) for name, own in chosen.items()}
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for count in range(rounds):
        print(f"round {count + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, trainer in list(trainers.items())[:: -1 if count % 2 else 1]:
            start = now(options.device)
            deque(trainer.steps(), maxlen=0)
            seconds[name].append(now(options.device) - start)
            trainer.end_epoch()
    ratios = {name: [own / plain for own, plain in zip(seconds[name], seconds[PLAIN], strict=True)] for name in seconds}
    print(f"\n{'method':<30}{'ms per step':>12}{'ratio':>8}")
    for name, own in seconds.items():
        print(f"{name:<30}{1000 * statistics.median(own) / steps:>12,.0f}{statistics.median(ratios[name]):>8.2f}")
    known = {name: statistics.median(ratios[name]) for name in GOALS if name in ratios}
    goals = [goal(f"{name}, WideResNet-{options.depth}-1", ratio, GOALS[name]) for name, ratio in known.items()]
    print_goals(goals)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"provenance": provenance(), "device": card(options.device), "depth": options.depth}
        content |= {"steps": steps, "seconds": seconds}
        options.json.write_text(json.dumps(content | {"goals": goals}, indent=1, allow_nan=False) + "\n")
        print(f"\nWritten to {options.json}.")


def trainer_of(experiment: Experiment, steps: int, engine: Engine) -> Trainer:
    """Return a trainer on photographs of 32 pixels, cropped and flipped, with random labels."""
    training = experiment.training
    x = (images(32, training.batch_size).repeat(steps, 1, 1, 1) * 255).round().to(torch.uint8)
    y = torch.randint(10, (len(x),), generator=torch.Generator().manual_seed(0))
    classes = tuple(map(str, range(10)))
    split = TensorSplit(x, y, classes=classes, box=(0.0, 1.0), augment=crop_and_flip)
    model = build_model(experiment, split, engine)
    return Trainer(model, split, objective=experiment.objective, training=training, seed=0, engine=engine)


def goal(name: str, measured: float, limit: float) -> dict:
    """Return a goal and what was measured."""
    text = f"{name}: an epoch takes at most {limit:g} times as long as plain training"
    return {"goal": text, "measured": measured, "holds": measured <= limit}


if __name__ == "__main__":
    main()
