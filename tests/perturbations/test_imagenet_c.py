import pytest
import torch
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams, stream
from withstand.perturbations.imagenet_c import ImageNetC


def test_cells_are_saved_where_the_published_images_were():
    assert ImageNetC().cells(224, 224)[0].condition == "gaussian_noise+jpeg/1"
    assert ImageNetC().cells(32, 32)[0].condition == "gaussian_noise/1"
    assert ImageNetC(jpeg=False).cells(224, 224)[0].condition == "gaussian_noise/1"
    assert ImageNetC(jpeg=True).cells(32, 32)[0].condition == "gaussian_noise+jpeg/1"


def test_the_extras_come_last_and_only_if_asked_for():
    few, more = ImageNetC().cells(32, 32), ImageNetC(validation=True).cells(32, 32)
    assert more[: len(few)] == few
    assert "speckle_noise/1" in [each.condition for each in more[len(few) :]]


def test_as_an_augmentation_every_image_meets_one_cell():
    benchmark = ImageNetC(severities=(2, 5), pixels=32, frost="procedural")
    x = torch.rand((40, 3, 32, 32), generator=stream(0, "x"))
    y, model = torch.zeros(40, dtype=torch.long), nn.Identity()
    index = torch.arange(40)
    space, rng = Space.like(x, box=(0.0, 1.0)), row_streams(0, "a", index=index)
    drawn = benchmark.draw(x, y, model, space=space, num_draws=1, rng=rng).inputs[0]
    changed = (drawn != x).flatten(1).any(1)
    assert changed.all()
    # Different cells: images lose very different amounts of detail.
    apart = (drawn - x).flatten(1).std(1)
    assert apart.max() > 5 * apart.min()


def test_severities_that_are_not_there_are_refused():
    for severities in ((), (0,), (3, 6), (3, 3)):
        with pytest.raises(InputError, match=r"^ImageNetC: severities(\[\d\])? must be "):
            ImageNetC(severities=severities)
