import pytest
import torch

from withstand.functional.random import row_streams, stream, uniform
from withstand.perturbations.corruptions.imagenet_c.glass_blur import GlassBlur


@pytest.mark.parametrize(("severity", "count"), [(1, 4), (5, 64)])
def test_every_pixel_near_by_is_chosen_as_often(severity, count):
    choices = GlassBlur(severity=severity, pixels=224).sample((4, 3, 150, 180), rng=stream(0, "a"))
    reach = {1: 1, 5: 4}[severity]
    assert choices.shape == (4, 2, 150 - 2 * reach, 180 - 2 * reach)
    shares = choices.flatten().bincount(minlength=count) / choices.numel()
    assert len(shares) == count
    assert (shares * count - 1).abs().max() < 5 * (count / choices.numel()) ** 0.5


def test_a_plain_image_stays():
    x = torch.full((2, 3, 64, 64), 77 / 255)
    corruption = GlassBlur(severity=5, pixels=224)
    assert torch.equal(corruption.corrupt(x, corruption.sample(x.shape, rng=stream(0, "a"))), x)


def test_without_blur_pixels_are_those_of_the_neighbourhood():
    # At the mildest severity for 32 pixels the blur reaches no other pixel, and copies come from above and the left.
    x = (uniform((1, 1, 32, 32), rng=stream(0, "x")) * 255).floor() / 255
    corruption = GlassBlur(severity=1, pixels=32)
    changed = corruption.corrupt(x, corruption.sample(x.shape, rng=stream(0, "a")))
    assert torch.equal(changed[..., :2, :], x[..., :2, :])
    assert torch.equal(changed[..., :, :2], x[..., :, :2])
    sources = torch.stack([x[..., 2 - down : 32 - down, 2 - right : 32 - right] for down in (0, 1) for right in (0, 1)])
    is_source = (changed[..., 2:, 2:] - sources).abs() < 1e-6
    assert is_source.any(0).all()
    assert (is_source.double().mean((-2, -1)) - 0.25).abs().max() < 0.08


def test_images_that_do_not_fit_one_chunk_are_the_same_alone():
    corruption, index = GlassBlur(severity=5), torch.arange(3)
    x = uniform((3, 3, 224, 224), rng=stream(0, "x"))
    together = corruption.corrupt(x, corruption.sample(x.shape, rng=row_streams(0, "a", index=index)))
    alone = corruption.corrupt(x[2:], corruption.sample(x[2:].shape, rng=row_streams(0, "a", index=index[2:])))
    assert torch.equal(together[2:], alone)
