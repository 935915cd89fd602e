"""What the corruptions of C-bar keep, over all of them: sizes, independence, and the law of their draws."""

from math import pi

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import integers, row_streams, stream
from withstand.perturbations.corruptions.c_bar.brownish_noise import BrownishNoise
from withstand.perturbations.corruptions.c_bar.caustic_refraction import CausticRefraction
from withstand.perturbations.corruptions.c_bar.checkerboard_cutout import CheckerboardCutout
from withstand.perturbations.corruptions.c_bar.circular_motion_blur import CircularMotionBlur
from withstand.perturbations.corruptions.c_bar.cocentric_sine_waves import CocentricSineWaves
from withstand.perturbations.corruptions.c_bar.inverse_sparkles import InverseSparkles
from withstand.perturbations.corruptions.c_bar.lines import Lines
from withstand.perturbations.corruptions.c_bar.perlin_noise import PerlinNoise
from withstand.perturbations.corruptions.c_bar.pinch_and_twirl import PinchAndTwirl
from withstand.perturbations.corruptions.c_bar.plasma_noise import PlasmaNoise
from withstand.perturbations.corruptions.c_bar.ripple import Ripple
from withstand.perturbations.corruptions.c_bar.single_frequency_greyscale import SingleFrequencyGreyscale
from withstand.perturbations.corruptions.c_bar.sparkles import Sparkles
from withstand.perturbations.corruptions.c_bar.transverse_chromatic_abberation import TransverseChromaticAbberation
from withstand.perturbations.corruptions.suites import CIFAR10_C_BAR, IMAGENET_C_BAR

MEMBERS = tuple(dict.fromkeys((*IMAGENET_C_BAR, *CIFAR10_C_BAR)))
every_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.published_name())


def photos(*shape: int) -> Tensor:
    return integers(shape, 0, 256, rng=stream(0, "photos")).float() / 255


def drawn(corruption, x, rng) -> Tensor:
    y = torch.zeros(len(x), dtype=torch.long)
    return corruption.draw(x, y, nn.Identity(), space=Space.like(x), num_draws=1, rng=rng).inputs[0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 37), (33, 21), (5, 3), (1, 2), (1, 1)], ids=str)
@every_member
def test_images_of_any_size_stay_on_the_grid_of_8_bits(member, size, channels):
    x = photos(3, channels, *size)
    for severity in (1, 5):
        copies = drawn(member(severity=severity, pixels=min(member.tables)), x, stream(0, "noise"))
        assert copies.shape == x.shape
        assert copies.min() >= 0
        assert copies.max() <= 1
        assert torch.equal(copies, (copies * 255).round() / 255)


@pytest.mark.parametrize("side", [32, 96])
@every_member
def test_with_a_source_per_row_a_row_does_not_depend_on_its_neighbours(member, side):
    x = photos(4, 3, side, side)
    x[0] = x[0].sqrt()  # off the grid of 8 bits
    index, corruption = torch.tensor([7, 3, 9, 0]), member(severity=3, pixels=max(member.tables))
    together = drawn(corruption, x, row_streams(0, "noise", index=index))
    for row in range(4):
        alone = drawn(corruption, x[row : row + 1], row_streams(0, "noise", index=index[row : row + 1]))
        assert torch.equal(together[row : row + 1], alone)


@every_member
def test_images_change_at_every_severity_and_those_of_published_size_need_no_field(member):
    for pixels in member.tables:
        x = photos(4, 3, pixels, pixels)
        for severity in (1, 2, 3, 4, 5):
            assert (drawn(member(severity=severity), x, stream(0, "noise")) != x).double().mean() > 0.01


def parameters(member, count=2000, height=32, width=64, **fields):
    corruption = member(**{"severity": 5, "pixels": max(member.tables)} | fields)
    return corruption.sample((count, 3, height, width), rng=stream(3, "law"))


def is_uniform(values: Tensor, low: float, high: float) -> bool:
    assert values.min() >= low
    assert values.max() <= high
    return kstest(values.flatten().numpy(), "uniform", args=(low, high - low)).pvalue > 1e-3


def test_one_frequency_is_uniform_and_the_other_below_it():
    frequencies, phase = parameters(SingleFrequencyGreyscale)
    order = frequencies.abs().argmax(1)
    larger = frequencies.gather(1, order[:, None])[:, 0]
    smaller = frequencies.gather(1, 1 - order[:, None])[:, 0]
    assert abs(order.double().mean() - 0.5) < 0.05
    assert is_uniform(larger, -pi, pi)
    assert is_uniform(smaller / larger.abs(), -1, 1)
    assert is_uniform(phase, 0, 2 * pi)


