"""Time the corruptions of ImageNet-C-bar and CIFAR-10-C-bar beside those of the original, in milliseconds per image."""

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from devices import card, check_device
from training import git
from withstand.data.space import Space
from withstand.functional.levels import to_levels
from withstand.functional.random import integers, row_streams, stream
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.suites import CIFAR10_C_BAR, IMAGENET_C_BAR

SEVERITIES = (1, 2, 3, 4, 5)
SECONDS = 0.2  # about what the slowest severity of the original gets per round
FASTER = 80.0  # over the sum of ImageNet-C-bar
STORED, MEASURED = "original's times from another machine", "original, measured here"


class Suite(NamedTuple):
    """A suite, the size and number of its images, the original's name for its data, and its times in milliseconds."""

    title: str
    members: tuple[type[Corruption], ...]
    pixels: int
    batch: int
    dataset: str
    times: dict[str, float]


# Source: the middle of the ranges that were measured once with the original at commit ba4d5a5: one thread of another,
# noisy machine. For orientation only; --original measures both here.
SUITES = (
    Suite(
        "ImageNet-C-bar",
        IMAGENET_C_BAR,
        224,
        16,
        "imagenet",
        {
            "caustic_refraction": 4750,
            "sparkles": 3450,
            "plasma_noise": 1600,
            "perlin_noise": 1450,
            "inverse_sparkles": 615,
            "brownish_noise": 495,
            "checkerboard_cutout": 180,
            "blue_noise_sample": 142,
            "cocentric_sine_waves": 148,
            "single_frequency_greyscale": 46,
        },
    ),
    Suite(
        "CIFAR-10-C-bar",
        CIFAR10_C_BAR,
        32,
        256,
        "cifar",
        {
            "sparkles": 71,
            "pinch_and_twirl": 21,
            "ripple": 14,
            "inverse_sparkles": 12,
            "brownish_noise": 11,
            "circular_motion_blur": 7,
            "checkerboard_cutout": 4,
            "blue_noise_sample": 3.5,
            "lines": 0.55,
            "transverse_chromatic_abberation": 0.4,
        },
    ),
)

