"""Every corruption of MNIST-C against numpy and scipy, and the law of its draws."""

from itertools import pairwise
from math import atan, cos, exp, log, sin

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import chisquare, kstest, poisson

from withstand.errors import InputError
from withstand.functional.kernels.plasma import plasma
from withstand.functional.levels import to_levels
from withstand.functional.random import integers, normal, stream, uniform
from withstand.perturbations.corruptions.mnist_c.mnist_brightness import MnistBrightness
from withstand.perturbations.corruptions.mnist_c.mnist_canny_edges import MnistCannyEdges
from withstand.perturbations.corruptions.mnist_c.mnist_dotted_line import MnistDottedLine
from withstand.perturbations.corruptions.mnist_c.mnist_fog import MnistFog
from withstand.perturbations.corruptions.mnist_c.mnist_glass_blur import MnistGlassBlur
from withstand.perturbations.corruptions.mnist_c.mnist_impulse_noise import MnistImpulseNoise
from withstand.perturbations.corruptions.mnist_c.mnist_motion_blur import MnistMotionBlur
from withstand.perturbations.corruptions.mnist_c.mnist_rotate import MnistRotate
from withstand.perturbations.corruptions.mnist_c.mnist_scale import MnistScale
from withstand.perturbations.corruptions.mnist_c.mnist_shear import MnistShear
from withstand.perturbations.corruptions.mnist_c.mnist_shot_noise import MnistShotNoise
from withstand.perturbations.corruptions.mnist_c.mnist_spatter import MnistSpatter
from withstand.perturbations.corruptions.mnist_c.mnist_stripe import MnistStripe
from withstand.perturbations.corruptions.mnist_c.mnist_translate import MnistTranslate
from withstand.perturbations.corruptions.mnist_c.mnist_zigzag import MnistZigzag
from withstand.perturbations.corruptions.suites import MNIST_C

SIDE = 28
SHAPE = (4, 1, SIDE, SIDE)
# Strokes like those of digits.
LEVELS = torch.nn.functional.interpolate(integers((4, 1, 7, 7), 0, 2, rng=stream(0, "x")) * 255.0, size=(28, 28))
LEVELS = (torch.nn.functional.avg_pool2d(LEVELS, 3, 1, 1)).floor()
X, IMAGES = LEVELS / 255, LEVELS[:, 0].double().numpy() / 255


def assert_near(made, expected, *, share=1.0):
    """Within one level, since values are cut; for some at a share of the pixels."""
    apart = np.abs(to_levels(made)[:, 0].numpy().astype(int) - np.floor(np.stack(expected) * 255 + 1e-3))
    assert (apart <= 1).mean() >= share
    assert (apart == 0).mean() > 0.995


def moved(image, matrix, shift=(0, 0)):
    """Read (row, column) at a linear map of the place from the centre; scipy's order is row, column, too."""
    middle = np.array([13.5, 13.5])
    offset = middle - matrix @ middle + np.array(shift)
    return ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant")


@pytest.mark.parametrize("member", MNIST_C, ids=lambda member: member.published_name())
def test_there_is_one_severity_for_28_pixels(member):
    assert [len(table) for table in member.tables.values()] == [1]
    assert list(member.tables) == [SIDE]
    assert member().condition == f"{member.published_name()}/1"
    for fields in ({"severity": 2}, {"pixels": 32}):
        with pytest.raises(InputError, match=next(iter(fields))):
            member(**fields)
    with pytest.raises(InputError, match="28 pixels"):
        member().corrupt(torch.zeros(1, 1, 32, 32), member(pixels=28).sample((1, 1, 32, 32), rng=stream(0, "a")))


@pytest.mark.parametrize("member", [MnistShotNoise, MnistImpulseNoise, MnistMotionBlur, MnistBrightness])
def test_parameters_are_those_of_the_corruption_of_imagenet_c_that_it_is(member):
    original = member().original
    assert member.tables[SIDE][0] == original.published(224, 224)
    assert original.published_name() == member.published_name().removeprefix("mnist_")


@pytest.mark.parametrize("member", MNIST_C, ids=lambda member: member.published_name())
def test_channels_are_corrupted_alike(member):
    noise = member in (MnistShotNoise, MnistImpulseNoise)  # independent per value
    colour = X.expand(-1, 3, -1, -1)
    parameters = member().sample(colour.shape, rng=stream(0, "a"))
    made = member().corrupt(colour, parameters)
    assert (torch.equal(made[:, 0], made[:, 1]) and torch.equal(made[:, 0], made[:, 2])) != noise


def test_shot_noise_is_the_inverse_of_the_distribution():
    numbers = uniform(SHAPE, rng=stream(0, "u")).clamp(min=2.0**-25)
    expected = np.clip(poisson.ppf(numbers[:, 0].double().numpy(), IMAGES * 3) / 3, 0, 1)
    assert_near(MnistShotNoise().corrupt(X, numbers), expected)


