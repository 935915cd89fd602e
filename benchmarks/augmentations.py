"""Time the augmentations for training beside Pillow, torchvision, and PRIME as its reference computes it."""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms import v2

from corruptions import photographs, print_goals, provenance
from devices import card, check_device, now
from withstand.configuration import discover
from withstand.data.space import Space
from withstand.functional.random import stream
from withstand.perturbations.augmentations.aug_mix import AugMix
from withstand.perturbations.augmentations.prime import PRIME
from withstand.perturbations.base import Perturbation

SIZES = {32: 128, 224: 64}  # side in pixels: images of a batch
CLASSES, FASTER = 10, 3.0
OURS = "withstand"
IMAGENET = {
    "AugMix": AugMix(severity=1.0),
    "PRIME": PRIME(color_variance=0.05, color_frequencies=500, color_band=20, displacement_frequencies=500),
}
Batch = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="1 round with 4 images, to see that all run")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that are counted (default: 9)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this augmentation alone; may be repeated")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda times ours alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the raw times")
    options = parser.parse_args()
    check_device(options.device)
    known = {cls.__name__: cls for cls in discover(Perturbation) if "augmentations" in cls.__module__}
    if unknown := set(options.only or ()) - set(known):
        parser.error(f"--only must be one of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    content: dict[str, Any] = {"provenance": provenance(), "device": card(options.device), "seconds": {}, "goals": []}
    for size, batch in SIZES.items():
        x = images(size, 4 if options.small else batch).to(options.device)
        variants = {
            name if name in IMAGENET else example.condition: {OURS: ours(example, x)}
            | (rivals(name, x) if options.device == "cpu" else {})
            for name in known
            if not options.only or name in options.only
            for example in examples(name, known[name], size)
        }
        seconds = measure(variants, rounds=1 if options.small else options.rounds, device=options.device)
        content["seconds"][size] = seconds
        show(seconds, size, len(x))
        content["goals"] += judge(seconds, size)
    print_goals(content["goals"])
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"\nWritten to {options.json}.")


def images(size: int, count: int) -> Tensor:
    """Return photographs (count, 3, size, size) in whole levels divided by 255."""
    x = photographs(count).float()
    x = nn.functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return x.round_().clamp_(0, 255).div_(255)


def examples(name: str, cls: type, size: int) -> list[Perturbation]:
    """Return the settings to time: those for CIFAR, or at 224 pixels those for ImageNet."""
    if size == 224 and name in IMAGENET:
        return [IMAGENET[name]]
    found = cast(Any, cls).examples()
    return found if name in ("APR", "HybridAugment") else found[:1]


def ours(perturbation: Perturbation, x: Tensor) -> Batch:
    """Return one draw as in training, with one source for the batch."""
    y = torch.arange(len(x), device=x.device) % CLASSES
    space = Space(shape=tuple(x.shape[1:]), box=(0.0, 1.0), num_classes=CLASSES)
    rng = stream(0, "benchmark", device=x.device)
    return lambda: perturbation.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=rng)


def rivals(name: str, x: Tensor) -> dict[str, Batch]:
    """Return other implementations of the same, for the whole batch."""
    levels, y = (x * 255).round().to(torch.uint8), torch.arange(len(x)) % CLASSES
    arrays = list(levels.permute(0, 2, 3, 1).contiguous().numpy())
    severity = 1.0 if x.shape[-1] == 224 else 3.0
    found: dict[str, Batch] = {}
    if name == "AugMix":
        numbers = np.random.default_rng(0)
        found["Pillow"] = lambda: [augmix_by_pillow(each, severity, numbers) for each in arrays]
    if name == "PRIME":
        found["the reference's way"] = lambda: prime_as_reference(x, IMAGENET["PRIME"] if severity == 1 else PRIME())
    single = {
        "AugMix": lambda: v2.AugMix(severity=int(severity), all_ops=False),
        "TrivialAugment": v2.TrivialAugmentWide,
        "RandAugment": v2.RandAugment,
    }
    if name in single:
        change = single[name]()
        found["torchvision"] = lambda: [change(each) for each in levels]
    whole = {"Mixup": v2.MixUp, "CutMix": v2.CutMix}
    if name in whole:
        mix = whole[name](num_classes=CLASSES)
        found["torchvision"] = lambda: mix(x, y)
    return found


def augmix_by_pillow(image: np.ndarray, severity: float, numbers: np.random.Generator) -> np.ndarray:
    """Return AugMix of one image, image by image with Pillow, from the paper's rules."""
    weights, share = numbers.dirichlet([1.0] * 3), numbers.beta(1, 1)
    mixed = np.zeros(image.shape, np.float32)
    for weight in weights.astype(np.float32):
        chained = Image.fromarray(image)
        for _ in range(numbers.integers(1, 4)):
            level, sign = numbers.uniform(0.1, severity), numbers.choice([-1, 1])
            chained = operate(chained, int(numbers.integers(9)), level, sign)
        mixed += weight / 255 * np.asarray(chained, np.float32)
    return (1 - share) / 255 * image.astype(np.float32) + share * mixed