# Milliseconds per image: corruption, round, severity.
Times = dict[str, list[list[float]]]
Build = Callable[..., Callable[[np.ndarray], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds after the warm-up, of which the median counts")
    parser.add_argument("--small", action="store_true", help="one round with few images: only to try the script")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of ours; the original has no GPU")
    parser.add_argument("--original", type=Path, metavar="FOLDER", help="imagenet_c_bar/ of the original's code")
    parser.add_argument(
        "--build",
        default="transform_finder:build_transform",
        metavar="MODULE:FUNCTION",
        help="called there with name, severity (the level) and dataset_type; returns a function of a uint8 image",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    check_device(options.device)
    torch.set_num_threads(options.threads)
    build = None if options.original is None else load(options.original, options.build)
    content: dict[str, Any] = {"provenance": provenance(options), "suites": {}, "goals": []}
    for suite in SUITES:
        rounds, batch = (1, 2) if options.small else (options.rounds, suite.batch)
        measured = measure(suite, build, rounds=rounds, batch=batch, device=options.device)
        content["suites"][suite.title] = measured
        show(suite, measured)
        if suite.members is IMAGENET_C_BAR:
            content["goals"].append(judge(suite, measured))
    for text, value, holds in content["goals"]:
        print(f"\n{text}: {value:.1f} {'holds' if holds else 'MISSED'}")
    if options.json is not None:
        options.json.write_text(json.dumps(content, indent=1) + "\n")
        print(f"\nWritten to {options.json}.")


def load(folder: Path, place: str) -> Build:
    """Return the original's function that makes a corruption."""
    sys.path[:0] = [str(folder), str(folder.parent)]
    module, _, name = place.partition(":")
    np.__dict__.setdefault("int", int)  # the original was written for older releases of numpy
    return getattr(importlib.import_module(module), name)


def measure(suite: Suite, build: Build | None, *, rounds: int, batch: int, device: str) -> dict[str, Times]:
    """Return the times of ours, and with the original those of it, one after the other in each round."""
    levels = pictures(batch, suite.pixels)
    x = levels.to(device).float() / 255
    found: dict[str, Times] = {"ours": {}, "theirs": {}}
    for count in range(rounds + 1):
        for member in suite.members:
            name = member.published_name()
            ours = [time_ours(cast(Any, member)(severity=each), x, seed=count) for each in SEVERITIES]
            theirs = time_theirs(suite, member, build, levels, seed=count) if build else None
            if count > 0:  # the first round is a warm-up
                found["ours"].setdefault(name, []).append(ours)
                if theirs:
                    found["theirs"].setdefault(name, []).append(theirs)
    return found


def pictures(count: int, pixels: int) -> Tensor:
    """Return smooth pictures with some noise on them, in whole levels."""
    coarse = integers((count, 3, 8, 8), 0, 256, rng=stream(0, "coarse")).float()
    smooth = nn.functional.interpolate(coarse, size=(pixels, pixels), mode="bilinear")
    noise = integers((count, 3, pixels, pixels), -8, 9, rng=stream(0, "noise"))
    return to_levels((smooth + noise).clamp(0, 255) / 255)


def time_ours(corruption: Corruption, x: Tensor, *, seed: int) -> float:
    """Return milliseconds per image: draws of random numbers included, each image with its own source."""
    rng = row_streams(seed, corruption.noise, index=torch.arange(len(x)), device=x.device)
    labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
    if x.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    corruption.draw(x, labels, nn.Identity(), space=Space.like(x, box=(0.0, 1.0)), num_draws=1, rng=rng)
    if x.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3 / len(x)


def time_theirs(suite: Suite, member: type[Corruption], build: Build, levels: Tensor, *, seed: int) -> list[float]:
    """Return milliseconds per image of the original at each severity, of as many images as there is time for."""
    np.random.seed(seed)  # noqa: NPY002  # the original draws from the global generator
    images = [np.ascontiguousarray(each.permute(1, 2, 0).numpy()) for each in levels]
    number = max(1, min(len(images), int(SECONDS * 1e3 / suite.times[member.published_name()])))
    row = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for level in member.tables[suite.pixels]:
            corrupt = build(name=member.published_name(), severity=level, dataset_type=suite.dataset)
            start = time.perf_counter()
            for image in images[:number]:
                corrupt(image)
            row.append((time.perf_counter() - start) * 1e3 / number)
    return row


def typical(rows: list[list[float]]) -> float:
    """Return the median over the rounds of the mean over the severities."""
    return statistics.median(map(statistics.fmean, rows))


def compared(suite: Suite, measured: dict[str, Times]) -> tuple[str, dict[str, float]]:
    """Return where the times of the original are from, and the times."""
    if measured["theirs"]:
        return MEASURED, {name: typical(rows) for name, rows in measured["theirs"].items()}
    return STORED, suite.times


def show(suite: Suite, measured: dict[str, Times]) -> None:
    """Print a line per corruption."""
    origin, theirs = compared(suite, measured)
    print(f"\n{suite.title}, {suite.pixels} pixels: ms per image, withstand, {origin}, ratio")
    for name, rows in measured["ours"].items():
        ours = typical(rows)
        print(f"  {name:<34}{ours:>9.3f}{theirs[name]:>10.1f}{theirs[name] / ours:>9.1f}")
    total = sum(map(typical, measured["ours"].values()))
    print(f"  {'sum':<34}{total:>9.3f}{sum(theirs.values()):>10.1f}{sum(theirs.values()) / total:>9.1f}")


def judge(suite: Suite, measured: dict[str, Times]) -> tuple[str, float, bool]:
    """Return the goal of speed, how many times as fast ours is, and whether it holds."""
    origin, theirs = compared(suite, measured)
    ratio = sum(theirs.values()) / sum(map(typical, measured["ours"].values()))
    return f"{suite.title}, sum of {len(theirs)}: at least {FASTER:g} x as fast ({origin})", ratio, ratio >= FASTER


def provenance(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the times depend on besides the code."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git(Path(__file__).parent, "rev-parse", "HEAD"),
        "small": options.small,
        "threads": options.threads,
        "device": card(options.device),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "platform": platform.system(),
        "versions": {"python": platform.python_version()} | {each: version(each) for each in ("torch", "numpy")},
    }


if __name__ == "__main__":
    main()
