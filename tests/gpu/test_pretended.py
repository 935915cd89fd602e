"""The pretended device finds what a GPU would refuse."""

import pytest
import torch

from withstand.functional.random import stream, uniform

pytestmark = pytest.mark.parametrize("place", ["pretended"], indirect=True)


def test_tensors_of_two_devices_do_not_mix(place):
    there, here = torch.zeros(2, 2, device=place.device), torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="aten::add: expected all tensors on one device"):
        there + here
    with pytest.raises(RuntimeError, match="aten::index: "):
        here[torch.tensor([0], device=place.device)]
    with pytest.raises(RuntimeError, match="numpy"):
        there.numpy()
    assert torch.equal(place.values(there + 1 + torch.tensor(2.0)), torch.full((2, 2), 3.0))
    with pytest.raises(AssertionError, match="expected a tensor on meta"):
        place.values(here)


def test_values_and_gradients_are_those_of_the_cpu(place):
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=place.device, requires_grad=True)
    (x.square() @ x.new_tensor([1.0, 0.0])).sum().backward()
    assert x.grad is not None
    assert torch.equal(place.values(x.grad), torch.tensor([[2.0, 0.0], [6.0, 0.0]]))
    y = x.detach().clone()
    y[:, [1]] = 5
    y[y < 2] = 0
    assert y.tolist() == [[0.0, 5.0], [3.0, 5.0]]
    with place.equal_draws():
        there = uniform((3, 2), rng=stream(0, "x", device=place.device))
    assert torch.equal(place.values(there), uniform((3, 2), rng=stream(0, "x")))


def test_copies_and_numbers_that_are_read_are_counted(place, host_reads):
    x = torch.ones(3, device=place.device)
    x.cpu()
    x.sum().item()
    bool(x[0] > 0)
    assert host_reads == {"aten::_to_copy": 1, "number": 2}
