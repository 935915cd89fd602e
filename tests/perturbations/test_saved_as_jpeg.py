import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams, stream
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

X = torch.rand((3, 3, 32, 40), generator=stream(0, "x"))
Y = torch.zeros(3, dtype=torch.long)
SPACE = Space.like(X, box=(0.0, 1.0))


def drawn(perturbation, num_draws=1):
    rng = row_streams(0, perturbation.noise, index=torch.arange(3))
    return perturbation.draw(X, Y, nn.Identity(), space=SPACE, num_draws=num_draws, rng=rng).inputs


def test_the_images_are_those_of_a_file_of_quality_85_with_colour_at_half_the_resolution():
    corruption = GaussianNoise(severity=3, pixels=32)
    levels = (drawn(corruption)[0] * 255).round().to(torch.uint8)
    saved = drawn(SavedAsJpeg(perturbation=corruption))[0] * 255
    for before, after in zip(levels, saved, strict=True):
        file = io.BytesIO()
        Image.fromarray(before.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=85, optimize=True)
        expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        assert torch.equal(after.round().to(torch.uint8), expected)


def test_images_are_cut_down_not_rounded_before_they_are_saved():
    x = torch.full((1, 3, 16, 16), 100.9 / 255)
    saved = SavedAsJpeg().draw(x, Y[:1], nn.Identity(), space=SPACE, num_draws=1, rng=stream(0, "a")).inputs
    assert (saved * 255).round().unique().tolist() == [100]


def test_every_draw_is_saved():
    assert drawn(SavedAsJpeg(perturbation=GaussianNoise(pixels=32)), num_draws=3).shape == (3, *X.shape)


def test_names():
    assert SavedAsJpeg(perturbation=Contrast(severity=2)).condition == "contrast+jpeg/2"
    assert SavedAsJpeg(perturbation=Contrast(severity=2)).noise == "contrast/2"
    assert SavedAsJpeg(perturbation=Contrast(severity=2), quality=30).condition == "contrast+jpeg30/2"
    assert SavedAsJpeg().condition == "clean+jpeg"
    assert SavedAsJpeg(perturbation=Gaussian(std=0.5)).condition == "Gaussian std=0.5+jpeg"


@pytest.mark.parametrize("quality", [0, 96])
def test_a_quality_that_libjpeg_has_no_table_for_is_refused(quality):
    with pytest.raises(InputError, match=rf"quality must be from 1 to 95, got {quality}\.$"):
        SavedAsJpeg(quality=quality)
