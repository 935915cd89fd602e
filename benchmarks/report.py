"""Time `withstand report`: on four models with the outcomes of many samples, and on a sweep of many runs."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars

from withstand.conditions import IMAGENET_C
from withstand.measuring.kept import Kept
from withstand.measuring.results import Results
from withstand.study.contents import CONFIG, OUTCOMES, ROWS
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcomes import ConditionOutcomes
from withstand.study.measures.row import Row, write_rows
from withstand.study.pictures import PICTURES, encoded, pictured, wanted_pictures, write_pictures
from withstand.study.sweep import Entry, write_entries

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)
CLASSES = tuple(f"class {k}" for k in range(10))
GOAL_MODELS, GOAL_SWEEP = 8.0, 6.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="reports on each folder (default 3)")
    parser.add_argument("--samples", type=int, default=10_000, help="per condition (default 10,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        models, sweep = Path(name) / "models", Path(name) / "sweep"
        write_models(models, num_models=4, samples=options.samples)
        write_sweep(sweep, configurations=28, seeds=51, measures=40)
        tell(f"4 models x 75 cells x {options.samples:,} samples", models, GOAL_MODELS, options.repeats)
        tell("28 x 51 runs x 40 rows", sweep, GOAL_SWEEP, options.repeats)


def write_models(root: Path, *, num_models: int, samples: int) -> None:
    """Write what an evaluation of some models under the cells of ImageNet-C leaves, with pictures of noise."""
    rng = np.random.default_rng(0)
    names = ["clean", *(f"{kind}/{severity}" for kind in IMAGENET_C for severity in range(1, 6))]
    labels = rng.integers(len(CLASSES), size=samples)
    about = {"number": polars.Series(range(samples), dtype=polars.UInt32)}
    frame = polars.DataFrame(
        about
        | {"label": polars.Series(labels, dtype=polars.Int32)}
        | {"identifier": polars.Series([None] * samples, dtype=polars.String)}
    )
    pictures = {name: encoded(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)) for name in names}
    for number in range(num_models):
        folder = root / f"model{number}"
        kept = Kept(folder / OUTCOMES, data="Made", seed=0, classes=CLASSES, shape=(3, 96, 96))
        found = []
        for place, name in enumerate(names):
            right = rng.random(samples) < 0.95 - 0.008 * place + 0.01 * number
            answer = np.where(right, labels, (labels + 1) % len(CLASSES)).astype(np.int16)
            columns = polars.DataFrame(
                about
                | {"prediction": answer, "confidence": rng.random(samples).astype(np.float32)}
                | {"correct": right}
            )
            found.append(ConditionOutcomes(condition=name, measures=(TOP1,), columns=columns))
        kept.add(found, frame, source="")
        results = Results({folder.name: kept.table})
        (folder / CONFIG).write_text(f"name: {folder.name}\nseed: 0\n")
        write_rows(folder / ROWS, results.rows[folder.name], results.measures)
        wanted = wanted_pictures(kept.table)
        keys = {pictured(kept.table.of(each), one): pictures[each] for each, own in wanted.items() for one in own}
        write_pictures(folder / PICTURES, keys)


def write_sweep(root: Path, *, configurations: int, seeds: int, measures: int) -> None:
    """Write the results of a sweep, without its work."""
    entries = []
    for number in range(configurations):
        for seed in range(seeds):
            run = f"radius_{number}-seed{seed}"
            labels = {"method": f"m{number // 7}", "radius": (number % 7) / 100}
            entries.append(Entry(labels=labels, seed=seed, run=run))
            rows = [
                Row(measure="top1", condition=f"noise-{each}", value=(seed * 7 + each + number) % 100 / 100, count=100)
                for each in range(measures)
            ]
            write_rows(root / run / ROWS, rows, {"top1": TOP1})
    write_entries(root, entries, command=["withstand", "sweep", "example"])


def tell(what: str, folder: Path, goal: float, repeats: int) -> None:
    """Time the command in a process of its own, and print the median, the size of the page, and the goal."""
    words = [sys.executable, "-m", "withstand", "report", str(folder), "--quiet"]
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begun)
    middle, size = statistics.median(seconds), (folder / "report" / "index.html").stat().st_size
    holds = "holds" if middle < goal else "MISSED"
    print(f"{what:<40} {middle:6.2f} s, page {size / 1e6:.1f} MB; goal: under {goal:g} s, {holds}")


if __name__ == "__main__":
    main()
