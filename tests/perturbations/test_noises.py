import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.functional.random import RowStreams, stream
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.speckle import Speckle
from withstand.perturbations.uniform import Uniform
from withstand.perturbations.uniform_noise import UniformNoise

NOISES = (Gaussian, Speckle, UniformNoise)
every_noise = pytest.mark.parametrize("noise", NOISES, ids=lambda cls: cls.__name__)


def draw(perturbation, x, num_draws=1, rng=None, box=None):
    y, rng = torch.zeros(len(x), dtype=torch.long), rng or stream(0, "noise")
    return perturbation.draw(x, y, nn.Identity(), space=Space.like(x, box=box), num_draws=num_draws, rng=rng).inputs


@every_noise
def test_noise_has_the_mean_and_the_std_it_says(noise):
    x = torch.full((100, 20), 2.0)
    added = draw(noise(std=0.3), x, num_draws=20) - x
    std = 0.6 if noise is Speckle else 0.3
    assert added.std().item() == pytest.approx(std, rel=0.02)
    assert added.mean().item() == pytest.approx(0, abs=0.015)


def test_gaussian_noise_is_gaussian_and_uniform_noise_is_bounded():
    zeros = torch.zeros(200, 100)
    gaussian, uniform = draw(Gaussian(std=1.0), zeros), draw(UniformNoise(std=1.0), zeros)
    assert (gaussian.abs() < 1).float().mean().item() == pytest.approx(0.6827, abs=0.01)
    assert (gaussian**4).mean().item() == pytest.approx(3, rel=0.1)
    assert uniform.abs().max().item() <= 3**0.5
    assert (uniform**4).mean().item() == pytest.approx(9 / 5, rel=0.05)


def test_speckle_noise_leaves_black_black():
    assert not draw(Speckle(), torch.zeros(4, 5)).any()


@every_noise
@pytest.mark.parametrize("source", ["one", "rows"])
def test_several_stds_occur_equally_often_one_per_sample_and_draw(noise, source):
    x = torch.ones(600, 40)
    rng = stream(0, "x") if source == "one" else RowStreams(0, torch.arange(600))
    drawn = draw(noise(std=(0.001, 0.1, 10.0)), x, num_draws=2, rng=rng)
    measured = (drawn - x).std(2)
    counts = torch.stack([measured < 0.01, (measured > 0.01) & (measured < 1), measured > 1]).sum((1, 2))
    assert counts.sum().item() == 1200
    assert counts.tolist() == pytest.approx([400] * 3, rel=0.15)
    # The draws of a sample choose each for themselves.
    assert (measured[0] / measured[1]).log().abs().gt(2).float().mean().item() == pytest.approx(2 / 3, abs=0.1)


@every_noise
def test_noise_is_cut_to_its_box(noise):
    x = torch.rand(50, 20, generator=torch.Generator().manual_seed(0))
    drawn = draw(noise(std=5.0), x, num_draws=2, box=(0.0, 1.0))
    assert drawn.min().item() == 0
    assert drawn.max().item() == 1


@every_noise
def test_noise_leaves_fixed_features_unchanged_and_the_others_as_if_all_moved(noise, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("size,colour,rooms,y\n" + "".join(f"{k / 7},{'rgb'[k % 3]},{k % 5},{k % 2}\n" for k in range(60)))
    split = Table(path=str(file), target="y").load("train")
    assert split.space.fixed == (1, 2, 3, 4)
    x, options = split.x + 0.5, {"num_draws": 3, "rng": stream(0, "x")}
    copies = noise(std=0.3).draw(x, split.y, nn.Identity(), space=split.space, **options).inputs
    assert torch.equal(copies[..., 1:], x[:, 1:].expand(3, -1, -1))
    assert (copies[..., 0] != x[:, 0]).all()
    assert torch.equal(copies[..., 0], draw(noise(std=0.3), x, num_draws=3, rng=stream(0, "x"))[..., 0])


@every_noise
def test_no_noise_leaves_the_input(noise):
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(noise(std=0.0), x)[0], x)


@every_noise
@pytest.mark.parametrize("std", [-0.1, (), (0.1, -1.0), float("nan"), (float("inf"),)])
def test_a_std_that_is_no_size_is_refused(noise, std):
    with pytest.raises(InputError, match=rf"^{noise.__name__}: std(\[\d\])? must be .+, got "):
        noise(std=std)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_uniform_draws_stay_in_the_declared_ball(norm):
    x = torch.rand(30, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ball, space = Ball(norm, 0.5), Space.like(x, box=(0.0, 1.0))
    drawn = draw(Uniform(ball=ball), x, num_draws=3, box=space.box)
    for each in drawn:
        assert ball.distance(x, each, space=space).max().item() <= 1 + 1e-5
        assert ball.distance(x, each, space=space).max().item() > 0.5
        assert each.min() >= 0
        assert each.max() <= 1


def test_the_identity_returns_the_input_as_often_as_asked():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    drawn = draw(Identity(), x, num_draws=3)
    assert drawn.shape == (3, 3, 4)
    assert all(torch.equal(each, x) for each in drawn)


def test_conditions_name_every_field():
    assert Identity().condition == "clean"
    assert Gaussian().condition == "Gaussian std=0.5"
    assert Gaussian(std=0.25).condition == "Gaussian std=0.25"
    assert Gaussian(std=(0.1, 0.2)).condition == "Gaussian std=[0.1, 0.2]"
    assert Uniform(ball=Ball("l2", 0.5)).condition == "l2 0.5, Uniform"
    assert PGD(ball=Ball("linf", 8 / 255), reach=1.0).condition == "linf 0.0313725, PGD-10 reach=1"
    mixed = Mixture(parts=(Gaussian(), Uniform(ball=Ball("l1", (0.5, 1.0), unit="iqr"))))
    assert mixed.condition == "Mixture parts=[Gaussian std=0.5, (l1 [0.5 1] iqr, Uniform)]"


def test_random_numbers_are_named_by_every_field_whatever_a_condition_shows():
    # A change of these names changes the draws of every evaluation.
    ball = "ball=Ball norm=linf radius=0.5 unit=std"
    assert Gaussian(std=0.25).noise == "Gaussian std=0.25"
    assert PGD(ball=Ball("linf", 0.5)).noise == f"PGD {ball} steps=10 reach=2.5 until_wrong=False loss=cross_entropy"
    assert (
        Mixture(parts=(Identity(), Uniform(ball=Ball("linf", 0.5)))).noise
        == f"Mixture parts=[Identity, Uniform {ball}]"
    )
