import pytest

from withstand.data.toy import Toy
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.settle import settled, within
from withstand.perturbations.uniform import Uniform

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
