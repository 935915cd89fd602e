"""Bounds beside another library's, and in closed form."""

import warnings

import pytest
import torch
from torch import nn

from withstand.certificates.slopes import by_optimised_lines
from withstand.data.space import Space
from withstand.perturbations.ball import Ball


def matrices(model, shape):
    """Return a chain with every convolution as a matrix, for a library that knows none."""
    layers = []
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            size = torch.Size(shape).numel()
            shift = layer(torch.zeros(1, *shape)).flatten()
            matrix = nn.Linear(size, len(shift))
            matrix.weight.data = (layer(torch.eye(size).view(size, *shape)).flatten(1) - shift).T.contiguous().detach()
            matrix.bias.data = shift.detach()
            layers.append(matrix)
        elif not isinstance(layer, nn.Flatten):
            layers.append(layer)
        shape = tuple(layer(torch.zeros(1, *shape)).shape[1:])
    return nn.Sequential(*layers)


NETWORKS = {
    "small": (lambda: nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)), (8,)),
    "deep": (
        lambda: nn.Sequential(*[each for _ in range(4) for each in (nn.Linear(8, 8), nn.ReLU())], nn.Linear(8, 3)),
        (8,),
    ),
    "tanh": (lambda: nn.Sequential(nn.Linear(8, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3)), (8,)),
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3)
        ),
        (1, 10, 10),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("radius", [0.02, 0.2])
def test_lines_are_as_tight_as_those_of_bound_propagation(name, radius, seeded, bounds, both_sides):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("bound_propagation")
    make, shape = NETWORKS[name]
    model, x = seeded(0, make), torch.rand(20, *shape, generator=torch.Generator().manual_seed(0))
    lower, upper = both_sides(bounds(model, x, Ball("linf", radius)))
    other = library.BoundModelFactory().build(matrices(model, shape))
    with torch.no_grad():
        theirs = other.crown(library.HyperRectangle.from_eps(x.flatten(1), radius)).concretize()
    widths = (upper - lower).mean(), (theirs.upper - theirs.lower).mean()
    assert widths[0] <= widths[1] * 1.0002 + 5e-5  # our safety margin against rounding
    assert widths[0] >= widths[1] * 0.7  # much tighter would be wrong
    assert (lower <= theirs.upper + 1e-5).all()
    assert (upper >= theirs.lower - 1e-5).all()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_bounds_of_an_affine_network_are_exact(norm, seeded, bounds, both_sides):
    model = seeded(0, lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5), nn.Linear(5, 3)))
    x, radius = torch.rand(10, 6, generator=torch.Generator().manual_seed(0)), (0.1, 0.2, 0.0, 0.3, 0.1, 0.05)
    jacobian = torch.autograd.functional.jacobian(lambda row: model(row[None])[0], x[0])
    reach = torch.linalg.vector_norm(
        jacobian * torch.tensor(radius), {"linf": 1, "l2": 2, "l1": torch.inf}[norm], dim=1
    )
    lower, upper = both_sides(bounds(model, x, Ball(norm, radius)))
    outputs = model(x).detach()
    torch.testing.assert_close(lower, outputs - reach, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(upper, outputs + reach, rtol=1e-4, atol=1e-4)
    assert (lower <= outputs - reach).all()


def test_optimised_slopes_are_no_looser_and_often_tighter(seeded, bounds, grid):
    for name, (make, shape) in NETWORKS.items():
        model, x = seeded(1, make), torch.rand(6, *shape, generator=torch.Generator().manual_seed(0))
        found, ball = bounds(model, x, Ball("linf", 0.15)), Ball("linf", 0.15)
        specification = torch.eye(3).expand(6, -1, -1)
        with torch.no_grad():
            plain, best = found.by_lines(specification), by_optimised_lines(found, specification, steps=20)
            outputs = model(grid(x, ball, space=Space(shape=shape)).flatten(0, 1)).view(-1, 6, 3).amin(0)
        assert (best >= plain).all()
        assert (best <= outputs).all()
        if name != "tanh":
            assert (best > plain + 1e-4).float().mean() > 0.2
