import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from withstand.functional.augmentation import operations, pillow

TONES = [name for name in operations.ALL if name.rsplit("_")[0] not in ("rotate", "shear", "translate")]


def by_pillow(image, name, level, sign):
    """Return what Pillow makes of an image, with the parameters as AugMix writes them."""
    (width, height), own = image.size, {"resample": Image.Resampling.BILINEAR}
    maps = {
        "shear_x": (1, sign * level * 0.3 / 10, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, sign * level * 0.3 / 10, 1, 0),
        "translate_x": (1, 0, sign * int(level * (width / 3) / 10), 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, sign * int(level * (height / 3) / 10)),
    }
    if name in maps:
        return image.transform(image.size, Image.Transform.AFFINE, maps[name], **own)
    if name == "rotate":
        return image.rotate(sign * int(level * 30 / 10), **own)
    if name == "posterize":
        return ImageOps.posterize(image, 4 - int(level * 4 / 10))
    if name == "solarize":
        return ImageOps.solarize(image, 256 - int(level * 256 / 10))
    if name in ("autocontrast", "equalize"):
        return getattr(ImageOps, name)(image)
    return getattr(ImageEnhance, name.capitalize())(image).enhance(level * 1.8 / 10 + 0.1)


def pictures(count, channels, height, width, seed=0):
    """Smooth levels with noise on them; the first has one level only."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    x = 0.1 + 0.7 * smooth + 0.05 * torch.randn(count, channels, height, width, generator=generator)
    levels = x.clamp(0, 1).mul(255).round().to(torch.uint8)
    levels[0] = 77
    return levels


def each_by_pillow(levels, name, level, sign):
    found = []
    for image, own, direction in zip(levels, level.double().tolist(), sign.tolist(), strict=True):
        planes = image.permute(1, 2, 0).numpy()
        changed = by_pillow(Image.fromarray(planes if len(image) == 3 else planes[..., 0]), name, own, direction)
        found.append(torch.from_numpy(np.array(changed)).view(*image.shape[1:], -1).permute(2, 0, 1))
    return torch.stack(found)


def by_level(levels, operation, level, sign):
    values = operations.augmix_values(operation, level, sign, *levels.shape[2:])
    return operations.apply(levels, operation, values)


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 60, 41), (1, 29, 31)], ids=str)
@pytest.mark.parametrize("name", operations.ALL)
def test_operations_equal_pillow(name, shape):
    levels, generator = pictures(20, *shape), torch.Generator().manual_seed(1)
    level = 0.1 + 9.9 * torch.rand(20, generator=generator)
    sign = torch.where(torch.rand(20, generator=generator) < 0.5, -1.0, 1.0)
    ours = by_level(levels, torch.full((20,), operations.ALL.index(name)), level, sign)
    away = (ours.int() - each_by_pillow(levels, name, level, sign).int()).abs()
    if name in TONES or name.startswith("translate"):
        assert away.max() == 0
    else:
        assert away.max() <= 1
        assert (away > 0).float().mean() < 0.005
    assert (ours != levels)[1:].any() or (name == "color" and shape[0] == 1)


def test_every_image_of_a_batch_gets_its_own_operation_and_level():
    count = len(operations.ALL) + 1
    levels = pictures(count, 3, 16, 16)
    which, level = torch.arange(count).flip(0), torch.linspace(1, 9, count)
    sign = torch.ones(count)
    together = by_level(levels, which, level, sign)
    for row, name in enumerate(reversed(operations.ALL), start=1):
        part = slice(row, row + 1)
        assert torch.equal(together[part], by_level(levels[part], which[part], level[part], sign[part])), name
    assert torch.equal(together[0], levels[0])


def test_at_the_ends_of_the_levels_posterize_and_solarize_keep_all_or_nothing():
    levels, sign = pictures(3, 1, 8, 8)[1:], torch.ones(2)
    ends = torch.tensor([0.0, 10.0])
    solarized = by_level(levels, torch.full((2,), operations.ALL.index("solarize")), ends, sign)
    assert torch.equal(solarized, torch.stack([levels[0], 255 - levels[1]]))
    posterized = by_level(levels, torch.full((2,), operations.ALL.index("posterize")), ends, sign)
    assert torch.equal(posterized, torch.stack([levels[0] // 16 * 16, 0 * levels[1]]))


def test_shifts_by_copies_equal_shifts_by_indices():
    levels = pictures(6, 3, 9, 7)
    right, down = torch.tensor([0, 3, -3, 8, -7, 2]), torch.tensor([0, -2, 5, 1, 20, -9])
    assert torch.equal(pillow.shifted(levels, right, down), pillow._shifted_at_once(levels, right, down))
