"""Perturbations on another device: what they return stays there, and is near what the CPU returns."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.functional.changes import Change
from withstand.functional.random import RowStreams, stream
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.base import Corruption, Draws, Perturbation

NUMBERS = torch.tensor([11, 3, 500])
TABLE = Features(
    names=tuple("abcd"),
    columns=tuple("abcd"),
    kinds=("continuous", "continuous", "category", "integer"),
    movable=(True, True, False, False),
    offset=(0.0,) * 4,
    scale=(1.0, 2.0, 1.0, 1.0),
    iqr=(1.0,) * 4,
    changes=(Change((2,), ((0.0,), (1.0,))), Change((3,), ((0.0,), (1.0,)), added=True)),
)
SPACES = {
    "images": Space(shape=(3, 32, 32), box=(0.0, 1.0), num_classes=4),
    "table": Space(shape=(4,), features=TABLE, num_classes=4),
}


def cases() -> list:
    found = []
    for cls in discover(Perturbation):
        for number, each in enumerate(cls.examples()):
            for name, space in SPACES.items():
                if not (each.images_only if name == "table" else each.tables_only):
                    is_slow = number > 0 or (name == "table" and not each.tables_only)
                    is_slow |= issubclass(cls, Attack | Corruption) and cls is not PGD  # see test_corruptions.py
                    marks = pytest.mark.slow if is_slow else ()
                    found.append(pytest.param(each, space, id=f"{cls.__name__}-{number}-{name}", marks=marks))
    return found


def inputs_of(space: Space) -> tuple[Tensor, Tensor, nn.Module]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((3, *space.shape), generator=generator)
    if space.features is not None:
        x[:, 2] = torch.tensor([0.0, 1.0, 0.5])
    if len(space.shape) == 3:
        x = nn.functional.interpolate(x[..., ::8, ::8], scale_factor=8, mode="bilinear").mul(255).round().div(255)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    return x, torch.arange(3), model


def drawn(perturbation: Perturbation, space: Space, x: Tensor, y: Tensor, model: nn.Module) -> list[Draws]:
    sources = stream(0, "x", device=x.device), RowStreams(0, NUMBERS, device=x.device)
    return [perturbation.draw(x, y, model, space=space, num_draws=2, rng=rng) for rng in sources]


@pytest.mark.parametrize(("perturbation", "space"), cases())
def test_draws_are_on_the_device_of_the_inputs(perturbation, space, place):
    x, y, model = inputs_of(space)
    expected = drawn(perturbation, space, x, y, model)
    with place.equal_draws():
        model = deepcopy(model).to(place.device)
        found = drawn(perturbation, space, x.to(place.device), y.to(place.device), model)
    for own, other in zip(found, expected, strict=True):
        inputs = place.values(own.inputs)
        far = (inputs - other.inputs).abs() > 1.01 / 255
        assert far.float().mean() < 0.01
        for name in ("log_weights", "targets"):
            assert (getattr(own, name) is None) == (getattr(other, name) is None)
            if getattr(own, name) is not None:
                place.values(getattr(own, name))
