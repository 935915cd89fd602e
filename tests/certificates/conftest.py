"""Networks, and what a search over points finds."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import nn

from withstand.certificates.bounds import Bounds, bounds_of
from withstand.certificates.graph import trace
from withstand.certificates.region import region_of
from withstand.data.space import Space
from withstand.perturbations.ball import Ball


@pytest.fixture
def seeded() -> Callable[[int, Callable[[], nn.Module]], nn.Module]:
    """A function that builds a network with weights of a seed, batch statistics included, in evaluation mode."""

    def build(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            model = make()
            for each in model.modules():
                if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d):
                    each.running_mean.normal_()
                    each.running_var.uniform_(0.5, 2)
                    each.weight.data.normal_()
                    each.bias.data.normal_()
        return model.eval()

    return build


@pytest.fixture
def bounds() -> Callable[..., Bounds]:
    """A function that returns the bounds of a model over balls around inputs."""

    def bounds(
        model: nn.Module, x: torch.Tensor, ball: Ball, *, lines: bool = True, space: Space | None = None
    ) -> Bounds:
        space = space or Space.like(x)
        with torch.no_grad():
            return bounds_of(trace(model, x.shape[1:], who="Test"), region_of(ball, x, space), lines=lines)

    return bounds


@pytest.fixture
def both_sides() -> Callable[[Bounds], tuple[torch.Tensor, torch.Tensor]]:
    """A function that returns lower and upper bounds of the outputs."""

    def sides(found: Bounds) -> tuple[torch.Tensor, torch.Tensor]:
        unit = torch.eye(found.graph.num_outputs)
        with torch.no_grad():
            lower, upper = found.by_lines(torch.cat([unit, -unit]).expand(len(found.region.center), -1, -1)).chunk(2, 1)
        return lower, -upper

    return sides


@pytest.fixture
def grid() -> Callable[..., torch.Tensor]:
    """A function that returns points of a ball, evenly spread over its box and drawn into it, (draw, batch, *shape)."""

    def points(x: torch.Tensor, ball: Ball, *, space: Space, sides: int = 5, num_draws: int = 50) -> torch.Tensor:
        drawn = ball.sample(x, space=space, num_draws=num_draws, rng=torch.Generator().manual_seed(1))
        if x[0].numel() > 4:
            return drawn
        steps = torch.tensor(list(product(torch.linspace(-1, 1, sides).tolist(), repeat=x[0].numel())))
        corners = x + steps.view(-1, 1, *x.shape[1:]) * ball.radii(x, space=space)
        return torch.cat([drawn, torch.stack([ball.project(x, each, space=space) for each in corners])])

    return points