def test_impulse_noise_replaces_a_sixth_by_black_or_white():
    flipped, salted = MnistImpulseNoise().sample((100, 1, SIDE, SIDE), rng=stream(0, "a"))
    assert flipped.float().mean() == pytest.approx(0.17, abs=0.005)
    assert salted.float().mean() == pytest.approx(0.085, abs=0.004)
    own = flipped[:4, 0].bool().numpy(), salted[:4, 0].bool().numpy()
    made = MnistImpulseNoise().corrupt(X, (flipped[:4], salted[:4]))
    assert_near(made, np.where(own[0], own[1], IMAGES))


def test_motion_blur_at_0_degrees_is_a_sum_along_rows():
    weights = np.array([exp(-0.5 * (step / 3) ** 2) for step in range(21)])
    expected = [
        ndimage.correlate1d(image, np.concatenate([np.zeros(20), weights / weights.sum()]), axis=1, mode="nearest")
        for image in IMAGES
    ]
    assert_near(MnistMotionBlur().corrupt(X, torch.zeros(4)), expected)
    assert kstest(MnistMotionBlur().sample((2000, 1, 28, 28), rng=stream(0, "a")), "uniform", (-45, 90)).pvalue > 1e-3


def test_brightness_adds_a_half():
    assert_near(MnistBrightness().corrupt(X, None), np.clip(IMAGES + 0.5, 0, 1))


@pytest.mark.parametrize("sign", [-1, 1])
def test_shear_and_rotation_are_linear_maps_about_the_centre(sign):
    signs, angle = torch.full((4,), float(sign)), 0.4 * sign
    shear = np.array([[cos(angle), 0], [-sin(angle), 1]])
    assert_near(MnistShear().corrupt(X, signs), [moved(each, shear) for each in IMAGES])
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    assert_near(MnistRotate().corrupt(X, signs), [moved(each, turn) for each in IMAGES])


def test_scale_shrinks_to_seven_tenths():
    assert_near(MnistScale().corrupt(X, None), [moved(each, np.eye(2) / 0.7) for each in IMAGES])


def test_translation_moves_by_three_pixels():
    made = MnistTranslate().corrupt(X, torch.tensor([[1.0, -1.0]]).expand(4, -1))  # to the left and down
    expected = np.zeros_like(IMAGES)
    expected[:, 3:, :-3] = IMAGES[:, :-3, 3:]
    assert_near(made, expected)


@pytest.mark.parametrize(("member", "shape"), [(MnistShear, ()), (MnistRotate, ()), (MnistTranslate, (2,))])
def test_directions_are_fair(member, shape):
    signs = member().sample((2000, 1, 28, 28), rng=stream(0, "law"))
    assert signs.shape == (2000, *shape)
    assert set(signs.unique().tolist()) == {-1, 1}
    assert signs.mean(0).abs().max() < 0.08


def test_stripe_inverts_both_quarters():
    expected = IMAGES.copy()
    expected[:, :, :7] = 1 - expected[:, :, :7]
    expected[:, :, 21:] = 1 - expected[:, :, 21:]
    assert_near(MnistStripe().corrupt(X, None), expected)


def test_fog_is_a_corner_of_a_large_fractal():
    numbers = MnistFog().sample(SHAPE, rng=stream(0, "a"))
    assert numbers.shape == (4, 256**2 - 1)
    clouds = 3 * plasma(numbers.double(), decay=1.4)[:, :SIDE, :SIDE].numpy()
    most = IMAGES.max((1, 2))[:, None, None]
    assert_near(MnistFog().corrupt(X, numbers), np.clip((IMAGES + clouds) * most / (most + 3), 0, 1))
    assert MnistFog(pixels=28).sample((1, 1, 300, 20), rng=stream(0, "a")).shape == (1, 512**2 - 1)


def test_spatter_is_mud_where_smooth_noise_is_high():
    numbers = normal((4, SIDE, SIDE), rng=stream(0, "a"))
    expected = []
    for image, own in zip(IMAGES, numbers.double().numpy(), strict=True):
        liquid = ndimage.gaussian_filter(0.65 + 0.3 * own, 1, mode="nearest")
        mud = ndimage.gaussian_filter((liquid > 0.65).astype(float), 1.5, mode="nearest")
        mud[mud < 0.8] = 0
        expected.append(image * (1 - mud) + mud * 63 / 255)
    assert_near(MnistSpatter().corrupt(X, numbers), expected, share=0.999)


