import pytest
import torch
from torch import nn

from withstand.errors import InputError
from withstand.models.affine import affine_layers
from withstand.models.mlp import MLP
from withstand.models.normalize import Normalize
from withstand.models.small_cnn import SmallCNN

SHAPE = (2, 3, 3)


def everything():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(
            Normalize([0.4, 0.6], [0.5, 2.0]),
            nn.Sequential(nn.Flatten(), nn.BatchNorm1d(18), nn.Linear(18, 7), nn.BatchNorm1d(7), nn.ELU(inplace=True)),
            nn.Dropout(0.5),
            nn.Linear(7, 6, bias=False),
            nn.Linear(6, 5),
            nn.Identity(),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Tanh(),
            nn.Linear(5, 4),
            nn.Softplus(),
            nn.Linear(4, 3),
        )
        model.train()(torch.rand(50, *SHAPE))
    return model.eval()


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (everything(), SHAPE),
        (MLP(hidden=(9, 4)).build((5,), 3, seed=0), (5,)),
        (MLP(hidden=(9,)).build((1, 4, 4), 3, seed=0), (1, 4, 4)),
        (MLP(hidden=()).build((1, 4, 4), 3, seed=0), (1, 4, 4)),
        (nn.Sequential(Normalize([0.5], [0.25]), nn.Sigmoid()), (4,)),
    ],
    ids=["everything", "table", "image", "linear", "no-matrix"],
)
def test_the_layers_compute_what_the_model_does_on_inputs_in_their_own_units(model, shape):
    x = torch.randn(20, *shape, generator=torch.Generator().manual_seed(0))
    layers = affine_layers(model, shape, who="Test")
    before = x.clone()
    torch.testing.assert_close(layers.outputs(x.flatten(1).double()).float(), model(x).detach())
    assert torch.equal(x, before)


def test_training_mode_is_read_as_evaluation_mode():
    x = torch.randn(20, *SHAPE, generator=torch.Generator().manual_seed(0))
    wanted = everything()(x).detach()
    layers = affine_layers(everything().train(), SHAPE, who="Test")
    torch.testing.assert_close(layers.outputs(x.flatten(1).double()).float(), wanted)


class Doubled(nn.Linear):
    def forward(self, input):
        return 2 * super().forward(input)


class Skip(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


@pytest.mark.parametrize(
    ("model", "shape", "sentence"),
    [
        (SmallCNN().build((1, 8, 8), 3, seed=0), (1, 8, 8), "got Conv2d."),
        (nn.Sequential(nn.Linear(3, 3), nn.GELU()), (3,), "got GELU."),
        (nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(2)), (3,), "in [0, 1], got LeakyReLU(negative_slope=2)."),
        (nn.Sequential(nn.Linear(3, 3), nn.ELU(1.5)), (3,), "in [0, 1], got ELU(alpha=1.5)."),
        (nn.Sequential(nn.Softplus(threshold=1)), (3,), "at least 20, got Softplus(beta=1.0, threshold=1)."),
        (nn.Sequential(nn.Linear(3, 3)), (2, 3), "got Linear."),
        (nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)), (3,), "got BatchNorm1d."),
        (nn.Sequential(Doubled(3, 3)), (3,), "got Doubled."),
        (Skip(nn.Linear(3, 3)), (3,), "got Skip."),
    ],
)
def test_what_is_no_such_chain_is_refused_in_one_sentence(model, shape, sentence):
    with pytest.raises(InputError) as caught:
        affine_layers(model, shape, who="Lipschitz")
    assert str(caught.value).startswith("Lipschitz: ")
    assert str(caught.value).endswith(sentence)
    assert str(caught.value).count("\n") == 0


def test_weights_that_are_no_numbers_are_refused():
    model = nn.Sequential(nn.Linear(3, 2))
    nn.init.constant_(model[0].bias, float("nan"))
    with pytest.raises(InputError, match="Test: weights must be finite numbers, got NaN"):
        affine_layers(model, (3,), who="Test")
