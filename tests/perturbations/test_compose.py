import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import RowStreams, stream
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.augmentations.mixup import Mixup
from withstand.perturbations.augmentations.smoothed_by_damage import SmoothedByDamage
from withstand.perturbations.ball import Ball
from withstand.perturbations.compose import Compose
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixing import mixes
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.speckle import Speckle

BALL = Ball(norm="linf", radius=0.05, unit="std")
SPACE = Space(shape=(3, 8, 8), box=(0.0, 1.0), num_classes=3)
X = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(5) % 3
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))


def draw(perturbation, x=X, num_draws=2, rng=None):
    return perturbation.draw(x, Y, MODEL, space=SPACE, num_draws=num_draws, rng=rng or stream(0, "compose"))


def test_the_second_part_changes_each_copy_of_the_first_with_new_numbers():
    rng = stream(0, "compose")
    speckled = draw(Speckle(std=0.3), rng=rng).inputs
    expected = [draw(Gaussian(std=0.1), copy, 1, rng).inputs[0] for copy in speckled]
    found = draw(Compose(parts=(Speckle(std=0.3), Gaussian(std=0.1)))).inputs
    assert torch.equal(found, torch.stack(expected))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("parts", [(Identity(), Gaussian(std=0.1)), (Gaussian(std=0.1), Identity())])
def test_the_identity_changes_nothing(parts):
    assert torch.equal(draw(Compose(parts=parts), num_draws=1).inputs, draw(Gaussian(std=0.1), num_draws=1).inputs)


def test_a_ball_that_comes_second_lies_around_the_changed_input():
    noise = Gaussian(std=0.2)
    found, centre = draw(Compose(parts=(noise, PGD(ball=BALL)))).inputs, draw(noise).inputs
    assert 0 < (found - centre).abs().max() <= 0.05 + 1e-6
    assert (found - X).abs().max() > 0.05


@pytest.mark.parametrize("parts", [(Mixup(), Gaussian()), (Gaussian(), Mixup())])
def test_labels_of_one_part_are_kept(parts):
    targets = draw(Compose(parts=parts)).targets
    assert targets is not None
    assert targets.shape == (2, 5, 3)
    assert torch.allclose(targets.sum(2), torch.ones(2, 5))
    assert ((targets > 0).sum(2) == 2).any()
    assert mixes(Compose(parts=parts))


def test_two_parts_that_change_labels_are_refused():
    with pytest.raises(InputError, match="labels"):
        draw(Compose(parts=(Mixup(), SmoothedByDamage())))


def test_weights_of_the_parts_are_multiplied():
    part, rng = Tilted(ball=BALL), stream(0, "compose")
    first = draw(part, rng=rng)
    others = [draw(part, copy, 1, rng).log_weights for copy in first.inputs]
    found = draw(Compose(parts=(part, part))).log_weights
    assert torch.equal(found, first.log_weights + torch.cat(others))
    noisy = draw(Compose(parts=(part, Gaussian()))).log_weights
    assert torch.equal(noisy, first.log_weights)


@pytest.mark.parametrize("part", [SmoothedByDamage(), Tilted(ball=BALL)])
def test_a_mixture_may_change_labels_or_weights_of_some_copies_only(part):
    halves = Compose(parts=(Identity(), Mixture(parts=(Identity(), part))))
    alone, counts = X[:1], set()
    for row in range(8):
        found = halves.draw(alone, Y[:1], MODEL, space=SPACE, num_draws=2, rng=RowStreams(0, torch.tensor([row])))
        changed = (found.inputs != alone).flatten(1).any(1)
        counts.add(int(changed.sum()))
        if found.targets is not None:
            assert found.targets.shape == (2, 1, 3)
            assert (found.targets[~changed, 0, 0] == 1).all()
            assert (found.targets[changed, 0, 0] < 1).all()
        if found.log_weights is not None:
            assert found.log_weights.shape == (2, 1)
            assert (found.log_weights[~changed] == 0).all()
    assert counts == {0, 1, 2}
