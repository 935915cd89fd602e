"""What every model promises."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from withstand.configuration import discover
from withstand.models.base import Model
from withstand.models.normalize import Normalize

EXAMPLES = [
    pytest.param((example, shape), id=f"{cls.__name__}-{number}")
    for cls in discover(Model)
    for number, (example, shape) in enumerate(cls.examples())
]


@pytest.fixture(scope="module", params=EXAMPLES)
def built(request):
    """A network with five classes, in evaluation mode, and eight inputs."""
    example, shape = request.param
    x = torch.rand((8, *shape), generator=torch.Generator().manual_seed(0))
    return example, shape, example.build(shape, 5, seed=3).eval(), x


def test_it_maps_inputs_to_one_finite_logit_per_class(built):
    _, _, network, x = built
    with torch.no_grad():
        logits = network(x)
    assert logits.shape == (8, 5)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_building_decides_the_weights_by_its_seed_alone(built, untouched_generators):
    example, shape, network, _ = built
    state = network.state_dict()
    torch.rand(3)
    with untouched_generators():
        again = example.build(shape, 5, seed=3).state_dict()
    assert all(torch.equal(each, again[name]) for name, each in state.items())
    other = example.build(shape, 5, seed=4).state_dict()
    assert any(not torch.equal(each, other[name]) for name, each in state.items())


def test_it_comes_ready_for_training(built):
    example, shape, _, x = built
    network = example.build(shape, 5, seed=0)
    assert all(each.training for each in network.modules())
    assert all(each.requires_grad and each.grad is None for each in network.parameters())
    network(x).sum().backward()
    assert all(each.grad is not None for each in network.parameters())


def test_its_first_layer_normalises_and_has_nothing_to_train(built):
    _, _, network, x = built
    assert [name for name, _ in network.named_children()] == ["normalize", "network"]
    first = network.normalize
    assert isinstance(first, Normalize)
    assert not list(first.parameters())
    assert [name for name, _ in first.named_buffers()] == ["mean", "std"]
    assert first(x).shape[2:] == x.shape[2:]


def test_in_evaluation_a_row_does_not_depend_on_its_neighbours(built):
    _, _, network, x = built
    with torch.no_grad():
        whole, some = network(x), network(x[[5, 2]])
    torch.testing.assert_close(some, whole[[5, 2]], rtol=1e-5, atol=1e-5)


def test_weights_travel_through_safetensors(built, tmp_path):
    example, shape, network, x = built
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, tmp_path / "w.safetensors")
    other = example.build(shape, 5, seed=9).eval()
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    with torch.no_grad():
        assert torch.equal(other(x), network(x))


def test_the_number_of_classes_is_free(built):
    example, shape, _, x = built
    with torch.no_grad():
        assert example.build(shape, 2, seed=0).eval()(x[:2]).shape == (2, 2)
