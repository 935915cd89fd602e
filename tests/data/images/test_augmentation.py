import torch

from withstand.data.images.augmentation import PADDING, crop_and_flip


def images(count):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)


def test_every_result_is_a_shifted_image_or_its_mirror():
    x = images(6)
    out = crop_and_flip(x, torch.arange(6), 1)
    padded = torch.nn.functional.pad(x, [PADDING] * 4)
    for image, around in zip(out, padded, strict=True):
        shifts = [
            crop for top in range(9) for left in range(9) for crop in (around[:, top : top + 32, left : left + 32],)
        ]
        assert any(torch.equal(image, crop) or torch.equal(image, crop.flip(2)) for crop in shifts)


def test_all_shifts_and_both_sides_occur_equally_often():
    # A pixel that is different in every place says where it came from.
    count = 20_000
    place = torch.arange(1, 65, dtype=torch.uint8)
    x = torch.zeros(1, 2, 32, 32, dtype=torch.uint8)
    x[0, 0], x[0, 1] = place[:32, None], place[:32]
    out = crop_and_flip(x.expand(count, -1, -1, -1), torch.arange(count), 5)
    top = out[:, 0, 16, 16].bincount(minlength=30)
    assert top.nonzero()[:, 0].tolist() == list(range(13, 22))
    assert (top[13:22] / count - 1 / 9).abs().max() < 0.01
    mirrored = (out[:, 1, 16, 16].int() - out[:, 1, 16, 15].int()) == -1
    assert abs(mirrored.float().mean() - 0.5) < 0.02
    left = out[:, 1, 16, 16].int()[~mirrored].bincount(minlength=30)
    assert (left[13:22] / (~mirrored).sum() - 1 / 9).abs().max() < 0.015


def test_an_image_is_changed_in_the_same_way_in_any_batch():
    x, numbers = images(50), torch.arange(100, 150)
    whole = crop_and_flip(x, numbers, 3)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    for rows in order.split(7):
        assert torch.equal(crop_and_flip(x[rows], numbers[rows], 3), whole[rows])


def test_seeds_and_numbers_matter():
    x = images(1).expand(64, -1, -1, -1)
    one, other = crop_and_flip(x, torch.arange(64), 0), crop_and_flip(x, torch.arange(64), 1)
    assert not torch.equal(one, other)
    assert len({bytes(image.flatten().tolist()) for image in one}) > 40


def test_no_global_generator_is_used(untouched_generators):
    with untouched_generators():
        crop_and_flip(images(4), torch.arange(4), 0)
