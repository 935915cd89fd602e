"""Corruptions compute wholly on the device of the images."""

import pytest
import torch
from torch import nn

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.functional.random import RowStreams
from withstand.perturbations.base import Corruption

SPACE = Space(shape=(3, 64, 64), box=(0.0, 1.0), num_classes=4)
EXAMPLES = [
    pytest.param(each, id=f"{cls.__name__}-{number}", marks=pytest.mark.slow if number else ())
    for cls in discover(Corruption)
    for number, each in enumerate(cls.examples())
    if not each.tables_only
]


@pytest.mark.parametrize("place", ["pretended"], indirect=True)
@pytest.mark.parametrize("corruption", EXAMPLES)
def test_no_tensor_is_copied_to_the_cpu(corruption, place, host_reads):
    x = torch.rand((3, *SPACE.shape), generator=torch.Generator().manual_seed(0)).to(place.device)
    y = torch.arange(3, device=place.device)
    with place.equal_draws():
        rng = RowStreams(0, torch.arange(3), device=place.device)
        corruption.draw(x, y, nn.Identity(), space=SPACE, num_draws=1, rng=rng)
    # Single numbers are read where the next step depends on them: whether anything is left to do, or how large it is.
    assert host_reads.pop("number", 0) <= 3
    assert not host_reads
