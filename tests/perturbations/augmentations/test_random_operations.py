"""TrivialAugment and RandAugment: their ranges are those of torchvision."""

import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from withstand.data.space import Space
from withstand.functional.augmentation import operations
from withstand.functional.random import stream, uniform
from withstand.perturbations.augmentations.rand_augment import RandAugment, values_at
from withstand.perturbations.augmentations.trivial_augment import BINS, TrivialAugment, wide_values

HEIGHT, WIDTH = 40, 24
SIGNS = (-1.0, 1.0)


def theirs(space, name, count, sign):
    """Return torchvision's parameter, in our units."""
    known = "".join(part.capitalize() for part in name.split("_"))
    known = {"Autocontrast": "AutoContrast"}.get(known, known)
    magnitudes, signed = space[known]
    values = magnitudes(BINS, HEIGHT, WIDTH)
    if values is None:
        return None
    value = float(values[count]) * (sign if signed else 1.0)
    if name == "solarize":
        return 255 * value
    return 1 + value if name in ("color", "contrast", "brightness", "sharpness") else value


@pytest.mark.parametrize("name", [name for name in operations.ALL if name not in ("autocontrast", "equalize")])
def test_parameters_are_those_of_torchvision(name):
    share, which = torch.arange(BINS) / (BINS - 1), torch.full((BINS,), operations.ALL.index(name))
    for sign in SIGNS:
        wide = wide_values(which, share, torch.full((BINS,), sign)).tolist()
        narrow = values_at(which, share * sign, HEIGHT, WIDTH).tolist()
        for cls, found in ((v2.TrivialAugmentWide, wide), (v2.RandAugment, narrow)):
            expected = [theirs(cls._AUGMENTATION_SPACE, name, count, sign) for count in range(BINS)]
            if name.startswith("translate") and cls is v2.TrivialAugmentWide:
                assert found == [float(int(sign * 32 * count / 30)) for count in range(BINS)]
            # Whole pixels are cut off, and a number of torchvision's may lie just below a whole one.
            assert found == pytest.approx(expected, abs=1.001 if name.startswith("translate") else 1e-4)


def images(count):
    x = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return x.mul(255).round().div(255)


def draw(perturbation, x):
    y, space = torch.zeros(len(x), dtype=torch.long), Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=stream(0, "x")).inputs[0]


def test_one_operation_in_fourteen_changes_nothing_and_all_occur_equally_often(monkeypatch):
    seen = []
    apply = operations.apply
    monkeypatch.setattr(operations, "apply", lambda x, which, value: seen.append(which) or apply(x, which, value))
    x = images(2800)
    copies = draw(TrivialAugment(), x)
    (which,) = seen
    assert torch.bincount(which).tolist() == pytest.approx([200] * 14, rel=0.3)
    unchanged = which == len(operations.ALL)
    assert torch.equal((copies * 255).round()[unchanged], (x * 255).round()[unchanged])


def test_several_operations_are_applied_one_after_the_other():
    x = images(60)
    numbers = uniform((60, 3, 2), rng=stream(0, "x"))
    levels = (x * 255).round().to(torch.uint8)
    for step in range(3):
        which = (numbers[:, step, 0] * 14).long()
        signed = torch.where(numbers[:, step, 1] < 0.5, -0.5, 0.5)
        levels = operations.apply(levels, which, values_at(which, signed, 12, 12))
    assert torch.equal((draw(RandAugment(num_operations=3, magnitude=15), x) * 255).round().to(torch.uint8), levels)
