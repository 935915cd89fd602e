"""Time what keeping outcomes adds to measuring, how fast outcomes become numbers, and how fast the command starts."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars
import torch
from torch import nn

from withstand.data.base import Split
from withstand.data.images.image_folder import ImageFolder
from withstand.data.places import local_root
from withstand.data.tables.avila import Avila
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.evaluation.loop import blocks, prepare
from withstand.evaluation.worst_case import WorstCase
from withstand.measuring.ask import ask
from withstand.measuring.kept import Kept
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject
from withstand.models.memory_format import place
from withstand.models.mlp import MLP
from withstand.models.vision import Vision
from withstand.models.weights import load_weights
from withstand.perturbations.ball import Ball
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.uniform import Uniform
from withstand.study.measures.outcomes import ConditionOutcomes

# Limits: overhead of keeping outcomes, time to reduce them, file size, start-up time.
GOALS = {
    "squeezenet": ("keeping outcomes, SqueezeNet", 1.03),
    "avila": ("keeping outcomes, Avila", 1.05),
    "reduce": ("seconds to reduce 3.75 million outcomes", 2.0),
    "megabytes": ("megabytes of 3.75 million outcomes", 40.0),
    "help": ("seconds of withstand --help", 0.35),
}
CONDITIONS, SAMPLES = 75, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs per variant on Avila (default 5)")
    parser.add_argument("--photo_repeats", type=int, default=3, help="the same on photographs (default 3)")
    parser.add_argument("--parts", nargs="+", default=["start", "reduce", "avila", "squeezenet"])
    parser.add_argument("--output", type=Path, help="JSON file for the raw times")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    try:
        if "start" in options.parts:
            found |= starting()
        if "reduce" in options.parts:
            found |= reducing()
        if "avila" in options.parts:
            found |= {"avila": keeping(*avila(), repeats=options.repeats)}
        if "squeezenet" in options.parts:
            found |= {"squeezenet": keeping(*squeezenet(), repeats=options.photo_repeats)}
    except InputError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
    for name, (words, goal) in GOALS.items():
        if name in found:
            value = found[name]["ratio"] if isinstance(found[name], dict) else found[name]
            print(f"{words}: {value:.3f} (goal: at most {goal}) {'holds' if value <= goal else 'MISSED'}")
    if options.output is not None:
        about = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.system(),
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "versions": {each: version(each) for each in ("withstand", "torch", "polars", "numpy")},
        }
        options.output.write_text(json.dumps(about | {"results": found}, indent=1) + "\n")


def keeping(split: Split, model: nn.Module, evaluations: list[Evaluation], *, repeats: int) -> dict[str, Any]:
    """Return seconds of the loop alone, and of the whole measurement with its files, alternating."""
    engine = Engine()
    adapted = [each.adapted(split) for each in evaluations]
    question = Question.of_evaluations(split, evaluations, data="Benchmark")

    def alone() -> None:
        states = [prepare(each, model, split, split, seed=0, engine=engine) for each in adapted]
        for _ in blocks(adapted, states, model, split, seed=0, engine=engine):
            pass

    def kept() -> None:
        with tempfile.TemporaryDirectory() as folder:
            subject = Subject(name="model", question=question, load=lambda: model, folder=Path(folder) / "kept")
            ask([subject], seed=0, engine=engine)

    kept()  # what is imported and allocated once
    times: dict[str, list[float]] = {"loop": [], "kept": []}
    for repeat in range(repeats):
        pair = [("loop", alone), ("kept", kept)]
        for name, work in pair if repeat % 2 else reversed(pair):
            times[name].append(seconds(work))
    ratios = [own / other for own, other in zip(times["kept"], times["loop"], strict=True)]
    print(f"loop {statistics.median(times['loop']):.2f} s, kept {statistics.median(times['kept']):.2f} s, {ratios}")
    return times | {"ratio": statistics.median(ratios), "samples": len(split)}


def avila() -> tuple[Split, nn.Module, list[Evaluation]]:
    """Return the test part of Avila, a network of usual size, and clean, noise and the worst case at one radius."""
    split = Avila().load("test")
    model = MLP(hidden=(200, 200)).build(split.shape, len(split.classes), seed=0).eval()
    ball = Ball("linf", 0.1)
    return split, model, [Accuracy(perturbations=(Identity(), Uniform(ball=ball))), WorstCase(balls=(ball,))]


def squeezenet() -> tuple[Split, nn.Module, list[Evaluation]]:
    """Return 200 photographs, SqueezeNet with its ImageNet weights, and 15 corruptions at one severity."""
    root = local_root()
    split = ImageFolder(root=str(root / "imagenet-sample"), class_map="imagenet").load("test")
    model = Vision(name="squeezenet1_1").build(split.shape, len(split.classes), seed=0)
    load_weights(model, root / "models" / "squeezenet1_1.pth")
    cells = ImageNetC(severities=(3,), jpeg=True, frost="procedural").cells(224, 224)
    return split, place(model, Engine().device, split.shape).eval(), [Accuracy(perturbations=cells)]


def reducing() -> dict[str, float]:
    """Return seconds to turn the outcomes of 75 conditions into numbers, and how large their files are."""
    rng = np.random.default_rng(0)
    number = np.arange(SAMPLES, dtype=np.uint32)
    label = rng.integers(0, 1000, SAMPLES).astype(np.int32)
    samples = polars.DataFrame({"number": number, "label": label})
    names = [f"n{each:08d}/ILSVRC2012_val_{each:08d}.JPEG" for each in range(SAMPLES)]
    samples = samples.with_columns(polars.Series("identifier", names))
    measures = Accuracy().measures
    found = []
    for cell in range(CONDITIONS):
        correct = rng.random(SAMPLES) < 0.3 + 0.5 * cell / CONDITIONS
        prediction = np.where(correct, label, rng.integers(0, 1000, SAMPLES)).astype(np.int32)
        columns = {"number": number, "prediction": prediction, "confidence": rng.random(SAMPLES).astype(np.float32)}
        frame = polars.DataFrame(columns | {"correct": correct, "top5": correct | (rng.random(SAMPLES) < 0.3)})
        found.append(ConditionOutcomes(condition=f"cell {cell}", measures=measures, columns=frame))
    with tempfile.TemporaryDirectory() as folder:
        about = {"data": "Benchmark", "seed": 0, "classes": [str(each) for each in range(1000)], "shape": (3, 224, 224)}
        kept = Kept(Path(folder), **about)
        kept.add(found, samples, source="")
        size = sum(each.stat().st_size for each in Path(folder).iterdir()) / 1e6
        took = seconds(lambda: Kept(Path(folder), **about).table.reduce())
    print(f"3.75 million outcomes: read and reduced, with intervals, in {took:.2f} s; {size:.1f} MB")
    return {"reduce": took, "megabytes": size}


def starting() -> dict[str, float]:
    """Return seconds until the help is there and until the package is imported, and the installed size."""

    def run(*words: str) -> float:
        times = [seconds(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(7)]
        return statistics.median(times)

    found = {
        "help": run(sys.executable, "-m", "withstand", "--help"),
        "import withstand": run(sys.executable, "-c", "import withstand") - run(sys.executable, "-c", "pass"),
        "import torch": run(sys.executable, "-c", "import torch") - run(sys.executable, "-c", "pass"),
        "import polars": run(sys.executable, "-c", "import polars") - run(sys.executable, "-c", "pass"),
    }
    for name in ("torch", "polars", "torchvision", "nvidia", "triton"):
        found[f"{name}, MB"] = _size(name)
    print(", ".join(f"{name}: {value:.3g}" for name, value in found.items()))
    return found


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _size(package: str) -> float:
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = (Path(root) / name for place in places for root, _, names in os.walk(place) for name in names)
    return sum(each.stat().st_size for each in files if not each.is_symlink()) / 1e6


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
