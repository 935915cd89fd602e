from itertools import pairwise

import pytest
import torch
from torch import nn

from withstand.functional.jacobian import Layers, climb, jacobian_norms, steepest_quotient
from withstand.functional.lipschitz import eclipse_fast_bound, lipsdp_neuron_bound, product_bound


def network(*sizes, seed=0, activation=torch.relu):
    generator = torch.Generator().manual_seed(seed)
    draw = [
        torch.randn(after, before + 1, generator=generator, dtype=torch.float64) for before, after in pairwise(sizes)
    ]
    weights, biases = tuple(each[:, 1:] for each in draw), tuple(each[:, 0] for each in draw)
    return Layers(weights=weights, biases=biases, activations=(activation,) * (len(sizes) - 2))


def points(num_rows, size, seed=0):
    return torch.randn(num_rows, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", [torch.relu, nn.Tanh(), nn.ELU(), nn.LeakyReLU(0.3), nn.Softplus()])
@pytest.mark.parametrize("sizes", [(3, 6, 5, 2), (2, 6, 4), (4, 3)])
def test_norms_are_those_of_autograd(sizes, activation):
    layers, x = network(*sizes, activation=activation), points(7, sizes[0])
    jacobians = [torch.autograd.functional.jacobian(lambda row: layers.outputs(row[None])[0], row) for row in x]
    wanted = torch.stack([torch.linalg.matrix_norm(each, 2) for each in jacobians])
    torch.testing.assert_close(jacobian_norms(layers, x), wanted, rtol=1e-7, atol=1e-12)


@pytest.mark.slow
def test_no_lower_bound_is_above_an_upper_one_on_200_networks():
    shapes = [(3, 5, 4, 2), (2, 8, 1), (1, 4, 4, 4, 3), (6, 2, 5), (4, 10, 10, 3)]
    activations = [torch.relu, nn.LeakyReLU(0.1), nn.Tanh(), nn.ELU(), torch.relu]
    for seed in range(200):
        layers = network(*shapes[seed % 5], seed=seed, activation=activations[seed // 5 % 5])
        x = points(8, shapes[seed % 5][0], seed=seed)
        lower = steepest_quotient(layers, climb(layers, x, steps=5))
        uppers = [bound(layers.weights) for bound in (product_bound, eclipse_fast_bound)]
        uppers.append(lipsdp_neuron_bound(layers.weights, steps=8))
        assert 0 <= lower <= min(uppers)
        assert lower >= jacobian_norms(layers, x).max() * 0.9 or seed // 5 % 5 not in (0, 4)
        assert uppers == sorted(uppers, reverse=True)


def test_climbing_never_ends_lower_and_finds_steeper_places():
    layers, x = network(8, 30, 30, 5), points(20, 8)
    before, after = jacobian_norms(layers, x), jacobian_norms(layers, climb(layers, x, steps=100))
    assert (after >= before * (1 - 1e-9)).all()
    assert after.max() > before.max() * 1.05


def test_climbing_finds_the_steepest_piece_of_a_line_of_kinks():
    # f = max(x, 0) + 3 max(x - 1, 0) - 3 max(x - 2, 0): slope 4 between 1 and 2 only.
    column = torch.tensor([[1.0], [1.0], [1.0]], dtype=torch.float64)
    layers = Layers(
        weights=(column, torch.tensor([[1.0, 3.0, -3.0]], dtype=torch.float64)),
        biases=(torch.tensor([0.0, -1.0, -2.0], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)),
        activations=(torch.relu,),
    )
    start = torch.tensor([[-1.5], [0.6], [2.7]], dtype=torch.float64)
    found = climb(layers, start, steps=200)
    assert steepest_quotient(layers, found) == pytest.approx(4.0, rel=1e-6)


def test_a_kink_whose_gradient_by_convention_is_too_steep_does_not_fool_the_quotient():
    # max(x + 10, 0) - max(x, 0) + max(-x, 0): slope 0 for x > 0, and 0 for -10 < x < 0; autograd says 1 at 0.
    column = torch.tensor([[1.0], [1.0], [-1.0]], dtype=torch.float64)
    layers = Layers(
        weights=(column, torch.tensor([[1.0, -1.0, 1.0]], dtype=torch.float64)),
        biases=(torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)),
        activations=(torch.relu,),
    )
    x = torch.zeros(1, 1, dtype=torch.float64)
    assert jacobian_norms(layers, x).item() == 1
    assert steepest_quotient(layers, x) <= 1e-9


def test_no_steps_and_equal_points_are_allowed():
    layers, x = network(3, 5, 2), points(1, 3).expand(4, 3)
    assert torch.equal(climb(layers, x, steps=0), x)
    assert torch.equal(climb(layers, x, steps=7), climb(layers, x, steps=7))


def test_a_network_without_slope_has_a_lower_bound_of_nothing():
    layers = network(3, 5, 2)
    flat = layers._replace(weights=(layers.weights[0], torch.zeros_like(layers.weights[1])))
    assert steepest_quotient(flat, climb(flat, points(4, 3), steps=10)) == 0.0
