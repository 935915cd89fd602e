"""The corruptions of LAION-C against outputs of FanfeiLi/LAION-C for the same random numbers."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from withstand.functional.levels import to_levels
from withstand.perturbations.corruptions.suites import LAION_C

DRAWN = {"vertical_lines": None, "geometric_shapes": "shapes", "luminance_checkerboard": "offset"}


@cache
def golden() -> dict[str, np.ndarray]:
    if "WITHSTAND_DATA" in os.environ:
        path = Path(os.environ["WITHSTAND_DATA"]).parent / "golden" / "laion-c" / "imagenet224.npz"
        if path.exists():
            with np.load(path) as arrays:
                return dict(arrays)
    pytest.skip("imagenet224.npz is not in golden/laion-c beside the folder WITHSTAND_DATA")


def image_first(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None]


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("member", LAION_C, ids=lambda member: member.published_name())
def test_the_originals_draws_give_the_originals_image(member, severity):
    arrays, name = golden(), f"{member.published_name()}_{severity}"
    drawn = DRAWN[member.published_name()]
    parameters = None if drawn is None else torch.from_numpy(arrays[f"{name}__{drawn}"])[None]
    made = member(severity=severity).corrupt(image_first(arrays["input"]).float() / 255, parameters)
    assert torch.equal(to_levels(made), image_first(arrays[name]))


def test_the_parameters_are_the_published_ones():
    arrays = golden()
    shapes, tiles = LAION_C[1].tables[224], LAION_C[2].tables[224]
    for severity, (count, (low, high)) in enumerate(zip(shapes, tiles, strict=True), 1):
        assert len(arrays[f"geometric_shapes_{severity}__shapes"]) == count
        offset = arrays[f"luminance_checkerboard_{severity}__offset"]
        assert low <= offset.min() <= offset.max() <= high
        assert offset.max() - offset.min() > 0.9 * (high - low)
