import pytest
import torch

from withstand.errors import InputError
from withstand.models.mlp import MLP
from withstand.models.normalize import Normalize
from withstand.models.small_cnn import SmallCNN
from withstand.models.vision import Vision, known_names, load_matching
from withstand.models.wide_resnet import WideResNet

needs_vision = pytest.mark.skipif(not known_names(), reason="torchvision is not installed")


def refused(make):
    with pytest.raises(InputError) as caught:
        make()
    return str(caught.value)


def test_normalising_subtracts_the_mean_and_divides_by_the_std_of_each_channel():
    layer = Normalize([0.5, 0.25], [0.5, 2.0])
    x = torch.tensor([[[[1.0]], [[0.25]]]])
    assert layer(x).flatten().tolist() == [1.0, 0.0]
    assert Normalize([1.0], [2.0])(torch.tensor([[3.0, 5.0]])).tolist() == [[1.0, 2.0]]


def test_one_channel_is_spread_over_three():
    assert Normalize([0.0, 0.5, 1.0], [1.0] * 3)(torch.ones(2, 1, 4, 4))[0, :, 0, 0].tolist() == [
        1.0,
        0.5,
        0.0,
    ]


def test_an_mlp_has_the_layers_it_was_given():
    network = MLP(hidden=(7, 3)).build((10,), 4, seed=0)
    assert [tuple(each.shape) for each in network.parameters() if each.ndim > 1] == [(7, 10), (3, 7), (4, 3)]
    assert len(list(MLP(hidden=()).build((1, 4, 4), 2, seed=0).parameters())) == 2


def test_tables_are_not_normalised_and_images_are_centred():
    x = torch.tensor([[2.0, -1.0]])
    assert torch.equal(MLP().build((2,), 2, seed=0).normalize(x), x)
    image = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    assert MLP().build((1, 1, 2), 2, seed=0).normalize(image).flatten().tolist() == [-1.0, 1.0]


def test_a_small_cnn_takes_images_of_any_size_from_8_pixels():
    network = SmallCNN(width=2).build((3, 8, 8), 4, seed=0)
    with torch.no_grad():
        for side in (8, 13, 64):
            assert network(torch.zeros(1, 3, side, side)).shape == (1, 4)


def test_inputs_that_a_network_cannot_take_are_refused():
    assert refused(lambda: SmallCNN().build((12,), 3, seed=0)) == (
        "SmallCNN: inputs must be images (channel, height, width) of at least 8 x 8 pixels, got shape (12,)."
    )
    assert "at least 8 x 8 pixels" in refused(lambda: SmallCNN().build((3, 8, 7), 3, seed=0))
    assert refused(lambda: MLP(hidden=(4, 0))) == "MLP: hidden[1] must be at least 1, got 0."
    assert refused(lambda: SmallCNN(width=0)) == "SmallCNN: width must be at least 1, got 0."


@needs_vision
def test_a_vision_network_refuses_what_it_cannot_take():
    assert refused(lambda: Vision(name="resnet18").build((5, 32, 32), 3, seed=0)) == (
        "resnet18: images must have 1 or 3 channels, got 5."
    )
    assert refused(lambda: Vision(name="alexnet").build((3, 16, 16), 3, seed=0)).startswith(
        "alexnet: cannot take images of 16 x 16 pixels ("
    )


@needs_vision
def test_an_unknown_vision_network_names_the_nearest():
    sentence = refused(lambda: Vision(name="resnet19").build((3, 32, 32), 3, seed=0))
    assert sentence.startswith("model: resnet19 is not a network of withstand or torchvision; did you mean resnet1")
    assert sentence.count("model:") == 1


@needs_vision
def test_probing_a_network_leaves_its_statistics_alone():
    state = Vision(name="resnet18").build((3, 32, 32), 3, seed=0).state_dict()
    assert all(not each.any() for name, each in state.items() if name.endswith(("num_batches", "running_mean")))


def test_of_another_files_weights_only_the_fitting_are_loaded():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    state = {
        "0.weight": torch.ones(3, 2),
        "0.bias": torch.ones(3),
        "1.weight": torch.ones(9, 3),
        "old": torch.ones(1),
    }
    assert sorted(load_matching(network, state)) == ["1.bias", "1.weight"]
    assert network[0].weight.eq(1).all()
    assert not network[1].weight.eq(1).any()


@pytest.mark.parametrize(("depth", "width", "millions"), [(16, 1, 0.175), (28, 10, 36.5), (40, 2, 2.24)])
def test_wide_residual_networks_have_as_many_weights_as_published(depth, width, millions):
    with torch.device("meta"):
        _, network = WideResNet(depth=depth, width=width).make((3, 32, 32), 10)
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)


def test_wide_residual_networks_halve_the_image_twice_and_start_with_the_identity_path_open():
    network = WideResNet(depth=16, width=2).build((3, 32, 32), 10, seed=0).network
    x, sizes = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0)), []
    for layer in network:
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    assert [(32, 32, 32), (64, 16, 16), (128, 8, 8)] == list(dict.fromkeys(sizes))[1:4]
    assert "depth must be" in refused(lambda: WideResNet(depth=18))