@pytest.mark.parametrize(
    ("member", "ranges"),
    [
        (CausticRefraction, [(0.5, 2), (0.75 * 32, 1.25 * 32)]),
        (CheckerboardCutout, [(0, 2 * pi), (3.2, 8), (0, 1)]),
        (Lines, [(0, 2 * pi), (0.1, 1), (0, 1)]),
        (PlasmaNoise, [(0, 6 * pi), None, (0.5, 1), (0.075 * 32, 0.2 * 32)]),
        (Ripple, [(3.2, 9.6), (0, 2 * pi)]),
        (PinchAndTwirl, [(-pi / 2, pi / 2)]),
        (BrownishNoise, [(0, 2 * pi)]),
    ],
    ids=lambda each: each.published_name() if isinstance(each, type) else "",
)
def test_draws_are_uniform_in_the_published_ranges(member, ranges):
    found = parameters(member, count=300)
    found = found if isinstance(found, tuple) else (found,)
    assert len(found) == len(ranges)
    assert all(each is None or is_uniform(values, *each) for values, each in zip(found, ranges, strict=True))


def test_rings_lie_in_the_image_and_scale_with_its_shorter_side():
    found = parameters(CocentricSineWaves)
    for values, most in zip(found.unbind(1), (64, 32, 10, 3.2, 3.2), strict=True):
        assert is_uniform(values, 0, most)


def test_stars_have_50_to_199_rays_of_normal_length():
    centres, rays, normals = parameters(Sparkles)
    assert centres.shape == (2000, 5, 2)
    assert is_uniform(centres[..., 0], 0, 32)
    assert is_uniform(centres[..., 1], 0, 64)
    assert set(rays.unique().tolist()) == set(range(50, 200))
    assert kstest(normals[:10].flatten().numpy(), "norm").pvalue > 1e-3
    centre, rays, normals = parameters(InverseSparkles)
    assert is_uniform(centre[:, 0], 8, 24)
    assert is_uniform(centre[:, 1], 16, 48)
    assert set(rays.unique().tolist()) == set(range(50, 200))
    assert normals.shape == (2000, 199)


def test_plasma_has_4_to_6_turns():
    turns = parameters(PlasmaNoise)[1]
    assert set(turns.tolist()) == {4, 5, 6}


def test_the_hash_is_a_permutation_and_gradients_have_length_1():
    permutation, gradients = parameters(PerlinNoise, count=20)
    assert torch.equal(permutation.sort(1).values, torch.arange(256).expand(20, -1))
    assert len({tuple(each) for each in permutation.tolist()}) == 20
    assert (gradients.norm(dim=2) - 1).abs().max() < 1e-5


def test_every_order_of_the_enlargements_is_equally_likely():
    orders = [tuple(each) for each in parameters(TransverseChromaticAbberation).tolist()]
    counts = [orders.count(each) for each in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 2000 / 6 - 75


def test_a_turn_about_the_centre_leaves_a_disk_as_it_is_and_blackens_the_corners():
    side = torch.arange(33) - 16.0
    distance = torch.hypot(side[:, None], side)
    x = torch.exp(-distance.square() / 60).expand(1, 3, -1, -1)
    made = CircularMotionBlur(severity=5, pixels=32).corrupt(x, None)
    assert (made - x)[..., distance < 15].abs().max() < 1e-3
    bright = CircularMotionBlur(severity=5, pixels=32).corrupt(torch.ones_like(x), None)
    assert bright[..., distance < 15].min() > 1 - 1e-5
    assert bright[..., 0, 0].max() < 0.9


def test_brownish_noise_has_the_published_strength_and_moves_whole_channels():
    x = torch.full((8, 3, 64, 64), 0.5)
    corruption = BrownishNoise(severity=1, pixels=224)
    change = (corruption.corrupt(x, corruption.sample(x.shape, rng=stream(0, "a"))) - x) * 255
    assert torch.allclose(change.std((2, 3), correction=0), torch.full((8, 3), 6.4), rtol=1e-4)
    assert change.mean((2, 3)).abs().max() > 1


def test_a_white_star_brightens_and_nothing_is_darker():
    x = photos(2, 3, 32, 32)
    made = drawn(Sparkles(severity=5), x, stream(0, "a"))
    assert (made >= x - 1e-6).all()
    assert made.max() == 1
