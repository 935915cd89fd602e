import colorsys

import pytest
import torch

from withstand.functional.kernels.colour import brighten, saturate
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


@pytest.mark.parametrize(("factor", "amount"), [(0.3, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)])
def test_hue_and_value_stay_and_saturation_changes(factor, amount):
    x = uniform((200, 3, 1, 1), rng=stream(0, "x"))
    x[:20, 1] = x[:20, 0]
    x[20:40] = x[20:40, :1]
    x[40:45] = 0
    for before, after in zip(x[:, :, 0, 0].tolist(), saturate(x, factor, amount)[:, :, 0, 0].tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        expected = colorsys.hsv_to_rgb(hue, min(saturation * factor + amount, 1), value)
        assert after == pytest.approx(expected, abs=1e-5)


def test_grey_stays_where_nothing_is_added_and_otherwise_becomes_red():
    grey = torch.full((1, 3, 1, 1), 0.5)
    assert torch.equal(saturate(grey, 20.0, 0.0), grey)
    assert torch.allclose(saturate(grey, 20.0, 0.2).flatten(), torch.tensor([0.5, 0.4, 0.4]))


def test_one_channel_has_no_saturation():
    x = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3)
    assert torch.equal(saturate(x, 20.0, 0.2), x)
