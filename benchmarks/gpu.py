"""Run the tests that need a GPU and all benchmarks on it, and keep what they measured."""

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from devices import card, check_device, file_name
from training import git

HERE = Path(__file__).parent
# Options of each benchmark besides the device, and the option for its JSON file.
BENCHMARKS = {
    "corruptions": (["--no-rival"], "--json"),
    "c_bar": ([], "--json"),
    "augmentations": ([], "--json"),
    "generalise": ([], "--json"),
    "adversarial_noise": ([], "--json"),
    "trials": ([], "--output"),
    "smoothing": ([], "--output"),
    "attacks": (["--only", "budgets", "l1", "speed", "autoattack"], "--output"),
}
STATUS = {0: "done", 2: "needs something that is not here"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=["tests", *BENCHMARKS], default=["tests", *BENCHMARKS])
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the JSON files")
    options = parser.parse_args()
    check_device("cuda")
    name = card("cuda")
    options.results.mkdir(parents=True, exist_ok=True)
    parts = [run(each, options.results, file_name(name)) for each in options.only]
    about = {
        "card": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git(HERE, "rev-parse", "HEAD"),
        "changed": git(HERE, "status", "--porcelain").splitlines(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    path = options.results / f"gpu-{file_name(name)}.json"
    path.write_text(json.dumps(about | {"parts": parts}, indent=1) + "\n")
    print(f"\n{name}\n{'part':<20}{'status':<36}{'seconds':>9}")
    for each in parts:
        print(f"{each['part']:<20}{each['status']:<36}{each['seconds']:>9,.0f}")
    print(f"\nWritten to {path}.")
    raise SystemExit(max(each["exit"] not in STATUS for each in parts))


def run(part: str, results: Path, card_name: str) -> dict[str, Any]:
    """Run the tests, or a benchmark, and return how it ended; a benchmark's figures are in a file of its own."""
    path = results / f"{part.replace('_', '-')}-{card_name}.json"
    if part == "tests":
        words = ["-m", "pytest", "-m", "gpu", "-p", "no:xdist", str(HERE.parent / "tests")]
    else:
        own, option = BENCHMARKS[part]
        words = [str(HERE / f"{part}.py"), "--device", "cuda", *own, option, str(path)]
    print(f"\n== {part}", flush=True)
    path.unlink(missing_ok=True)  # figures of an earlier run
    begin = time.perf_counter()
    code = subprocess.run([sys.executable, *words], check=False).returncode
    file = path.name if path.exists() else None
    return {
        "part": part,
        "exit": code,
        "status": STATUS.get(code, f"failed with status {code}"),
        "seconds": time.perf_counter() - begin,
        "file": file,
    }


if __name__ == "__main__":
    main()
