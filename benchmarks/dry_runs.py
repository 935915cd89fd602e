"""Compare `--dry-run` of six jobs with the time that they then take."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from corruptions import print_goals, provenance
from scale import CELLS, MODEL, write_photographs

FACTOR = 1.3  # at most, in both directions
UNITS = {"s": 1, "min": 60, "h": 3600}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="small jobs, to see that all run")
    parser.add_argument("--only", action="append", metavar="JOB", help="may repeat")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for name, words in jobs(root, small=options.small).items():
            if not options.only or name in options.only:
                said, truth = forecast_of(words, root), seconds_of(words, root)[0]
                found[name] = {"said": said, "truth": truth}
                print(f"{name}: said {said:.1f} s, took {truth:.1f} s", file=sys.stderr, flush=True)
    goals = [
        {
            "goal": f"{name}: time said / time taken within {1 / FACTOR:.2f} and {FACTOR}",
            "measured": each["said"] / each["truth"],
            "holds": 1 / FACTOR <= each["said"] / each["truth"] <= FACTOR,
        }
        for name, each in found.items()
    ]
    print_goals(goals)
    if options.json is not None:
        content = {"provenance": provenance(), "seconds": found, "goals": goals}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def jobs(root: Path, *, small: bool) -> dict[str, list[str]]:
    """Prepare the jobs in a folder, and return the words of each."""
    write_photographs(root / "photographs", 12 if small else 200)
    (root / "net.py").write_text(MODEL)
    digits = {"data": "digits", "model": "small-cnn", "epochs": 1 if small else 15}
    images = {"set": digits | {"evaluations": ["Accuracy", "Calibration"]}, "vary": {"lr": [0.001, 0.003]}, "seeds": 2}
    (root / "images.yaml").write_text(yaml.safe_dump(images))
    few, on_cpu = CELLS[:2] if small else CELLS, ["--device", "cpu"]
    evaluate = ["evaluate", "net.py:net", "--data", "image-folder", "--data.root", "photographs", *on_cpu]
    trained = ["train", "--data", "digits", "--model", "small-cnn", "--epochs", "3", *on_cpu, "--output", "trained"]
    seconds_of([*trained, "--name", "digits"], root)
    (run,) = [str(each.relative_to(root)) for each in (root / "trained").iterdir() if each.is_dir()]
    attacked = ["calibration"] if small else ["worst-case", "--radius", "0.05", "--budget", "quick"]
    return {
        "evaluate, images, 1 process": [*evaluate, "--on", *few, "--output", "one"],
        "evaluate, images, 2 processes": [*evaluate, "--on", *few, "-j", "2", "--output", "two"],
        "evaluate, worst case, 2 processes": ["evaluate", run, "--on", *attacked, "-j", "2", *on_cpu],
        "corrupt, 2 processes": ["corrupt", "photographs", "copy", "-j", "2", *on_cpu],
        "sweep, images, 2 processes": ["sweep", "images.yaml", "--output", "images", "-j", "2", *on_cpu],
        "sweep, tables, 1 process": ["sweep", "toy-landscapes", "--small", "--output", "tables", *on_cpu],
    }


def seconds_of(words: list[str], root: Path) -> tuple[float, str]:
    """Return the seconds that a command takes, with one thread per process, and what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "withstand", *words]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - begun, done.stdout


def forecast_of(words: list[str], root: Path) -> float:
    """Return the seconds that `--dry-run` prints."""
    printed = seconds_of([*words, "--dry-run"], root)[1]
    number, unit = re.findall(r"time with \d+ process(?:es)?\W+([\d.]+) (s|min|h)\b", printed)[0]
    return float(number) * UNITS[unit]


if __name__ == "__main__":
    main()
