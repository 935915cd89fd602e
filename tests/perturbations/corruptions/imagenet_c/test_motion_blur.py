import torch

from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.motion_blur import MotionBlur


def test_angles_are_within_45_degrees_of_the_horizontal():
    angles = MotionBlur().sample((10_000, 3, 224, 224), rng=stream(0, "a"))
    assert angles.shape == (10_000,)
    assert angles.min() >= -45
    assert angles.max() <= 45
    assert abs(angles.mean()) < 1


def test_rows_of_one_colour_stay_when_the_line_is_horizontal():
    x = (torch.arange(32) / 255).reshape(1, 1, 32, 1).expand(2, 3, 32, 32)
    blurred = MotionBlur(severity=5).corrupt(x, torch.tensor([0.0, 45]))
    assert torch.equal(blurred[0], x[0])
    assert (blurred[1, :, :-1] > x[1, :, :-1]).all()
