import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.augmentation import operations
from withstand.functional.augmentation.hashed import uniforms
from withstand.functional.augmentation.proportions import beta, dirichlet
from withstand.functional.random import integers, stream, uniform
from withstand.perturbations.augmentations.aug_mix import AugMix


def images(count=6, channels=3, size=16):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, size, size, generator=generator).mul(255).round().div(255)


def draw(perturbation, x, num_draws=1, rng=None):
    y, rng = torch.zeros(len(x), dtype=torch.long), rng or stream(0, "x")
    space = Space.like(x, box=(0.0, 1.0))
    return perturbation.draw(x, y, nn.Identity(), space=space, num_draws=num_draws, rng=rng).inputs


def pillow_chain(levels, numbers, severity):
    """Apply the operations that move nothing by Pillow; identity for the others."""
    image = Image.fromarray(levels.permute(1, 2, 0).numpy())
    for which, strength, _ in numbers.tolist():
        level = 0.1 + (severity - 0.1) * strength
        image = {
            "autocontrast": lambda image: ImageOps.autocontrast(image),
            "equalize": lambda image: ImageOps.equalize(image),
            "posterize": lambda image, bits=4 - int(level * 4 / 10): ImageOps.posterize(image, bits),
            "solarize": lambda image, least=256 - int(level * 256 / 10): ImageOps.solarize(image, least),
        }.get(operations.NINE[int(which * 9)], lambda image: image)(image)
    return np.asarray(image) / 255


def test_copies_are_mixtures_of_the_image_and_of_chains_by_pillow(monkeypatch):
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):  # Pillow's up to a level: tested apart
        monkeypatch.setitem(operations._OPERATIONS, name, lambda x, value: x)
    x, rng = images(40), stream(7, "x")
    weights, share = dirichlet(40, 3, 1.0, rng=rng), beta(40, 1.0, rng=rng)
    seeds = integers((40, 3, 3), 0, 1 << 62, rng=rng)
    choices, depth = uniforms(seeds.flatten(), 3).view(40, 3, 3, 3), 1 + (uniform((40, 3), rng=rng) * 3).long()
    assert set(depth.flatten().tolist()) == {1, 2, 3}
    copies = draw(AugMix(severity=3.0), x, rng=stream(7, "x"))[0]
    for row in range(40):
        levels = (x[row] * 255).round().to(torch.uint8)
        chains = [pillow_chain(levels, choices[row, k, : depth[row, k]], 3.0) for k in range(3)]
        chain = sum(w * each for w, each in zip(weights[row].tolist(), chains, strict=True))
        clean, m = x[row].permute(1, 2, 0).numpy(), share[row].item()
        assert copies[row].permute(1, 2, 0).numpy() == pytest.approx((1 - m) * clean + m * chain, abs=1e-5)


@pytest.mark.parametrize(("fields", "known"), [({}, 9), ({"all_ops": True}, 13)], ids=["nine", "all"])
def test_operations_levels_and_signs_are_drawn_from_their_whole_range(fields, known, monkeypatch):
    seen = []

    def watched(operation, level, sign, *size):
        seen.append(torch.stack([operation.double(), level.double(), sign.double()], dim=1))
        return values(operation, level, sign, *size)

    values = operations.augmix_values
    monkeypatch.setattr(operations, "augmix_values", watched)
    draw(AugMix(severity=1.0, width=2, depth=1, **fields), images(500, size=2))
    which, level, sign = torch.cat(seen).unbind(1)
    assert which.unique().tolist() == list(range(known))
    assert torch.bincount(which.long()).tolist() == pytest.approx([1000 / known] * known, rel=0.4)
    assert 0.1 <= level.min() < 0.12
    assert 0.98 < level.max() <= 1
    assert level.mean().item() == pytest.approx(0.55, abs=0.03)
    assert sign.mean().item() == pytest.approx(0, abs=0.1)


def test_a_depth_that_is_given_is_that_of_every_chain(monkeypatch):
    steps = []
    monkeypatch.setattr(operations, "apply", lambda levels, which, *rest: steps.append((which < 9).sum()) or levels)
    draw(AugMix(width=2, depth=4), images(5))
    assert [each.item() for each in steps] == [10] * 4


def test_images_of_any_size_and_of_several_pieces_are_mixed():
    x = images(70, 3, 160)[..., :150]
    copies = draw(AugMix(), x)[0]
    assert copies.shape == x.shape
    assert 0.2 < (copies - x).abs().amax((1, 2, 3)).gt(0.05).float().mean() <= 1


@pytest.mark.parametrize("fields", [{"severity": 0.0}, {"severity": 11.0}, {"width": 0}, {"depth": 0}, {"alpha": 0.0}])
def test_fields_are_checked(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        AugMix(**fields)
