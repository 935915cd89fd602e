"""Rehearse `evaluate` on ImageNet-C with made-up files: what each part costs, and how many cores feed one GPU."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from corruptions import photographs, print_goals, provenance
from withstand.data.images.image_file import read_image
from withstand.data.images.image_folder import ImageFolder
from withstand.data.images.imagenet import Imagenet
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.functional.random import RowStreams, derive_seed
from withstand.measuring.ask import ask
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject
from withstand.perturbations.corruptions.suites import imagenet_c

IMAGES, CLASSES, PIXELS, RESIZE = 50_000, 1000, 224, 256
SIDES = (500, 375)  # pixels: the median of ImageNet
LEAST_SHARE = 0.9
# ResNet-50 with channels-last weights in bf16, images per second; not measured here.
H100 = 6000.0


class Clock(nn.Module):
    """A model that answers at once, and counts the seconds that a real one would take."""

    def __init__(self, images_per_second: float, num_classes: int) -> None:
        super().__init__()
        self.images_per_second, self.num_classes, self.seconds = images_per_second, num_classes, 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the first values of each image as logits."""
        self.seconds += len(x) / self.images_per_second
        return x.flatten(1)[:, : self.num_classes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="8 files, to see that all run")
    parser.add_argument("--files", type=int, default=2000, help="files that are really read (default: 2000)")
    parser.add_argument("--severities", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of the 15 corruptions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    torch.set_num_threads(1)
    count = 8 if options.small else options.files
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        size = write_files(root / "val", count)
        cells = imagenet_c(severities=options.severities)
        parts = {"decode and resize": decoding(root / "val"), "corrupt": corrupting(root / "val", cells)}
        whole, simulated = evaluated(root, count, cells)
    seconds = {name: each * count for name, each in parts.items()}
    bookkeeping = whole - sum(seconds.values())
    share = sum(seconds.values()) / whole
    full = IMAGES / count * len(imagenet_c()) / len(cells)
    print(f"\n{count:,} files of {size / 1000:.0f} kB, {len(cells)} cells, one core\n")
    print(f"{'part':<24}{'s':>10}{'share':>8}{'all of ImageNet-C, h':>24}")
    for name, each in {**seconds, "bookkeeping": bookkeeping, "in all": whole}.items():
        print(f"{name:<24}{each:>10,.1f}{each / whole:>8.1%}{each * full / 3600:>24,.1f}")
    print(f"{'model on an H100':<24}{simulated:>10,.1f}{'':>8}{simulated * full / 3600:>24,.2f}  simulated clock")
    cores = {
        "with corruptions on the CPU": whole / simulated,
        "with corruptions on the GPU": seconds["decode and resize"] / simulated,
    }
    for name, each in cores.items():
        print(f"cores that feed one H100 at {H100:,.0f} images/s, {name}: {each:.1f}")
    goals = [
        {
            "goal": f"decode + corrupt take at least {LEAST_SHARE:.0%} of an evaluation without a model",
            "measured": share,
            "holds": share >= LEAST_SHARE,
        }
    ]
    print_goals(goals)
    if options.json is not None:
        content = {"provenance": provenance(), "files": count, "bytes_per_file": size, "cells": len(cells)}
        content |= {
            "seconds": seconds | {"bookkeeping": bookkeeping, "whole": whole, "model": simulated},
            "cores": cores,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content | {"goals": goals}, indent=1, allow_nan=False) + "\n")


def write_files(folder: Path, count: int) -> float:
    """Write JPEG files like those of ImageNet in class folders; return their mean size in bytes."""
    pictures, sizes = photographs(min(count, 200)), []
    random = np.random.default_rng(0)
    for number in range(count):
        levels = pictures[number % len(pictures)].permute(1, 2, 0).byte().numpy()
        picture = Image.fromarray(levels).resize(SIDES, Image.Resampling.BICUBIC)
        grain = random.normal(0, 6, (SIDES[1], SIDES[0], 1))
        picture = Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))
        path = folder / f"n{number % CLASSES:08d}" / f"ILSVRC2012_val_{number:08d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)
        sizes.append(path.stat().st_size)
    return statistics.mean(sizes)


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def decoding(folder: Path) -> float:
    """Return the seconds to decode, resize and crop a file."""
    paths = sorted(folder.rglob("*.JPEG"))[:200]
    return statistics.mean(seconds_of(lambda p=path: read_image(p, pixels=PIXELS, resize=RESIZE)) for path in paths)


def corrupting(folder: Path, cells: tuple) -> float:
    """Return the seconds to corrupt an image in every cell."""
    paths = sorted(folder.rglob("*.JPEG"))[:16]
    levels = np.stack([read_image(each, pixels=PIXELS, resize=RESIZE) for each in paths])
    x = torch.from_numpy(levels).float().div_(255)
    y, model, space = torch.zeros(len(x)), nn.Identity(), Space(shape=(3, PIXELS, PIXELS), box=(0.0, 1.0))
    total = 0.0
    for each in cells:
        rng = RowStreams(derive_seed(0, each.noise), torch.arange(len(x)))
        draw = lambda: each.draw(x, y, model, space=space, num_draws=1, rng=rng)  # noqa: B023, E731
        draw()
        total += seconds_of(draw) / len(x)
    return total


def evaluated(root: Path, count: int, cells: tuple) -> tuple[float, float]:
    """Return the seconds of an evaluation of all files in all cells, without and of the model."""
    few = ImageFolder(root=str(root / "val"), pixels=PIXELS, resize=RESIZE)
    data = Imagenet(root=str(root)) if count >= CLASSES else few
    clock = Clock(H100, min(count, CLASSES))
    subject = Subject(name="clock", question=Question.of(data, list(cells)), load=lambda: clock, folder=root / "kept")
    assert len(subject.question.split) == count
    print(f"evaluating {count:,} files in {len(cells)} cells", file=sys.stderr, flush=True)
    return seconds_of(lambda: ask([subject], seed=0, engine=Engine())), clock.seconds


if __name__ == "__main__":
    main()
