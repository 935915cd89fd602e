"""Time copies in original sizes against decoding, corrupting and encoding alone, and two processes against one."""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from withstand.copies.encoding import encode
from withstand.copies.image_tree import ImageTree
from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import write_copy
from withstand.data.places import local_root
from withstand.data.space import Space
from withstand.functional.levels import to_levels
from withstand.functional.random import RowStreams, derive_seed
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.imagenet_c.fog import Fog
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.pools.local_pool import LocalPool

WIDTH, HEIGHT, PIXELS = 640, 480, 299  # the published size nearest to 480
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": GaussianNoise(severity=3),
    "fog": Fog(severity=3),
}
MOST_OVERHEAD, LEAST_SPEED_UP = 1.3, 1.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="number of images (default 1000)")
    parser.add_argument("--chunk", type=int, default=100, help="images per timed pair in one process (default 100)")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of one and two processes (default 3)")
    parser.add_argument("--json", type=Path, help="file for the raw times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory() as place:
        source, names = Path(place, "source"), count()
        write_images(source, options.images, options.chunk)
        for name, corruption in CORRUPTIONS.items():
            found[name] = {
                "one": overhead(source, corruption, lambda: Path(place, f"{next(names)}")),
                "two": speed_up(source, corruption, lambda: Path(place, f"{next(names)}"), options.rounds),
            }
            report(name, found[name])
    found |= {
        "load_after": os.getloadavg(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "images": options.images,
        "machine": platform.system(),
        "cores": os.cpu_count(),
        "versions": {each: version(each) for each in ("withstand", "torch", "numpy", "Pillow")},
    }
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def write_images(folder: Path, images: int, chunk: int) -> None:
    """Write JPEG files of quality 90: photographs of ImageNet if they are there, else noise of several scales."""
    photographs = sorted((local_root() / "imagenet-sample" / "val").rglob("*.JPEG"))
    generator = np.random.default_rng(0)
    for number in range(images):
        if photographs:
            with Image.open(photographs[number % len(photographs)]) as image:
                picture = image.convert("RGB").resize((WIDTH, HEIGHT))
        else:
            scales = [generator.integers(0, 256, (HEIGHT // k, WIDTH // k, 3), dtype=np.uint8) for k in (160, 20, 4)]
            parts = [np.asarray(Image.fromarray(each).resize((WIDTH, HEIGHT)), dtype=np.float32) for each in scales]
            picture = Image.fromarray(np.average(parts, axis=0, weights=(6, 3, 1)).astype(np.uint8))
        path = folder / f"{number // chunk:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)


def alone(folder: Path, corruption: Corruption) -> None:
    """Decode, corrupt and encode the images of a folder in memory."""
    space = Space(shape=(3, HEIGHT, WIDTH), box=(0.0, 1.0))
    own = type(corruption)(severity=corruption.severity, pixels=PIXELS)  # type: ignore[call-arg]
    for row, path in enumerate(sorted(folder.iterdir())):
        with Image.open(path) as image:
            x = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        rng = RowStreams(derive_seed(0, own.noise), torch.tensor([row]))
        y = torch.zeros(1, dtype=torch.int64)
        changed = own.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=rng).inputs[0]
        encode(to_levels(changed)[0].permute(1, 2, 0).numpy(), ".jpg")


def copy(folder: Path, corruption: Corruption, target: Path, num_workers: int) -> float:
    """Write a corrupted copy of a folder; return images per second of wall time after the first finished block."""
    made = CorruptedCopy(data=ImageTree(path=str(folder)), corruptions=(corruption,), format="same")
    told: list[tuple[int, float]] = []
    open_pool = (lambda _: LocalPool(num_workers)) if num_workers else None
    write_copy(made, target, open_pool=open_pool, tell=lambda done: told.append((done, time.perf_counter())))
    (first, begun), (last, ended) = told[1], told[-1]
    return (last - first) / (ended - begun)


def overhead(source: Path, corruption: Corruption, new: Callable[[], Path]) -> dict[str, list[float]]:
    """Return the processor times in seconds of both ways, chunk by chunk; the first chunk also warms up."""
    times: dict[str, list[float]] = {"alone": [], "copy": []}
    chunks = sorted(source.iterdir())
    alone(chunks[0], corruption)
    copy(chunks[0], corruption, new(), 0)
    for number, chunk in enumerate(chunks):
        ways = {"alone": lambda: alone(chunk, corruption), "copy": lambda: copy(chunk, corruption, new(), 0)}  # noqa: B023
        for name in sorted(ways, reverse=bool(number % 2)):
            begun = time.process_time()
            ways[name]()
            times[name].append(time.process_time() - begun)
    return times


def speed_up(source: Path, corruption: Corruption, new: Callable[[], Path], rounds: int) -> dict[str, list[float]]:
    """Return wall times, processor times and images per second of one and two processes, alternately."""
    times: dict[str, list[float]] = {f"{each} {workers}": [] for each in ("wall", "cpu", "rate") for workers in (1, 2)}
    for number in range(rounds):
        for workers in (1, 2) if number % 2 else (2, 1):
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            times[f"rate {workers}"].append(copy(source, corruption, new(), workers))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times[f"wall {workers}"].append(time.perf_counter() - begun)
            times[f"cpu {workers}"].append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return times


def report(name: str, found: dict[str, dict[str, list[float]]]) -> None:
    one, two = found["one"], found["two"]
    ratio = statistics.median(copied / bare for copied, bare in zip(one["copy"], one["alone"], strict=True))
    # Processor time of one process over half the time of two, with their start: the gain on two idle cores.
    gain = statistics.median(2 * single / both for single, both in zip(two["cpu 1"], two["cpu 2"], strict=True))
    rate = statistics.median(fast / slow for slow, fast in zip(two["rate 1"], two["rate 2"], strict=True))
    print(f"{name}: copy / alone {ratio:.3f} (goal: at most {MOST_OVERHEAD})", verdict(ratio <= MOST_OVERHEAD))
    print(f"{name}: two processes / one {gain:.3f} (goal: at least {LEAST_SPEED_UP})", verdict(gain >= LEAST_SPEED_UP))
    print(f"{name}: images per second of wall time, two processes / one, after the first block: {rate:.3f}")
    for key, values in (one | two).items():
        print(f"  {key}: median {statistics.median(values):.2f}")
    sys.stdout.flush()


def verdict(holds: bool) -> str:
    return "holds" if holds else "MISSED"


if __name__ == "__main__":
    main()
