import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from withstand.functional.risks import soft_maximum, weights_of_draws

LOSSES = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=6)
TEMPERATURES = st.sampled_from([1e-3, 0.1, 1.0, 30.0])


def column(values, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype)[:, None]


@given(values=LOSSES, temperature=TEMPERATURES)
def test_it_lies_between_the_mean_and_the_maximum(values, temperature):
    losses = column(values)
    folded = soft_maximum(losses, temperature=temperature).item()
    assert losses.mean().item() - 1e-4 <= folded <= losses.max().item() + 1e-4


@given(values=LOSSES)
def test_it_grows_as_the_temperature_falls(values):
    losses = column(values, torch.float64)
    folded = [soft_maximum(losses, temperature=each).item() for each in (math.inf, 100.0, 1.0, 0.01, 0.0)]
    assert all(low <= high + 1e-9 for low, high in pairwise(folded))


@given(values=LOSSES)
def test_temperature_zero_is_the_maximum_and_infinity_the_mean(values):
    losses = column(values)
    assert_close(soft_maximum(losses, temperature=0.0), losses.amax(0))
    assert_close(soft_maximum(losses, temperature=math.inf), losses.mean(0), rtol=1e-5, atol=1e-5)


@given(values=LOSSES)
def test_it_tends_to_its_limits(values):
    losses = column(values, torch.float64)
    assert_close(soft_maximum(losses, temperature=1e-6), losses.amax(0), rtol=0, atol=1e-4)
    assert_close(soft_maximum(losses, temperature=1e7), losses.mean(0), rtol=0, atol=1e-4)


@given(values=LOSSES, temperature=TEMPERATURES, times=st.integers(2, 4))
def test_drawing_everything_several_times_changes_nothing(values, temperature, times):
    losses = column(values, torch.float64)
    assert_close(
        soft_maximum(losses.repeat(times, 1), temperature=temperature),
        soft_maximum(losses, temperature=temperature),
    )


@pytest.mark.parametrize("temperature", [0.0, 0.1, 1.0, math.inf])
def test_log_weights_stand_for_repeated_draws(temperature):
    losses = torch.tensor([[0.3, 2.0], [1.5, -1.0], [0.2, 0.1]])
    repeated = losses[[0, 0, 0, 1, 2, 2]]
    log_weights = torch.tensor([3.0, 1.0, 2.0]).log()[:, None].expand(3, 2)
    # A constant per sample says nothing.
    log_weights = log_weights + torch.tensor([5.0, -70.0])
    assert_close(
        soft_maximum(losses, temperature=temperature, log_weights=log_weights),
        soft_maximum(repeated, temperature=temperature),
    )


@pytest.mark.parametrize("temperature", [0.0, 0.1, 1.0, math.inf])
def test_a_draw_without_weight_does_not_count(temperature):
    losses = torch.tensor([[1.0], [9.0], [2.0]])
    log_weights = torch.tensor([[0.0], [-math.inf], [0.0]])
    folded = soft_maximum(losses, temperature=temperature, log_weights=log_weights)
    assert_close(folded, soft_maximum(losses[[0, 2]], temperature=temperature))


def test_the_gradient_is_the_softmax_of_the_losses():
    losses = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    soft_maximum(losses, temperature=0.3).sum().backward()
    assert_close(losses.grad, (losses.detach() / 0.3).softmax(0))


def test_the_gradient_follows_the_weights():
    losses = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    log_weights = torch.linspace(-1, 1, 15, dtype=torch.float64).view(5, 3)
    soft_maximum(losses, temperature=0.3, log_weights=log_weights).sum().backward()
    assert_close(losses.grad, (losses.detach() / 0.3 + log_weights).softmax(0))


def test_half_precision_losses_are_folded_in_float32():
    losses = torch.tensor([[1.0], [2.0]], dtype=torch.bfloat16)
    assert soft_maximum(losses, temperature=1.0).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        folded = soft_maximum(losses.float(), temperature=0.01)
    assert folded.dtype == torch.float32
    assert folded.item() == pytest.approx(2 + 0.01 * math.log(0.5), abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 3.0, 1000.0])
def test_a_low_temperature_keeps_the_digits_of_float32(level):
    exact = level + torch.linspace(0, 0.01, 8, dtype=torch.float64)[:, None]
    single = exact.float()
    folded = soft_maximum(single, temperature=1e-3)
    wanted = soft_maximum(single.double(), temperature=1e-3).float()
    assert_close(folded, wanted, rtol=2e-7, atol=1e-9)


def test_several_samples_are_folded_separately():
    losses = torch.tensor([[0.0, 5.0], [1.0, 5.0]])
    assert_close(soft_maximum(losses, temperature=0.0), torch.tensor([1.0, 5.0]))


@pytest.mark.parametrize("temperature", [1e-300, 1e-40, 1.0, 30.0, 1e4, 1e6, 1e12, 1e30, 1e300])
def test_float32_losses_are_folded_right_at_any_temperature(temperature):
    losses = torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-3, 1.0, 5.0, 40.0])
    log_weights = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    for weights in (None, log_weights):
        single = losses.clone().requires_grad_(True)
        got = soft_maximum(single, temperature=temperature, log_weights=weights)
        double = losses.double().requires_grad_(True)
        wide = None if weights is None else weights.double()
        wanted = soft_maximum(double, temperature=min(temperature, 1e15), log_weights=wide)
        # The mean is nearer to the soft maximum than the spread squared over the temperature.
        assert_close(got.double(), wanted, rtol=2e-6, atol=1e-9)
        (gradient,), (expected,) = torch.autograd.grad(got.sum(), single), torch.autograd.grad(wanted.sum(), double)
        assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-6)
        assert_close(weights_of_draws(losses, temperature=temperature, log_weights=weights), gradient)
