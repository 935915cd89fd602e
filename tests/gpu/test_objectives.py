"""Objectives on another device: their losses stay there, and are near those of the CPU."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.functional.random import stream
from withstand.objectives.base import Objective

SPACE = Space(shape=(3, 8, 8), box=(0.0, 1.0))
EXAMPLES = [
    pytest.param(each, id=f"{cls.__name__}-{number}")
    for cls in discover(Objective)
    for number, each in enumerate(cls.examples())
]


def losses(objective: Objective, model: nn.Module, device: torch.device) -> list[torch.Tensor]:
    """Return the losses of three steps of training."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand((12, 3, 8, 8), generator=generator).to(device), (torch.arange(12) % 3).to(device)
    state = objective.init(x[:1], model=model, rng=stream(0, "init"))
    trained = nn.ModuleList([model, objective.trained(state)])
    optimizer, found = torch.optim.SGD(trained.parameters(), lr=0.05), []
    for count in range(3):
        rng = stream(0, "train", count, device=device)
        step = objective.step(model, x, y, space=SPACE, state=state, count=count, rng=rng)
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        found += [step.loss, *step.logs.values()]
    return found


@pytest.mark.parametrize("objective", EXAMPLES)
def test_losses_are_on_the_device_of_the_inputs(objective, place):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)
        model = nn.Sequential(*layers)
    expected = losses(objective, deepcopy(model), torch.device("cpu"))
    with place.equal_draws():
        found = losses(objective, deepcopy(model).to(place.device), place.device)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(place.values(own), other.detach(), rtol=1e-3, atol=1e-4)