def line(image, start, stop):
    """Add the light of a line, pixel by pixel."""
    (r0, c0), (r1, c1) = start, stop
    for column in range(max(0, int(np.floor(c0))), min(SIDE, int(np.ceil(c1)))):
        for row in range(SIDE):
            apart = abs(row - (r0 + (r1 - r0) / (c1 - c0) * (column - c0)))
            light = log(1 - apart / 2.3) + 1 if apart < 2.3 else 0
            image[row, column] = min(1, image[row, column] + max(0, light))


def test_a_dotted_line_leads_from_border_to_border():
    ends = torch.tensor([[0, 26], [13, 13], [20, 3], [26, 0]])
    expected = IMAGES.copy()
    for image, (left, right) in zip(expected, ends.tolist(), strict=True):
        bright = np.zeros((SIDE, SIDE))
        line(bright, (left, 0), (right, 27))
        bright[:, np.arange(SIDE) // 2 % 2 == 0] = 0
        image[:] = np.clip(image + bright, 0, 1)
    assert_near(MnistDottedLine().corrupt(X, ends), expected)
    rows = MnistDottedLine().sample((2000, 1, SIDE, SIDE), rng=stream(0, "law"))
    assert chisquare(torch.bincount(rows.flatten(), minlength=27)).pvalue > 1e-3


def test_a_zigzag_turns_every_four_pixels():
    ends = torch.tensor([[0, 4], [13, 0], [26, -5], [7, 2]])
    expected = IMAGES.copy()
    for image, (row, rise) in zip(expected, ends.tolist(), strict=True):
        angle = atan(rise / 23)
        length = 23 / cos(angle)
        points = [(0, 0), *(((-1) ** turn * 2, 4 * turn + 2) for turn in range(6))]
        points.append((-2 / (2 * (length - 20)), length))
        turned = [(r * cos(angle) + c * sin(angle) + row, c * cos(angle) - r * sin(angle) + 2) for r, c in points]
        for start, stop in pairwise(turned):
            line(image, start, stop)
    assert_near(MnistZigzag().corrupt(X, ends), expected)
    row, rise = MnistZigzag().sample((2000, 1, SIDE, SIDE), rng=stream(0, "law")).unbind(1)
    assert chisquare(torch.bincount(row, minlength=27)).pvalue > 1e-3
    assert chisquare(torch.bincount(rise + 5, minlength=10)).pvalue > 1e-3


def test_glass_blur_exchanges_pixels_between_two_blurs_along_columns():
    choices = MnistGlassBlur().sample((200, 1, SIDE, SIDE), rng=stream(0, "a"))
    assert choices.shape == (200, 2, 26, 26)
    share = torch.bincount(choices.flatten()) / choices.numel()
    assert torch.allclose(share, torch.tensor([0.125, 0.125, 0.125, 0.625]), atol=0.005)
    expected = []
    for image, own in zip(IMAGES, choices.tolist(), strict=False):
        levels = np.floor(ndimage.gaussian_filter(image, (0.7, 0), mode="nearest") * 255)
        for iteration in own:
            for h in range(27, 1, -1):
                for w in range(27, 1, -1):
                    up, left = [(1, 1), (1, 0), (0, 1), (0, 0)][iteration[h - 2][w - 2]]
                    levels[h, w], levels[h - up, w - left] = levels[h - up, w - left], levels[h, w]
        expected.append(ndimage.gaussian_filter(levels / 255, (0.7, 0), mode="nearest"))
    assert_near(MnistGlassBlur().corrupt(X, choices[:4]), expected)


def edges(image):
    """Canny's edges, pixel by pixel."""
    weight = ndimage.gaussian_filter(np.ones_like(image), 1, mode="constant") + np.finfo(float).eps
    smooth = ndimage.gaussian_filter(image, 1, mode="constant") / weight
    down, across = ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)
    steep = np.sqrt(down * down + across * across)
    crest = np.zeros(image.shape, bool)
    for r in range(1, image.shape[0] - 1):
        for c in range(1, image.shape[1] - 1):
            if steep[r, c] < 0.1:
                continue
            y, x = down[r, c], across[r, c]
            vertical, sign = abs(y) >= abs(x), 1 if y * x >= 0 else -1
            share = min(abs(y), abs(x)) / max(abs(y), abs(x))
            (dr, dc), diagonal = ((1, 0), (1, sign)) if vertical else ((0, 1), (sign, 1))
            crest[r, c] = all(
                share * steep[r + k * diagonal[0], c + k * diagonal[1]] + (1 - share) * steep[r + k * dr, c + k * dc]
                <= steep[r, c]
                for k in (-1, 1)
            )
    labels, _ = ndimage.label(crest, np.ones((3, 3)))
    return np.isin(labels, labels[crest & (steep >= 0.2)]) & crest


def test_edges_are_those_of_canny():
    made = MnistCannyEdges().corrupt(X, None)[:, 0].bool().numpy()
    assert 0.05 < made.mean() < 0.5
    assert np.array_equal(made, np.stack([edges(each) for each in IMAGES]))
