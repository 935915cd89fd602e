"""Every corruption of C-bar against outputs of facebookresearch/augmentation-corruption for the same random numbers."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from withstand.functional.levels import to_levels
from withstand.perturbations.corruptions.suites import CIFAR10_C_BAR, IMAGENET_C_BAR

SUITES = {224: ("imagenet224.npz", IMAGENET_C_BAR), 32: ("cifar32.npz", CIFAR10_C_BAR)}
CASES = [
    pytest.param(member, severity, pixels, id=f"{member.published_name()}-{severity}-{pixels}")
    for pixels, (_, members) in SUITES.items()
    for member in members
    for severity in (1, 2, 3, 4, 5)
]
# At least this share of the values is equal; the others are next to a whole level, where float32 decides.
EQUAL = 0.996

Numbers = Callable[[str], Tensor]


def rays(numbers: Numbers, count: str) -> tuple[Tensor, Tensor]:
    """Rays per star, and normal numbers in a row for each star."""
    each = numbers(count).long().flatten()
    normals = torch.zeros(len(each), 199, dtype=torch.float64)
    for row, own in zip(normals, numbers("normals").flatten().split(each.tolist()), strict=True):
        row[: len(own)] = own
    return each, normals


def sparkles(numbers: Numbers) -> Any:
    count, normals = rays(numbers, "nrays")
    return numbers("centers"), count[None], normals[None]


def inverse_sparkles(numbers: Numbers) -> Any:
    return numbers("center"), *rays(numbers, "rays")


def checkerboard(numbers: Numbers) -> Any:
    """Tiles of negative numbers are at the end of the larger table, too."""
    grid, whole = numbers("grid_uniform")[0], torch.zeros(40, 40, dtype=torch.float64)
    count = len(grid)
    for row in range(-(count // 2), count // 2):
        for column in range(-(count // 2), count // 2):
            whole[row, column] = grid[row, column]
    return numbers("angle"), numbers("scales")[:, 0], whole[None]


def cocentric(numbers: Numbers) -> Tensor:
    parts = [numbers(name).flatten() for name in ("offset", "freq", "amplitude", "ring_width")]
    return torch.cat(parts)[None]


def abberation(numbers: Numbers) -> Tensor:
    return numbers("scales").argsort(1).argsort(1)


def tuple_of(*names: str) -> Callable[[Numbers], Any]:
    return lambda numbers: tuple(numbers(each) for each in names)


PARAMETERS: dict[str, Callable[[Numbers], Any]] = {
    "single_frequency_greyscale": tuple_of("freq", "phase"),
    "cocentric_sine_waves": cocentric,
    "plasma_noise": tuple_of("time", "iterations", "sharpness", "scale"),
    "checkerboard_cutout": checkerboard,
    "sparkles": sparkles,
    "inverse_sparkles": inverse_sparkles,
    "perlin_noise": lambda numbers: (numbers("permutation")[:, :256].long(), numbers("gradients")[:, :256]),
    "blue_noise_sample": lambda numbers: numbers("phases"),
    "brownish_noise": lambda numbers: numbers("phases"),
    "caustic_refraction": tuple_of("time", "size"),
    "pinch_and_twirl": lambda numbers: numbers("angles"),
    "ripple": tuple_of("wavelengths", "phases"),
    "circular_motion_blur": lambda numbers: None,
    "lines": tuple_of("angle", "angle_variation", "line_uniform"),
    "transverse_chromatic_abberation": abberation,
}


@cache
def golden(pixels: int) -> dict[str, np.ndarray]:
    file = SUITES[pixels][0]
    if "WITHSTAND_DATA" in os.environ:
        path = Path(os.environ["WITHSTAND_DATA"]).parent / "golden" / "c-bar" / file
        if path.exists():
            with np.load(path) as arrays:
                return dict(arrays)
    pytest.skip(f"{file} is not in golden/c-bar beside the folder WITHSTAND_DATA")


def image_first(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]


@pytest.mark.parametrize(("member", "severity", "pixels"), CASES)
def test_the_originals_draws_give_the_originals_image_within_one_level(member, severity, pixels):
    arrays, name = golden(pixels), member.published_name()
    corruption = member(severity=severity)

    def numbers(parameter: str) -> Tensor:
        return torch.from_numpy(np.asarray(arrays[f"{name}_{severity}__{parameter}"]))[None]

    x = image_first(arrays["input"]).float() / 255
    ours = to_levels(corruption.corrupt(x, PARAMETERS[name](numbers))).int()
    apart = (ours - image_first(arrays[f"{name}_{severity}"]).int()).abs()
    assert (apart <= 1).double().mean() >= 0.999
    assert (apart == 0).double().mean() >= EQUAL


@pytest.mark.parametrize("pixels", SUITES)
def test_levels_and_order_are_the_published_ones(pixels):
    arrays, (_, members) = golden(pixels), SUITES[pixels]
    for member in members:
        assert list(member.tables[pixels]) == arrays[f"{member.published_name()}__levels"].tolist()
    assert {name for name in arrays if name.endswith("_1")} == {f"{each.published_name()}_1" for each in members}
