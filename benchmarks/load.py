"""Measure time and peak memory at sizes that hurt: large tables, many images, sweeps of ten thousand runs."""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROWS, COLUMNS = 5_000_000, 100
GIGABYTE = 1e9
MODEL = """
import torch


def model():
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(16, 2),
    ).eval()
"""


class Outcome(NamedTuple):
    """A row of the table: what was measured, the highest allowed value, the value, and details for the JSON."""

    what: str
    goal: float
    measured: float
    unit: str
    details: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.measured <= self.goal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="divide all sizes by 10")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts to measure (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of the parts that are timed (default 3)")
    parser.add_argument("--folder", type=Path, help="for temporary files, 2 GB (default: the system's folder)")
    parser.add_argument("--json", type=Path, help="JSON file; parts that are not measured now stay in it")
    options = parser.parse_args()
    content: dict[str, Any] = {"parts": {}}
    if options.json is not None and options.json.exists():
        content = json.loads(options.json.read_text())
    print(f"  {'what':<66}{'goal':>12}{'measured':>12}")
    for name in options.only:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found = PARTS[name](Path(folder), 10 if options.small else 1, options.repeats)
        for each in found:
            goal, measured = (f"{number:.2f} {each.unit}" for number in (each.goal, each.measured))
            print(f"  {each.what:<66}{goal:>12}{measured:>12}  {'holds' if each.holds else 'missed'}", flush=True)
        rows = [each._asdict() | {"holds": each.holds} for each in found]
        content["parts"][name] = {"provenance": provenance(small=options.small), "rows": rows}
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def table(folder: Path, divisor: int, _: int) -> list[Outcome]:
    """Train on a Parquet table by the command line."""
    rows = ROWS // divisor
    write_table(folder / "table.parquet", rows)
    words = f"train --data Table --data.path {folder / 'table.parquet'} --data.target y --model MLP --training.epochs 1"
    done = command(f"{words} --training.batch_size 1024 --device cpu", folder)
    return [of_memory("train on a Parquet table: peak / size in float32", done, rows, less=0.0)]


def estimator(_: Path, divisor: int, __: int) -> list[Outcome]:
    """Fit an estimator on an array, in 32 and in 64 bits."""
    rows, found = ROWS // divisor, []
    for kind in ("float32", "float64"):
        done = child("fit_array", rows, kind)
        what = f"RobustClassifier on a {kind} array: peak beyond the array / float32"
        found.append(of_memory(what, done, rows, less=done["held"]))
    return found


def of_memory(what: str, done: dict[str, Any], rows: int, *, less: float) -> Outcome:
    size = 4 * rows * COLUMNS
    return Outcome(what, 1.5, (done["peak"] - less) / size, "x", done | {"rows": rows, "size": size})


def fit_array(rows: int, kind: str) -> dict[str, Any]:
    from withstand.estimators.classifier import RobustClassifier

    rng, x = np.random.default_rng(0), np.empty((rows, COLUMNS), kind)
    for start in range(0, rows, 50_000):
        x[start : start + 50_000] = rng.standard_normal(x[start : start + 50_000].shape, np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    RobustClassifier("regular", epochs=1, device="cpu").fit(x[:100], y[:100])  # loads what is loaded once
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    RobustClassifier("regular", epochs=1, batch_size=1024, device="cpu").fit(x, y)
    return {"held": pages * resource.getpagesize()}


def speed(_: Path, divisor: int, repeats: int) -> list[Outcome]:
    """Compare the seconds of a fit with scikit-learn's, with 1 and with 2 threads; on cores that nothing else uses."""
    found = []
    for threads in (1, 2):
        done = child("fit_both", 200_000 // divisor, repeats, threads=threads)
        times = {
            name: {int(n): statistics.median(own[1:]) for n, own in each.items()} for name, each in done["wall"].items()
        }
        per_epoch = {name: (own[3] - own[1]) / 2 for name, own in times.items()}
        extra = {name: own[1] - per_epoch[name] for name, own in times.items()}
        ratio, more = per_epoch["own"] / per_epoch["sklearn"], extra["own"] - extra["sklearn"]
        cold = done["wall"]["own"]["1"][0] - per_epoch["own"] - extra["sklearn"]
        ending = f"{threads} thread{'s' * (threads > 1)}"
        found += [
            Outcome(f"fit, an epoch / scikit-learn's: {ending}", 1.2, ratio, "x", done),
            Outcome(f"fit, besides epochs - scikit-learn's: {ending}", 1.5, more, "s", {}),
            Outcome(f"the same, first fit of a process: {ending}", 1.5, cold, "s", {}),
        ]
    return found


def fit_both(rows: int, repeats: int) -> dict[str, Any]:
    import warnings

    import torch
    from sklearn.neural_network import MLPClassifier

    from withstand.estimators.classifier import RobustClassifier

    warnings.simplefilter("ignore")  # scikit-learn's, of the few epochs
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 50))
    y = (x @ rng.normal(size=50) + rng.normal(size=rows) > 0).astype(int)
    like: dict[str, Any] = {"batch_size": 128, "random_state": 0}
    makers: dict[str, Callable[[int], Any]] = {
        "own": lambda epochs: RobustClassifier(
            "regular", hidden=(100, 100), epochs=epochs, lr=3e-3, device="cpu", **like
        ),
        "sklearn": lambda epochs: MLPClassifier((100, 100), max_iter=epochs, learning_rate_init=3e-3, tol=0.0, **like),
    }
    cpu: dict[str, Any] = {name: {1: [], 3: []} for name in makers}
    wall: dict[str, Any] = {name: {1: [], 3: []} for name in makers}
    for _ in range(repeats + 1):
        for epochs in (1, 3):
            for name, make in makers.items():
                begun = time.process_time(), time.perf_counter()
                make(epochs).fit(x, y)
                cpu[name][epochs].append(time.process_time() - begun[0])
                wall[name][epochs].append(time.perf_counter() - begun[1])
    return {"cpu": cpu, "wall": wall}


def images(folder: Path, divisor: int, _: int) -> list[Outcome]:
    """Evaluate and corrupt many small images and fewer large ones, and a tenth of each."""
    (folder / "model.py").write_text(MODEL)
    found = []
    for pixels, count in (((32, 32), 200_000 // divisor), ((640, 480), 5_000 // divisor)):
        peaks: dict[str, list[dict[str, Any]]] = {"evaluate": [], "corrupt": [], "corrupt --to npy": []}
        for number in (count // 10, count):
            source = folder / f"images-{pixels[0]}-{number}"
            write_images(source, number, *pixels)
            size = "32" if pixels[0] == 32 else "448"
            crop = f"--data.pixels {size} --data.resize {size}"
            model = (
                f"evaluate {folder / 'model.py'}:model --data ImageFolder --data.root {source} {crop} --on clean fog/3"
            )
            peaks["evaluate"].append(command(f"{model} --frost procedural --device cpu", folder))
            for name, target in (("corrupt", "tree"), ("corrupt --to npy", "array")):
                to = "--to npy" if target == "array" else "--severities 3"
                if target == "array" and pixels[0] > 32:
                    continue
                words = f"corrupt {source} {folder / target}-{number}-{size} --corruptions brightness"
                peaks[name].append(command(f"{words} --size {size} --device cpu {to}", folder))
        for name, each in peaks.items():
            if each:
                what = f"{name}, {count:,} images of {pixels[0]} x {pixels[1]}: peak / a tenth's"
                tenth, whole = each
                found.append(Outcome(what, 1.2, whole["peak"] / tenth["peak"], "x", {"tenth": tenth, "whole": whole}))
    return found


def sweeps(folder: Path, divisor: int, _: int) -> list[Outcome]:
    """Plan, book-keep, look again at and report ten thousand empty runs, and a tenth of them."""
    count = 10_000 // divisor
    tenth, whole = (child("sweep_of", str(folder / str(number)), number) for number in (count // 10, count))
    found = []
    for name, seconds in whole["seconds"].items():
        ratio = seconds / 10 / max(tenth["seconds"][name], 1e-3)
        details = {"tenth": tenth["seconds"][name], "whole": seconds}
        found.append(Outcome(f"{name} of {count:,} runs: time per run / a tenth's", 1.5, ratio, "x", details))
        found.append(Outcome(f"{name} of {count:,} runs: CPU time", 120.0, seconds, "s", {}))
    ratio = whole["peak"] / tenth["peak"]
    found.append(Outcome(f"all of {count:,} runs: peak / a tenth's", 1.5, ratio, "x", {"tenth": tenth, "whole": whole}))
    return found


def sweep_of(folder: str, count: int) -> dict[str, Any]:
    from withstand.commands.sweep import overview
    from withstand.experiment import CONFIG, ROWS, dump, plain
    from withstand.options import read_experiment
    from withstand.pools.block import Outcome as Ended
    from withstand.pools.block import State
    from withstand.reports.figures.pictures import pictures
    from withstand.reports.report_folder import write_report
    from withstand.study.measures.measure import ACCURACY, Measure
    from withstand.study.measures.row import Row, write_rows
    from withstand.study.study import Study
    from withstand.sweeps.plan import read_plan
    from withstand.sweeps.sweep import record, sweep, unfinished

    class Stub:
        """A pool of one place whose runs end at once, without doing anything."""

        free = 1

        def begin(self, run: str, _: Any) -> None:
            self.run, self.free = run, 0

        def wait(self, _: float) -> list[tuple[str, Ended]]:
            self.free = 1
            return [(self.run, Ended(State.DONE, ""))]

    class Silent:
        on_begin = on_end = staticmethod(lambda *_: None)

    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        result = work()
        seconds[name] = time.process_time() - begun
        return result

    root = Path(folder)
    root.mkdir()
    vary = {"lr": [round(1e-3 + 1e-7 * number, 9) for number in range(count // 10)]}
    settings = {"data": "toy", "model": "mlp", "epochs": 0}
    source = root / "load.yaml"
    source.write_text(json.dumps({"name": "load", "set": settings, "vary": vary, "seeds": 10}))
    plan = timed("plan", lambda: read_plan(str(source), read_experiment))
    own = root / plan.name
    own.mkdir()
    timed("sweep with a stub", lambda: (record(plan, own, command=[]), sweep(plan, own, Stub(), Silent())))  # type: ignore
    top1 = Measure(name="top1", column="correct", topic=ACCURACY, better="higher", percent=True)
    for number, (run, experiment) in enumerate(plan.experiments.items()):
        write_rows(
            own / run / ROWS, [Row(measure="top1", condition="clean", value=number % 7 / 7, count=7)], {"top1": top1}
        )
        (own / run / CONFIG).write_text(dump(plain(experiment)))
    missing = timed("sweep again", lambda: (unfinished(plan, own), record(plan, own, command=[]), overview(plan, own)))
    assert not missing[0]
    timed("report", lambda: write_report(Study.of(str(own)), root / "report", pictures=pictures))
    return {"seconds": seconds}


def write_table(path: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    weights = rng.normal(size=COLUMNS)
    schema = pa.schema([*((f"f{each}", pa.float32()) for each in range(COLUMNS)), ("y", pa.int32())])
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for start in range(0, rows, 250_000):
            x = rng.standard_normal((min(250_000, rows - start), COLUMNS), np.float32).round(2)
            y = pa.array((x @ weights + rng.normal(size=len(x)) > 0).astype(np.int32))
            columns = [pa.array(np.ascontiguousarray(each)) for each in x.T]
            writer.write_table(pa.table([*columns, y], schema=schema))


def write_images(folder: Path, count: int, width: int, height: int) -> None:
    """Write PNG files into two class folders: links to a few different ones."""
    from PIL import Image

    rng = np.random.default_rng(0)
    different = 100 if width > 32 else 1_000
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:06}.png"
        if number < different:
            path.parent.mkdir(parents=True, exist_ok=True)
            small = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
            Image.fromarray(small.repeat(8, 0).repeat(8, 1)).save(path, compress_level=1)
        else:
            path.hardlink_to(folder / "ab"[number % 2] / f"{number % different:06}.png")


def command(words: str, folder: Path) -> dict[str, Any]:
    """Run withstand and return its peak of memory in bytes, and its time in seconds."""
    return watched([sys.executable, "-m", "withstand", *words.split()], cwd=folder)[1]


def child(name: str, *arguments: Any, threads: int | None = None) -> dict[str, Any]:
    """Call a function of this file in a process of its own; return what it returns, its peak and its time."""
    script = f"import json, sys, load; print(json.dumps(load.{name}(*json.loads(sys.argv[1]))))"
    env = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env |= {} if threads is None else dict.fromkeys(names, str(threads))
    output, used = watched([sys.executable, "-c", script, json.dumps(arguments)], env=env)
    return json.loads(output) | used


def watched(
    words: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[str, dict[str, Any]]:
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(words, cwd=cwd, env=os.environ | (env or {}), stdout=output, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)[:200]} ended with {process.returncode}: {told.read()[-2000:]}")
        first = told.readline().strip().replace(f"{cwd}/", "")  # no path of this machine in the results
        seconds = {"cpu": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - begun}
        return output.read(), {"peak": used.ru_maxrss * 1024, "used": seconds, "told": first}


def provenance(*, small: bool) -> dict[str, Any]:
    """Return what the numbers depend on besides the code."""
    words = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    names = ("withstand", "torch", "numpy", "polars", "scikit-learn")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "small": small,
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "platform": platform.system(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
    }


PARTS: dict[str, Callable[[Path, int, int], list[Outcome]]] = {
    "table": table,
    "estimator": estimator,
    "speed": speed,
    "images": images,
    "sweeps": sweeps,
}


if __name__ == "__main__":
    main()
