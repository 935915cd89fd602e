"""Mixup, CutMix and SmoothedByDamage: their targets belong to their copies."""

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

import withstand as ws
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import RowStreams, stream
from withstand.perturbations.augmentations.cut_mix import CutMix
from withstand.perturbations.augmentations.mixup import Mixup
from withstand.perturbations.augmentations.smoothed_by_damage import SmoothedByDamage
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture

CLASSES = 5


def draw(perturbation, x, y, num_draws=1, rng=None):
    space = Space(shape=tuple(x.shape[1:]), box=(0.0, 1.0), num_classes=CLASSES)
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=num_draws, rng=rng or stream(0, "x"))


def flat(count, size=8):
    """Return images of one grey value each, label / 4, so that a copy shows its shares."""
    y = torch.arange(count) % CLASSES
    return (y / 4)[:, None, None, None].expand(-1, 3, size, size).contiguous(), y


@pytest.mark.parametrize("perturbation", [Mixup(), Mixup(alpha=0.2), CutMix(probability=1.0)], ids=str)
@pytest.mark.parametrize("source", ["one", "rows"])
def test_targets_are_the_shares_of_the_images_in_the_copy(perturbation, source):
    x, y = flat(200)
    rng = stream(0, "x") if source == "one" else RowStreams(0, torch.arange(200))
    draws = draw(perturbation, x, y, num_draws=2, rng=rng)
    value = (draws.targets * torch.arange(CLASSES) / 4).sum(2)
    assert torch.allclose(draws.inputs.mean((2, 3, 4)), value, atol=1e-5)
    own = draws.targets.gather(2, y.expand(2, -1)[..., None])[..., 0]
    assert ((draws.targets > 0).sum(2) <= 2).all()
    assert ((own - 0.6).abs() < 0.2).any()


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_shares_of_mixup_are_beta_numbers(alpha):
    x = torch.zeros(4000, 3, 2, 2)
    _, share = Mixup(alpha=alpha).mix(x, x, rng=stream(0, "x"))
    assert share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


def test_cut_mix_pastes_rectangles_whose_area_is_uniform_before_borders_cut_them():
    x, others = torch.zeros(4000, 1, 32, 16), torch.ones(4000, 1, 32, 16)
    mixed, share = CutMix(probability=1.0).mix(x, others, rng=stream(0, "x"))
    pasted = mixed[:, 0] == 1
    rows, columns = pasted.any(2), pasted.any(1)
    assert torch.equal(pasted, rows[:, :, None] & columns[:, None, :])
    assert torch.allclose(share, 1 - pasted.float().mean((1, 2)))
    whole = ~(pasted[:, 0].any(1) | pasted[:, -1].any(1) | pasted[:, :, 0].any(1) | pasted[:, :, -1].any(1))
    ratio = rows.sum(1)[whole].float() / columns.sum(1)[whole].clamp(min=1)
    assert ratio.median().item() == pytest.approx(2, rel=0.2)
    # E of the share of a side that is inside: for a side of length a of 1 with uniform centre, a - a^2 / 4.
    assert (1 - share).mean().item() == pytest.approx(0.31, abs=0.03)


def test_cut_mix_changes_as_many_images_as_it_says():
    x, y = flat(2000, size=4)
    targets = draw(CutMix(probability=0.25), x, y).targets[0]
    assert (targets.amax(1) < 1).float().mean().item() < 0.25
    never = draw(CutMix(probability=0.0), x, y)
    assert torch.equal(never.inputs[0], x)
    assert torch.equal(never.targets[0], one_hot(y, CLASSES).float())


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_labels_are_smoothed_by_the_share_of_noise(power):
    x, y = torch.full((6, 3, 40, 40), 0.5), torch.arange(6) % CLASSES
    draws = draw(SmoothedByDamage(perturbation=Gaussian(std=0.1), data_std=0.2, power=power), x, y, num_draws=2)
    gamma = (0.1**2 / (0.1**2 + 0.2**2)) ** power
    expected = (1 - gamma) * one_hot(y, CLASSES) + gamma / CLASSES
    assert torch.allclose(draws.targets, expected.expand(2, -1, -1), atol=0.02)
    assert torch.equal(draws.inputs, draw(Gaussian(std=0.1), x, y, num_draws=2).inputs)


def test_unchanged_copies_keep_their_labels_and_mixed_labels_are_smoothed_further():
    x, y = flat(10)
    assert torch.equal(draw(SmoothedByDamage(perturbation=Identity()), x, y).targets[0], one_hot(y, CLASSES).float())
    mixed, smoothed = draw(Mixup(), x, y), draw(SmoothedByDamage(perturbation=Mixup()), x, y)
    assert torch.equal(mixed.inputs, smoothed.inputs)
    assert (smoothed.targets.amax(2) <= mixed.targets.amax(2)).all()


@pytest.mark.parametrize(("data_std", "share"), [(5e-324, 1.0), (1e-40, 1.0), (1e200, 0.0)])
def test_standard_deviations_beyond_float32_give_limits_of_the_smoothing(data_std, share):
    x, y = torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 1])
    parts = (Identity(), Gaussian(std=0.1))
    for perturbation, own in zip(parts, (0.0, share), strict=True):
        found = draw(SmoothedByDamage(perturbation=perturbation, data_std=data_std), x, y).targets
        torch.testing.assert_close(found[0], one_hot(y, CLASSES) * (1 - own) + own / CLASSES)


@pytest.mark.parametrize("perturbation", [Mixup(), CutMix(), SmoothedByDamage()], ids=lambda each: each.condition[:9])
@pytest.mark.parametrize("count", [None, 1])
def test_data_without_classes_is_refused(perturbation, count):
    space = Space(shape=(3, 8, 8), box=(0.0, 1.0), num_classes=count)
    with pytest.raises(InputError, match=rf"^{type(perturbation).__name__}: expected data with at least 2 classes"):
        perturbation.check(space)


def test_data_sets_say_how_many_classes_they_have():
    split = ws.Digits().load("test")
    assert split.space.num_classes == len(split.classes) == 10
    ws.Mixup().check(split.space)


@pytest.mark.parametrize("perturbation", [Mixup(), CutMix(), SmoothedByDamage(), Mixture(parts=(Identity(), Mixup()))])
def test_training_on_mixed_labels_learns(perturbation):
    model = ws.SmallCNN(width=2).build((3, 32, 32), 10, seed=0)
    before = [each.clone() for each in model.parameters()]
    ws.fit(model, ws.Digits(), objective=ws.PerturbedRisk(perturbation=perturbation), epochs=1, batch_size=256)
    assert all(each.isfinite().all() for each in model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