def operate(image: Image.Image, number: int, level: float, sign: int) -> Image.Image:
    """Return an image after one of the nine operations."""
    if number < 2:
        return (ImageOps.autocontrast, ImageOps.equalize)[number](image)
    if number == 2:
        return ImageOps.posterize(image, 4 - int(level * 4 / 10))
    if number == 3:
        return ImageOps.solarize(image, 256 - int(level * 256 / 10))
    if number == 4:
        return image.rotate(sign * int(level * 3), resample=Image.Resampling.BILINEAR)
    slope, shift = sign * level * 0.03, sign * int(level * image.size[0] / 30)
    maps = [(1, slope, 0, 0, 1, 0), (1, 0, 0, slope, 1, 0), (1, 0, shift, 0, 1, 0), (1, 0, 0, 0, 1, shift)]
    return image.transform(image.size, Image.Transform.AFFINE, maps[number - 5], resample=Image.Resampling.BILINEAR)


def prime_as_reference(x: Tensor, prime: PRIME) -> Tensor:
    """Return PRIME with the reference's cost: all three operations of every image, one field per batch and step."""
    weights = torch.distributions.Dirichlet(torch.ones(3)).sample((len(x),))
    share, size = torch.rand(len(x)), x.shape[-1]
    states = x.repeat(3, 1, 1, 1)
    depth = torch.randint(1, 4, (len(states),))
    for step in range(3):
        which = torch.randint(0, 3, (len(states),))
        kernels = (4 * torch.rand(()) * torch.randn(len(states), 1, 3, 3)).repeat_interleave(3, 0)
        grouped = states.flatten(0, 1)[None]
        filtered = nn.functional.conv2d(grouped, kernels, padding=1, groups=kernels.shape[0]).view_as(states)
        highest = int(torch.randint(1, prime.color_frequencies + 1, ()))
        k = torch.arange(1, highest + 1)[-(prime.color_band or highest) :]
        curves = (prime.color_variance * torch.rand(())).sqrt() * torch.randn(len(states), 3, len(k))
        coloured = states.clone()
        for each, own, out in zip(states, curves, coloured, strict=True):  # at once they do not fit the memory
            out += torch.einsum("cf,chwf->chw", own, torch.sin(math.pi * each[..., None] * k))
        count = int(torch.randint(2, prime.displacement_frequencies + 1, ()))
        waves = torch.sin(math.pi * torch.linspace(0, 1, size)[:, None] * torch.arange(1, count + 1))
        field = torch.einsum("kij,xi,yj->kyx", 1e-2 * torch.randn(2, count, count), waves, waves)
        places = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, size)] * 2, indexing="xy"))
        grid = (places + field).movedim(0, -1).expand(len(states), -1, -1, -1)
        moved = nn.functional.grid_sample(states, grid, padding_mode="border", align_corners=True)
        changed = torch.zeros_like(states)
        for number, result in enumerate((filtered, coloured, moved)):
            changed += result.clamp(0, 1) * (which == number)[:, None, None, None]
        states = torch.where((depth > step)[:, None, None, None], changed, states)
    mixed = torch.einsum("bm,mbchw->bchw", weights, states.view(3, *x.shape))
    return x.lerp(mixed, share[:, None, None, None])


def measure(variants: dict[str, dict[str, Batch]], *, rounds: int, device: str) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each variant in every round after the first, which is a rehearsal."""
    seconds = {name: {variant: [] for variant in each} for name, each in variants.items()}
    for count in range(rounds + 1):
        print(f"round {count} of {rounds}", file=sys.stderr, flush=True)
        for name, each in variants.items():
            for variant, run in list(each.items())[:: -1 if count % 2 else 1]:
                start = now(device)
                run()
                if count > 0:
                    seconds[name][variant].append(now(device) - start)
    return seconds


def show(seconds: dict[str, dict[str, list[float]]], size: int, batch: int) -> None:
    print(f"\n{f'{size} pixels, batch {batch}':<60}{'images/s':>10}{'ratio':>8}")
    for name, variants in seconds.items():
        for variant, taken in variants.items():
            speed = batch / statistics.median(taken)
            print(f"{f'{name}: {variant}':<60}{speed:>10,.0f}{ratio(variants, variant):>8.2f}")


def ratio(variants: dict[str, list[float]], variant: str) -> float:
    """Return how many times as long a variant takes as ours: the median over the rounds."""
    pairs = zip(variants[variant], variants[OURS], strict=True)
    return statistics.median(theirs / own for theirs, own in pairs)


def judge(seconds: dict[str, dict[str, list[float]]], size: int) -> list[dict]:
    """Return the goals and what was measured; those at 224 pixels are shown only."""
    goals = []
    for name, variants in seconds.items():
        for rival in ("Pillow", "the reference's way"):
            if rival in variants:
                measured = ratio(variants, rival)
                goal = f"{name} at {size} pixels: at least {FASTER:g} times as fast as {rival}"
                goals.append({"goal": goal, "measured": measured, "holds": measured >= FASTER if size == 32 else None})
    return goals


if __name__ == "__main__":
    main()
