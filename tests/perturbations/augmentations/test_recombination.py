"""APR and HybridAugment."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

import withstand as ws
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import stream, uniform
from withstand.perturbations.augmentations import apr, hybrid_augment
from withstand.perturbations.augmentations.apr import APR
from withstand.perturbations.augmentations.hybrid_augment import HybridAugment
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixing import mixes
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

REVERSED = torch.arange(6).flip(0)


def images(count=6, size=8):
    x = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))
    return x.mul(255).round().div(255)


def draw(perturbation, x, num_draws=1):
    y, space = torch.zeros(len(x), dtype=torch.long), Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=num_draws, rng=stream(0, "x"))


def by_numpy(phases, amplitudes):
    spectra = [np.fft.fftn(each.double().numpy(), axes=(1, 2, 3)) for each in (phases, amplitudes)]
    return np.fft.ifftn(np.abs(spectra[1]) * np.exp(1j * np.angle(spectra[0])), axes=(1, 2, 3)).real


def low(x):
    return v2.GaussianBlur(3, 0.5)(x)


@pytest.fixture
def partners_are_reversed(monkeypatch):
    for module in (apr, hybrid_augment):
        monkeypatch.setattr(module, "partners", lambda batch, **_: torch.arange(batch).flip(0))


@pytest.fixture
def operations_are_known(monkeypatch):
    """Every operation inverts: applied twice, it gives the image again."""

    def invert(levels, numbers, **_):
        return 255 - levels

    monkeypatch.setattr(apr, "random_operation", invert)


@pytest.mark.usefixtures("partners_are_reversed")
def test_paired_recombination_takes_the_amplitudes_of_the_partner():
    x = images()
    copies = draw(APR(probability=1.0), x).inputs[0]
    assert copies.numpy() == pytest.approx(by_numpy(x, x[REVERSED]).clip(0, 1), abs=1e-5)
    assert draw(APR(probability=1.0), x).targets is None


@pytest.mark.usefixtures("partners_are_reversed")
def test_paired_hybrids_have_the_high_frequencies_of_the_partner():
    x = images()
    high = (x - low(x))[REVERSED]
    plain = draw(HybridAugment(plus=False, probability=1.0), x).inputs[0]
    assert plain.numpy() == pytest.approx((low(x) + high).clamp(0, 1).numpy(), abs=1e-5)
    plus = draw(HybridAugment(probability=1.0), x).inputs[0]
    assert plus.numpy() == pytest.approx((by_numpy(low(x), low(x)[REVERSED]) + high.numpy()).clip(0, 1), abs=1e-5)


@pytest.mark.usefixtures("operations_are_known")
def test_single_recombination_takes_phases_of_one_and_amplitudes_of_the_other():
    x = images(20)
    copies = draw(APR(variant="single", probability=1.0), x).inputs[0].numpy()
    takes = (uniform((20, apr.NUMBERS), rng=stream(0, "x"))[:, 7] < 0.5).numpy()
    assert 0 < takes.sum() < 20
    expected = np.where(takes[:, None, None, None], by_numpy(x, 1 - x), by_numpy(1 - x, x))
    assert copies == pytest.approx(expected.clip(0, 1), abs=1e-5)


@pytest.mark.usefixtures("operations_are_known")
def test_single_hybrids_join_the_image_after_one_and_after_two_operations():
    x = images(20)
    copies = draw(HybridAugment(variant="single", plus=False, probability=1.0), x).inputs[0]
    numbers = uniform((20, 2 * apr.NUMBERS), rng=stream(0, "x"))
    first = (numbers[:, 7] < 0.5)[:, None, None, None]
    joined = torch.where(first, low(1 - x) + x - low(x), low(x) + (1 - x) - low(1 - x))
    assert copies.numpy() == pytest.approx(joined.clamp(0, 1).numpy(), abs=1e-5)


@pytest.mark.usefixtures("operations_are_known")
def test_plus_recombines_the_low_frequencies_only():
    x = images(20)
    options = {"variant": "single", "probability": 1.0}
    numbers = uniform((20, 2 * apr.NUMBERS), rng=stream(0, "x"))
    gives_low = torch.where((numbers[:, 7] < 0.5)[:, None, None, None], 1 - x, x)
    lows = apr.with_own_amplitudes(low(gives_low), numbers[:, apr.NUMBERS :], 1.0, severity=3.0)
    high = (1 - gives_low) - low(1 - gives_low)
    copies = draw(HybridAugment(**options), x).inputs[0]
    assert copies.numpy() == pytest.approx((lows + high).clamp(0, 1).numpy(), abs=1e-5)


@pytest.mark.parametrize("cls", [APR, HybridAugment])
def test_changes_are_as_frequent_as_published(cls):
    x = images(400, 4)
    changed = (draw(cls(), x).inputs[0] - x).abs().amax((1, 2, 3)) > 1e-4
    assert changed.float().mean().item() == pytest.approx(0.6, abs=0.07)
    never = cls(variant="single", probability=0.0)
    assert ((draw(never, x).inputs * 255).round() / 255 - draw(never, x).inputs).abs().max() < 1e-6


def test_what_mixes_samples_says_so_also_within_others():
    held = Mixture(parts=(Identity(), SavedAsJpeg(perturbation=HybridAugment())))
    assert [mixes(each) for each in (APR(), APR(variant="single"), held, Mixture())] == [True, False, True, False]


@pytest.mark.parametrize("perturbation", [APR(), Mixture(parts=(Identity(), HybridAugment()))], ids=str)
def test_what_mixes_samples_is_refused_outside_of_training(perturbation):
    split = ws.Digits().load("test")
    model = nn.Sequential(nn.Flatten(), nn.Linear(split.x[0].numel(), 10))
    for on in (perturbation, ws.Calibration(perturbations=(perturbation,)), ws.Recall(perturbation=perturbation)):
        with pytest.raises(InputError, match=r"(APR|HybridAugment).*use it in training"):
            ws.evaluate(model, ws.Digits(), on=on)
    with pytest.raises(InputError, match="use it in training"):
        perturbation(torch.rand(3, 8, 8))


def test_the_command_line_refuses_what_mixes_samples():
    from withstand.measuring.question import Question

    with pytest.raises(InputError, match="use it in training"):
        Question.of(ws.Digits(), "APR")
    Question.of(ws.Digits(), "{class_path: APR, init_args: {variant: single}}")
