import pytest
import torch
from torch import nn

from withstand.data.table import Table
from withstand.data.toy import Toy
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.functional.random import stream
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.settle import settled, within
from withstand.perturbations.speckle import Speckle
from withstand.perturbations.uniform import Uniform
from withstand.perturbations.uniform_noise import UniformNoise

BOX = (0.0, 1.0)


def test_open_boxes_become_those_of_the_data_however_deep_they_lie():
    objective = PerturbedRisk(perturbation=Mixture(parts=(Uniform(ball=Ball("l2", 0.1)), Mixture())))
    outer = within(objective, BOX).perturbation
    assert outer.parts[0].ball == Ball("l2", 0.1, box=BOX)
    assert outer.parts[1].parts == (Identity(), Gaussian(box=BOX))
    evaluation = within(Accuracy(perturbations=(Identity(), Gaussian())), BOX)
    assert evaluation.perturbations == (Identity(), Gaussian(box=BOX))


def test_a_box_that_was_given_stays():
    own = Gaussian(box=(-1.0, 2.0))
    assert within(own, BOX) == own


def test_data_without_bounds_change_nothing():
    mixture = Mixture()
    assert within(mixture, None) is mixture


def test_conditions_do_not_depend_on_the_box():
    for perturbation in (Gaussian(std=0.2), Uniform(ball=Ball("l1", 3.0)), Mixture()):
        assert within(perturbation, BOX).condition == perturbation.condition


def test_radii_per_row_are_refused_where_data_are_cut_into_batches():
    objective = PerturbedRisk(perturbation=Uniform(ball=Ball("linf", ((0.1, 0.2), (0.3, 0.4)))))
    with pytest.raises(InputError, match=r"^Ball: radius must be a number or one per feature where data are cut "):
        settled(objective, Toy().load("test"))


@pytest.mark.parametrize("kind", [Gaussian, UniformNoise, Speckle])
def test_noise_leaves_alone_what_may_not_change(kind, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("size,colour,rooms,y\n" + "".join(f"{k / 7},{'rgb'[k % 3]},{k % 5},{k % 2}\n" for k in range(60)))
    split = Table(path=str(file), target="y").load("train")
    noise = settled(kind(std=0.3), split)
    assert noise.fixed == (1, 2, 3, 4)
    assert noise.condition == kind(std=0.3).condition
    x = split.x + 0.5
    copies = noise.draw(x, split.y, nn.Identity(), num_draws=3, rng=stream(0, "x")).inputs
    assert torch.equal(copies[..., 1:], x[:, 1:].expand(3, -1, -1))
    assert (copies[..., 0] != x[:, 0]).all()
    free = kind(std=0.3).draw(x, split.y, nn.Identity(), num_draws=3, rng=stream(0, "x")).inputs
    assert torch.equal(copies[..., 0], free[..., 0])
