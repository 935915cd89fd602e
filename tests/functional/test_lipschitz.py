import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from withstand.errors import InputError
from withstand.functional.lipschitz import (
    certified_bound,
    eclipse_fast_bound,
    eclipse_fast_multipliers,
    lipsdp_neuron_bound,
    product_bound,
)


def network(*sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(after, before, generator=generator, dtype=torch.float64) for before, after in pairwise(sizes)]
    return [each / each.shape[1] ** 0.5 for each in draw]


def all_bounds(weights, steps=60):
    return product_bound(weights), eclipse_fast_bound(weights), lipsdp_neuron_bound(weights, steps=steps)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 1)])
def test_bounds_of_one_matrix_are_its_spectral_norm(shape):
    weights = network(*shape)
    norm = torch.linalg.matrix_norm(weights[0], 2).item()
    for bound in all_bounds(weights):
        assert norm <= bound <= norm * (1 + 1e-8)


def test_positive_rank_one_layers_are_bounded_exactly():
    # All hidden units are on together, so the constant is the product of the norms.
    a, b = (torch.rand(6, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(k)) + 0.1 for k in (1, 2))
    weights = [a @ network(3, 1)[0], network(1, 2)[0] @ b.T]
    exact = torch.linalg.matrix_norm(weights[1] @ weights[0], 2).item()
    product, eclipse, lipsdp = all_bounds(weights, steps=300)
    assert exact <= lipsdp <= exact * (1 + 1e-4)
    assert lipsdp < eclipse <= product


def test_units_that_are_never_on_together_are_told_apart():
    # max(x, 0) + max(-x, 0): slopes in [0, 1] of both together allow a change of at most 1.
    weights = [torch.tensor([[1.0], [-1.0]], dtype=torch.float64), torch.tensor([[1.0, 1.0]], dtype=torch.float64)]
    product, eclipse, lipsdp = all_bounds(weights, steps=300)
    assert product == pytest.approx(2.0)
    assert eclipse == pytest.approx(2**0.5)
    assert 1.0 <= lipsdp <= 1.01


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(3, 5, 4, 2), (2, 7, 3, 6, 4), (8, 3, 9, 1), (4, 4, 4, 4, 4, 4, 4)])
def test_widths_may_differ_and_finer_bounds_are_tighter(sizes):
    for seed in range(5):
        product, eclipse, lipsdp = all_bounds(network(*sizes, seed=seed))
        assert 0 < lipsdp <= eclipse <= product


def test_more_steps_come_close_to_the_best_multipliers():
    weights = network(8, 20, 20, 5)
    usual, long = (lipsdp_neuron_bound(weights, steps=steps) for steps in (200, 600))
    assert usual <= long * 1.005


def test_the_search_finds_the_optimum_where_it_is_known():
    # One input, one output: with slopes d the change is sum_i w_i v_i d_i. LipSDP's optimum for one hidden layer, one
    # input and one output is the larger of the sums of positive and of negative products.
    weights = [torch.tensor([[1.0], [2.0], [0.5], [1.5]], dtype=torch.float64)]
    weights.append(torch.tensor([[1.0, 0.5, -2.0, 0.25]], dtype=torch.float64))
    exact = 1.0 + 1.0 + 0.375
    assert exact <= lipsdp_neuron_bound(weights, steps=500) <= exact * 1.001


def test_equal_calls_give_equal_bounds():
    weights = network(4, 9, 9, 3)
    assert all_bounds(weights) == all_bounds(weights)


def test_scaling_a_matrix_scales_the_bounds():
    weights = network(3, 6, 2)
    for power in (2.0**40, 2.0**-300, 3.0):
        for one, other in zip(all_bounds(weights), all_bounds([weights[0] * power, weights[1]]), strict=True):
            assert other == pytest.approx(one * power, rel=1e-3 if power == 3 else 1e-12)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_matrix_of_zeros_gives_zero(layer):
    weights = network(3, 6, 2)
    weights[layer] = torch.zeros_like(weights[layer])
    assert all_bounds(weights) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("size", [0.0, 1e-160, 1e-12])
def test_units_that_do_not_depend_on_the_input_count_for_nothing(size):
    weights = network(4, 6, 6, 3)
    clean = lipsdp_neuron_bound(weights, steps=200)
    first = torch.cat([weights[0], size * weights[0][:1]])
    second = torch.cat([weights[1], 5 * weights[1][:, :1]], dim=1)
    assert lipsdp_neuron_bound([first, second, weights[2]], steps=200) == pytest.approx(clean, rel=0.01)


def exactly_positive_definite(matrix):
    """Return whether a matrix of fractions is, by exact elimination."""
    rows = [list(each) for each in matrix]
    for k in range(len(rows)):
        if rows[k][k] <= 0:
            return False
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return True


@pytest.mark.parametrize("seed", range(3))
def test_the_certificate_holds_in_exact_arithmetic(seed):
    sizes = (2, 4, 3, 2)
    weights = network(*sizes, seed=seed)
    multipliers = eclipse_fast_multipliers(weights)
    bound = certified_bound(weights, multipliers)
    powers = [2.0 ** round(math.log2(each.abs().max().item() * math.sqrt(min(each.shape)))) for each in weights]
    scaled = [each / power for each, power in zip(weights, powers, strict=True)]
    square = (Fraction(bound) / Fraction(math.prod(powers))) ** 2
    ends = [0, 2, 6, 9, 11]
    matrix = [[Fraction(0)] * 11 for _ in range(11)]
    for block, weight in enumerate(scaled):
        for i in range(len(weight)):
            last = block == 2
            diagonal = square if last else Fraction(multipliers[block][i].item())
            matrix[ends[block + 1] + i][ends[block + 1] + i] = diagonal
            for j in range(weight.shape[1]):
                entry = -Fraction(weight[i, j].item()) * (1 if last else diagonal / 2)
                matrix[ends[block + 1] + i][ends[block] + j] = matrix[ends[block] + j][ends[block + 1] + i] = entry
    for i in range(2):
        matrix[i][i] = Fraction(1)
    assert exactly_positive_definite(matrix)
    # A little less is refuted by the same arithmetic: the bound is no looser than it says.
    for i in range(9, 11):
        matrix[i][i] = square * (1 - Fraction(1, 10**7))
    assert not exactly_positive_definite(matrix)


def test_multipliers_that_prove_nothing_give_infinity():
    weights = network(3, 5, 2)
    assert certified_bound(weights, [torch.full((5,), 1e3, dtype=torch.float64)]) == math.inf


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([], "lipschitz: weights must hold at least one matrix, got none."),
        ([torch.eye(2)], "lipschitz: weights must be finite float64 numbers, matrix 1 is not."),
        ([torch.full((2, 2), math.nan, dtype=torch.float64)], "finite float64 numbers, matrix 1 is not."),
        (
            network(3, 5) + network(4, 2),
            "each matrix must take the outputs of the previous one, got shapes (5, 3), (2, 4).",
        ),
    ],
)
def test_what_is_no_chain_of_matrices_is_refused(weights, sentence):
    for bound in (product_bound, eclipse_fast_bound, lambda each: lipsdp_neuron_bound(each, steps=1)):
        with pytest.raises(InputError) as caught:
            bound(weights)
        assert sentence in str(caught.value)
