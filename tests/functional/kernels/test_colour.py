import colorsys

import pytest
import torch

from withstand.functional.kernels.colour import brighten
from withstand.functional.random import stream, uniform


@pytest.mark.parametrize("amount", [0.1, 0.5, -0.3])
def test_hue_and_saturation_stay_and_value_grows(amount):
    x = uniform((200, 3, 1, 1), rng=stream(0, "x"))
    for before, after in zip(x[:, :, 0, 0].tolist(), brighten(x, amount)[:, :, 0, 0].tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        expected = colorsys.hsv_to_rgb(hue, saturation, min(max(value + amount, 0), 1))
        assert after == pytest.approx(expected, abs=1e-6)


def test_black_becomes_grey():
    assert brighten(torch.zeros(1, 3, 1, 1), 0.25).flatten().tolist() == [0.25, 0.25, 0.25]


def test_one_channel_is_its_own_value():
    assert brighten(torch.tensor([0.0, 0.5, 0.9]).reshape(1, 1, 1, 3), 0.25).flatten().tolist() == [
        0.25,
        0.75,
        1.0,
    ]
