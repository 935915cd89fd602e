"""Time the corruptions of ImageNet-C beside the package imagecorruptions, on the same photographs."""

import argparse
import gc
import importlib
import io
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from devices import check_device
from training import git
from withstand.compat import imagecorruptions
from withstand.data.images.image_file import read_image
from withstand.data.places import local_root
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.corruptions.suites import EXTRAS, IMAGENET_C
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

PIXELS, BATCH, GPU_BATCH = 224, 32, 256
SEVERITIES = (1, 2, 3, 4, 5)
FILES = 50_000 * len(SEVERITIES)  # per corruption of ImageNet-C
SAVED = 3  # the severity after which the time of saving is taken
THEIR_SECONDS = 0.1  # about what their slowest severity gets per round
RIVAL, LOOP = "imagecorruptions", "glass_blur"  # the latter is a loop over the pixels in Python there
OURS, TWO, THEIRS, JPEG = "withstand", "withstand, 2 threads", RIVAL, "saved as JPEG"

FASTER, SLOWEST, CORE_HOURS, PEAK, PER_SECOND = 6.0, 0.9, 1.5, 1e9, 10_000.0
SINGLE = {"224 x 224": (224, 224), "640 x 480": (480, 640)}  # height and width
FASTER_SINGLE, SLOWEST_SINGLE, IMPORT = 8.0, 1.0, 0.3  # the first without glass_blur; the last in seconds

BENCHMARK = tuple(member for group in IMAGENET_C.values() for member in group)
MEMBERS = {member.published_name(): member for member in BENCHMARK} | {
    member.published_name(): member for group in EXTRAS.values() for member in group
}
COUNTED = tuple(member.published_name() for member in BENCHMARK)
COMPLETE = 15

# Milliseconds per image: corruption, variant, round, severity.
Times = dict[str, dict[str, list[list[float]]]]
Reasons = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9")
    parser.add_argument("--only", action="append", metavar="NAME", help="this corruption alone; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    parser.add_argument("--no-rival", action="store_true", help=f"without {RIVAL}")
    parser.add_argument("--single", action="store_true", help=f"single uint8 images, by the call of {RIVAL}, alone")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="one device alone (default: all there are)")
    options = parser.parse_args()
    unknown = set(options.only or ()) - set(MEMBERS)
    if unknown:
        parser.error(f"--only must be one of {', '.join(MEMBERS)}, got {', '.join(sorted(unknown))}")
    check_device(options.device or "cpu")
    names, missing = find_what_runs([name for name in MEMBERS if not options.only or name in options.only])
    if not names:
        parser.error("; ".join(missing.values()))
    rounds = 3 if options.quick else 9
    content: dict[str, Any] = {"provenance": provenance(), "goals": []}
    if options.single:
        rival, reasons = load_rival()
        if rival is None:
            parser.error(reasons[RIVAL])
        content["single"] = on_single_images([name for name in names if name in COUNTED], rival, rounds=rounds)
        content["goals"] += judge_single(content["single"])
    elif options.device != "cuda":
        rival, reasons = (None, {}) if options.no_rival else load_rival()
        content["cpu"] = on_the_cpu(names, rival, missing | reasons, rounds=rounds)
        content["goals"] += judge(content["cpu"])
    if not options.single and options.device != "cpu" and torch.cuda.is_available():
        content["cuda"] = on_a_gpu(names, rounds=rounds)
        content["goals"] += judge_gpu(content["cuda"])
    print_goals(content["goals"])
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"\nWritten to {options.json}.")


