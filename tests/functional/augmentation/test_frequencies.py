import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from withstand.functional.augmentation.frequencies import low_pass, plane_waves, recombined
from withstand.functional.augmentation.partners import partners
from withstand.functional.random import BatchStream, RowStreams, TrialStreams, stream


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 7, 5), (3, 6, 9)], ids=str)
def test_recombined_images_equal_those_by_numpy(shape):
    phases, amplitudes = rand(4, *shape), rand(4, *shape, seed=1)
    for one, two, ours in zip(phases.numpy(), amplitudes.numpy(), recombined(phases, amplitudes).numpy(), strict=True):
        spectrum = np.abs(np.fft.fftn(two)) * np.exp(1j * np.angle(np.fft.fftn(one)))
        assert ours == pytest.approx(np.fft.ifftn(spectrum).real, abs=1e-5)


def test_an_image_without_frequencies_has_phase_zero():
    black, other = torch.zeros(1, 1, 4, 4), rand(1, 1, 4, 4)
    expected = np.fft.ifftn(np.abs(np.fft.fftn(other[0].numpy()))).real
    assert recombined(black, other)[0].numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("std", "radius"), [(0.5, 1), (1.0, 1), (1.5, 3)])
def test_low_frequencies_equal_torchvision(std, radius):
    x = rand(3, 3, 9, 6)
    assert torch.allclose(low_pass(x, std=std, radius=radius), v2.GaussianBlur(2 * radius + 1, std)(x), atol=1e-6)


def test_narrow_images_have_low_frequencies_too():
    assert torch.allclose(low_pass(torch.ones(1, 1, 1, 2), std=2.0, radius=3), torch.ones(1, 1, 1, 2))


def test_partners_are_permutations_that_change_with_the_seed():
    drawn = [partners(50, rng=stream(seed, "x")) for seed in range(3)]
    assert all(sorted(each.tolist()) == list(range(50)) for each in drawn)
    assert not torch.equal(drawn[0], drawn[1])
    assert sorted(partners(5, rng=RowStreams(0, torch.arange(5))).tolist()) == list(range(5))


def test_partners_stay_in_their_process_and_in_their_trial():
    shared = BatchStream(lambda: stream(0, "x"), start=3, stop=9, total=20)
    assert sorted(partners(6, rng=shared).tolist()) == list(range(6))
    makes = [lambda seed=seed: stream(seed, "x") for seed in range(3)]
    stacked = partners(12, rng=TrialStreams(makes))
    assert (stacked % 3).tolist() == [0, 1, 2] * 4
    for trial, make in enumerate(makes):
        assert torch.equal(stacked[trial::3] // 3, partners(4, rng=make()))


def test_plane_waves_equal_their_formula_and_have_norm_one():
    frequency, angle = rand(3, 2), -np.pi * rand(3, 2, seed=1)
    waves = plane_waves(frequency, angle, 6, 9)
    rows, columns = np.linspace(-3, 3, 6)[:, None], np.linspace(-4.5, 4.5, 9)
    for image in range(3):
        for channel in range(2):
            f, t = frequency[image, channel].item(), angle[image, channel].item()
            wave = np.sin(2 * np.pi * f * (rows * np.cos(t) + columns * np.sin(t)) - np.pi / 4)
            assert waves[image, channel].numpy() == pytest.approx(wave / np.linalg.norm(wave), abs=1e-5)


def test_a_standard_deviation_below_float32_blurs_nothing():
    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(low_pass(x, std=5e-324, radius=1), x)