def photographs(count: int) -> Tensor:
    """Return whole levels (count, 3, PIXELS, PIXELS): ImageNet's if they are there, else parts of two others."""
    files = sorted((local_root() / "imagenet-sample" / "val").rglob("*.JPEG"))
    if files:
        # Over all of the classes; from the first again where there are too few.
        chosen = [files[len(files) * i // min(count, len(files)) % len(files)] for i in range(count)]
        pictures = [read_image(each, pixels=PIXELS, resize=256) for each in chosen]
        return torch.from_numpy(np.stack(pictures)).contiguous()
    from sklearn.datasets import load_sample_images

    pieces, pictures = [], load_sample_images().images
    for i in range(count):
        picture = pictures[i % 2]
        top, left = 29 * i % (picture.shape[0] - PIXELS), 67 * i % (picture.shape[1] - PIXELS)
        pieces.append(picture[top : top + PIXELS, left : left + PIXELS].transpose(2, 0, 1))
    return torch.from_numpy(np.stack(pieces)).contiguous()


def instances(name: str) -> list[Corruption]:
    """Return the corruption at every severity."""
    return [cast(Any, MEMBERS[name])(severity=severity) for severity in SEVERITIES]


def draw(perturbation: Perturbation, x: Tensor, *, seed: int) -> Tensor:
    """Return one corrupted copy of a batch, each image with a random source of its own, as evaluations do."""
    labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
    rng = row_streams(seed, perturbation.noise, index=torch.arange(len(x)), device=x.device)
    space = Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, labels, nn.Identity(), space=space, num_draws=1, rng=rng).inputs[0]


def find_what_runs(names: list[str]) -> tuple[list[str], Reasons]:
    """Return the corruptions that can be made here, and why the others cannot: frost needs files."""
    found, reasons = [], {}
    for name in names:
        try:
            draw(instances(name)[0], torch.zeros(1, 3, PIXELS, PIXELS), seed=0)
            found.append(name)
        except InputError as problem:
            reasons[name] = first_line(problem)
    return found, reasons


def load_rival() -> tuple[Callable[..., np.ndarray] | None, Reasons]:
    """Return the function of the other package, or why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            corrupt = importlib.import_module("imagecorruptions").corrupt
    except Exception as problem:
        return None, {RIVAL: first_line(problem)}
    importlib.import_module("cv2").setNumThreads(1)  # which that package has loaded by now
    return corrupt, {}


def on_the_cpu(names: list[str], rival: Callable[..., np.ndarray] | None, reasons: Reasons, *, rounds: int) -> dict:
    """Measure times and memory on the CPU, and print them."""
    levels = photographs(BATCH)
    x = levels.float().div_(255)
    times: Times = {name: {} for name in names}
    torch.set_num_threads(1)
    their_images = {} if rival is None else {name: rehearse(rival, name, levels, reasons) for name in names}
    for count in range(rounds + 1):
        print(f"round {count} of {rounds}", file=sys.stderr, flush=True)
        for name in names:
            variants = [partial(time_ours, name, x, seed=count)]
            if rival is not None and their_images[name]:
                variants.append(partial(time_theirs, rival, name, turn(levels, their_images[name], count)))
            gc.collect()
            # By turns the first, so that none always finds the cache as the other left it.
            for variant in variants[:: -1 if count % 2 else 1]:
                for key, row in variant().items():
                    if count > 0:
                        times[name].setdefault(key, []).append([round(each, 4) for each in row])
    torch.set_num_threads(2)
    for count in range(rounds + 1):
        for name in names:
            row = [time_draw(each, x, seed=count, clock=time.perf_counter)[0] for each in instances(name)]
            if count > 0:
                times[name].setdefault(TWO, []).append([round(each, 4) for each in row])
    torch.set_num_threads(1)
    peaks = {name: fresh(peak_memory, name) for name in (None, *names)}
    memory = {"baseline": peaks.pop(None), "corruptions": peaks}
    measured = {"batch": BATCH, "milliseconds": times, "peak_bytes": memory, "not_compared": reasons}
    print_cpu(measured, rounds=rounds)
    return measured


def on_single_images(names: list[str], rival: Callable[..., np.ndarray], *, rounds: int) -> dict:
    """Measure the same call of both packages on one uint8 image after the other, and print the times."""
    torch.set_num_threads(1)
    measured: dict[str, Any] = {"rival_compiles": "numba" in sys.modules, "import_seconds": import_seconds()}
    for title, (height, width) in SINGLE.items():
        pictures = [
            np.asarray(Image.fromarray(each.permute(1, 2, 0).numpy()).resize((width, height)))
            for each in photographs(BATCH)
        ]
        times: Times = {}
        for name in names:
            slowest = max(time_calls(rival, name, pictures[:1]) for _ in range(2))  # the first call may compile
            number = max(1, min(BATCH, int(THEIR_SECONDS * 1e3 / max(slowest))))
            times[name] = {OURS: [], THEIRS: []}
            for count in range(1 + (rounds if max(slowest) < 1e3 else 1)):
                some = [pictures[(number * count + i) % BATCH] for i in range(number)]
                variants = [(OURS, imagecorruptions.corrupt), (THEIRS, rival)]
                for variant, function in variants[:: -1 if count % 2 else 1]:
                    row = [round(each, 4) for each in time_calls(function, name, some)]
                    if count > 0:
                        times[name][variant].append(row)
            ratio = paired_ratio([times[name]])
            ours, theirs = (typical(times[name], variant) for variant in (OURS, THEIRS))
            print(f"  {title} {name:<20}{ours:>11.2f}{theirs:>18.2f}{ratio:>8.2f}", flush=True)
        measured[title] = times
    return measured


def time_calls(function: Callable[..., np.ndarray], name: str, pictures: list[np.ndarray]) -> list[float]:
    """Return milliseconds per image at each severity."""
    (row,) = time_theirs(function, name, pictures).values()
    return row


def import_seconds() -> list[float]:
    """Return how long the drop-in module takes to import after torch, in processes of their own."""
    start, module = "import torch, time; start = time.perf_counter()", imagecorruptions.__name__
    script = f"{start}; import {module}; print(time.perf_counter() - start)"
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in range(7)
    ]
    return [round(float(each.stdout), 4) for each in runs]


def judge_single(measured: dict) -> list[dict]:
    """Compare what was measured on single images with the goals."""
    goals, seconds = [], statistics.median(measured["import_seconds"])
    for title in SINGLE:
        times: Times = measured[title]
        ratios = {name: paired_ratio([each]) for name, each in times.items()}
        worst = min(ratios, key=ratios.__getitem__)
        text = f"{title}: each of {len(times)} at least as fast as {RIVAL} (slowest: {worst})"
        goals.append(goal(text, ratios[worst], ratios[worst] >= SLOWEST_SINGLE))
        others = [each for name, each in times.items() if name != LOOP]
        ratio = paired_ratio(others)
        text = f"{title}: sum of {len(others)} without {LOOP} at least {FASTER_SINGLE:g} x faster than {RIVAL}"
        goals.append(goal(text, ratio, ratio >= FASTER_SINGLE))
    text = f"seconds to import the drop-in module after torch: at most {IMPORT:g}"
    return [*goals, goal(text, seconds, seconds <= IMPORT)]


def time_ours(name: str, x: Tensor, *, seed: int) -> dict[str, list[float]]:
    """Return the time of each severity, and that of saving the outcome of one of them as the original does."""
    spent = {each.severity: time_draw(each, x, seed=seed) for each in instances(name)}
    saved, _ = time_draw(SavedAsJpeg(), spent[SAVED][1], seed=seed)
    return {OURS: [milliseconds for milliseconds, _ in spent.values()], JPEG: [saved]}


def time_draw(
    perturbation: Perturbation, x: Tensor, *, seed: int, clock: Callable[[], float] = time.process_time
) -> tuple[float, Tensor]:
    """Return milliseconds per image, and the outcome."""
    start = clock()
    copies = draw(perturbation, x, seed=seed)
    return (clock() - start) * 1e3 / len(x), copies


def rehearse(rival: Callable[..., np.ndarray], name: str, levels: Tensor, reasons: Reasons) -> int:
    """Return how many images their function gets per round: none if it fails, for which the reason is kept."""
    try:
        slowest = max(time_theirs(rival, name, turn(levels, 1, 0))[THEIRS])
    except Exception as problem:
        reasons[name] = first_line(problem)
        return 0
    return max(1, min(BATCH, int(THEIR_SECONDS * 1e3 / slowest)))


def time_theirs(rival: Callable[..., np.ndarray], name: str, pictures: list[np.ndarray]) -> dict[str, list[float]]:
    """Return the time of each severity, one image after the other, as that package has it."""
    row = []
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for severity in SEVERITIES:
            start = time.process_time()
            for picture in pictures:
                rival(picture, severity=severity, corruption_name=name)
            row.append((time.process_time() - start) * 1e3 / len(pictures))
    return {THEIRS: row}


def turn(levels: Tensor, number: int, count: int) -> list[np.ndarray]:
    """Return some images in the other package's form, in every round the next ones."""
    rows = [(number * count + i) % len(levels) for i in range(number)]
    return [np.ascontiguousarray(levels[row].permute(1, 2, 0).numpy()) for row in rows]


def fresh(work: Callable[[str | None], int], name: str | None) -> int:
    """Return what the work returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, name).result()


def peak_memory(name: str | None) -> int:
    """Return the most bytes that this process ever held, after all severities; without a name, of the images alone."""
    torch.set_num_threads(1)
    x = photographs(BATCH).float().div_(255)
    for each in instances(name) if name else ():
        draw(each, x, seed=0)
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # Linux begins ru_maxrss with that of the process which started this one.
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def on_a_gpu(names: list[str], *, rounds: int) -> dict:
    """Measure times on the GPU, and print them."""
    x = photographs(GPU_BATCH).cuda().float().div_(255)
    times: Times = {name: {OURS: []} for name in names}

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    torch.set_num_threads(os.cpu_count() or 1)
    torch.cuda.reset_peak_memory_stats()
    for count in range(rounds + 1):
        for name in names:
            row = [time_draw(each, x, seed=count, clock=clock)[0] for each in instances(name)]
            if count > 0:
                times[name][OURS].append([round(each, 5) for each in row])
    measured = {
        "device": torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "batch": GPU_BATCH,
        "milliseconds": times,
        "peak_bytes": torch.cuda.max_memory_allocated(),
    }
    print_gpu(measured, rounds=rounds)
    return measured


def typical(times: dict[str, list[list[float]]], variant: str) -> float:
    """Return the median over the rounds of the mean over the severities."""
    return statistics.median(map(statistics.fmean, times[variant]))


def paired_ratio(times: Iterable[dict[str, list[list[float]]]]) -> float:
    """Return how many times longer theirs takes over all the corruptions given: median over the rounds."""
    means = [[map(statistics.fmean, each[variant]) for variant in (OURS, THEIRS)] for each in times]
    ours, theirs = (map(sum, zip(*rows, strict=True)) for rows in zip(*means, strict=True))
    return statistics.median(b / a for a, b in zip(ours, theirs, strict=True))


def core_hours(times: Times, *variants: str) -> float:
    """Return the hours of one core for as many images as ImageNet-C has of the corruptions given."""
    per_image = sum(typical(each, variant) for name, each in times.items() if name in COUNTED for variant in variants)
    return per_image * FILES / 3.6e6


def judge(measured: dict) -> list[dict]:
    """Compare what was measured on the CPU with the goals; those about a part that is missing are left open."""
    times: Times = measured["milliseconds"]
    counted = [name for name in times if name in COUNTED]
    compared = [name for name in times if THEIRS in times[name]]
    goals = []
    both = [times[name] for name in counted if name in compared]
    if both:
        ratio = paired_ratio(both)
        goals.append(goal(f"sum of {len(both)}: at least {FASTER:g} x faster than {RIVAL}", ratio, ratio >= FASTER))
    if compared:
        ratios = {name: paired_ratio([times[name]]) for name in compared}
        worst = min(ratios.values())
        slow = [name for name, ratio in ratios.items() if ratio < SLOWEST or ratio == worst]
        text = f"each of {len(compared)}: at least {SLOWEST:g} x as fast as {RIVAL} ({', '.join(slow)})"
        goals.append(goal(text, worst, worst >= SLOWEST))
    hours = core_hours(times, OURS)
    holds = hours < CORE_HOURS if len(counted) == COMPLETE else None
    goals.append(goal(f"core-hours for ImageNet-C, {len(counted)} of 15: below {CORE_HOURS:g}", hours, holds))
    peaks = measured["peak_bytes"]["corruptions"]
    largest = max(peaks, key=peaks.get)
    text = f"GB of a process with a batch of {BATCH}: below {PEAK / 1e9:g} ({largest})"
    goals.append(goal(text, peaks[largest] / 1e9, peaks[largest] < PEAK))
    return goals


def judge_gpu(measured: dict) -> list[dict]:
    """Compare what was measured on the GPU with the goal."""
    counted = [each for name, each in measured["milliseconds"].items() if name in COUNTED]
    if not counted:
        return []
    speed = median_per_second(counted)
    holds = speed >= PER_SECOND if len(counted) == COMPLETE else None
    return [goal(f"images/s on the GPU, median of {len(counted)} of 15: at least {PER_SECOND:,.0f}", speed, holds)]


def per_second(times: Iterable[dict[str, list[list[float]]]]) -> float:
    """Return images per second over all the corruptions given, each as often as the others."""
    return 1e3 / statistics.fmean(typical(each, OURS) for each in times)


def median_per_second(times: Iterable[dict[str, list[list[float]]]]) -> float:
    """Return the median over the corruptions of their images per second."""
    return statistics.median(per_second([each]) for each in times)


def goal(text: str, measured: float, holds: bool | None) -> dict:
    """Return one line of the goals."""
    return {"goal": text, "measured": measured, "holds": holds}


def print_cpu(measured: dict, *, rounds: int) -> None:
    times, memory = measured["milliseconds"], measured["peak_bytes"]
    counted = [name for name in times if name in COUNTED]
    compared = [name for name in counted if THEIRS in times[name]]
    print(f"\nms per image of {PIXELS} x {PIXELS}, batches of {BATCH}: mean of 5 severities, median of {rounds} rounds")
    print("(processor time on one thread, elapsed time on two). MB: the most a process held, and how much of that is")
    print(f"due to the corruption; one that only loads torch and the images held {memory['baseline'] / 1e6:.0f}.")
    titles = f"{'withstand':>11}{'2 threads':>11}{RIVAL:>18}{'ratio':>8}{'JPEG 85':>9}{'MB':>7}{'due':>7}"
    print(f"  {'corruption':<20}{titles}")
    for name in times:
        peak = memory["corruptions"][name]
        print_line(name, times, [name], f"{peak / 1e6:>7.0f}{(peak - memory['baseline']) / 1e6:>7.0f}")
    print_line(f"sum of {len(counted)}", times, counted)
    if LOOP in compared and len(counted) > 1:
        print_line(f"without {LOOP}", times, [name for name in counted if name != LOOP])
    hours, with_files = core_hours(times, OURS), core_hours(times, OURS, JPEG)
    print(f"As many images as ImageNet-C has of these: {hours:.2f} core-hours, saved as JPEG {with_files:.2f}.")
    for name, reason in measured["not_compared"].items():
        print(f"Not compared: {name}: {reason}")
    sys.stdout.flush()


def print_line(title: str, times: Times, names: list[str], rest: str = "") -> None:
    """Print the times of all the corruptions named together; those of the other package if it has them all."""
    ours, two, saved = (sum(typical(times[name], variant) for name in names) for variant in (OURS, TWO, JPEG))
    theirs = ratio = "-"
    if names and all(THEIRS in times[name] for name in names):
        theirs = f"{sum(typical(times[name], THEIRS) for name in names):.2f}"
        ratio = f"{paired_ratio(times[name] for name in names):.2f}"
    print(f"  {title:<20}{ours:>11.2f}{two:>11.2f}{theirs:>18}{ratio:>8}{saved:>9.2f}{rest}")


def print_gpu(measured: dict, *, rounds: int) -> None:
    times = measured["milliseconds"]
    print(f"\n{measured['device']}, batches of {GPU_BATCH}, mean of 5 severities, median of {rounds} rounds")
    print(f"  {'corruption':<20}{'ms per image':>14}{'images/s':>12}")
    for name, own in times.items():
        print(f"  {name:<20}{typical(own, OURS):>14.4f}{per_second([own]):>12,.0f}")
    counted = {name: own for name, own in times.items() if name in COUNTED}
    if counted:
        print(f"All {len(counted)} together: {per_second(counted.values()):,.0f} images/s; ", end="")
        print(f"median: {median_per_second(counted.values()):,.0f}.")
    print(f"Most memory on the GPU: {measured['peak_bytes'] / 1e9:.1f} GB.", flush=True)


def print_goals(goals: list[dict]) -> None:
    print(f"\n{'goal':<90}{'measured':>10}")
    for each in goals:
        verdict = {True: "holds", False: "missed", None: "not judged"}[each["holds"]]
        print(f"{each['goal']:<90}{each['measured']:>10,.2f}  {verdict}")


def first_line(problem: Exception) -> str:
    """Return an exception's type and the first line of its message."""
    return f"{type(problem).__name__}: {str(problem).partition(chr(10))[0]}"


def provenance() -> dict[str, object]:
    """Return what the times depend on besides the code."""
    here, processor = Path(__file__).parent, Path("/proc/cpuinfo")
    lines = processor.read_text().splitlines() if processor.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    changed = git(here, "status", "--porcelain", "--untracked-files=no", "--", "../src", "corruptions.py")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git(here, "rev-parse", "HEAD"),
        "changed_files": [line[3:] for line in changed.splitlines()],
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "platform": platform.system(),
        "python": platform.python_version(),
        "versions": {
            name: installed(name)
            for name in (
                "withstand",
                "torch",
                "numpy",
                "Pillow",
                RIVAL,
                "scipy",
                "scikit-image",
                "opencv-python-headless",
                "opencv-python",
            )
        },
    }


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
