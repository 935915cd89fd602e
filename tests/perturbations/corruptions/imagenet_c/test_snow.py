import torch

from withstand.functional.random import stream
from withstand.perturbations.corruptions.imagenet_c.snow import Snow


def test_angles_are_within_45_degrees_of_straight_down():
    numbers, angles = Snow(severity=1).sample((500, 3, 224, 224), rng=stream(0, "a"))
    assert numbers.shape == (500, 75, 75)
    assert angles.min() >= -135
    assert angles.max() <= -45


def test_without_flakes_the_image_is_only_paler():
    x = torch.tensor([0.0, 0.2, 0.9]).reshape(1, 3, 1, 1).expand(1, 3, 32, 32)
    parameters = (torch.full((1, 32, 32), -9.0), torch.tensor([-90.0]))
    grey = 0.587 * 0.2 + 0.114 * 0.9
    paler = 1.5 * grey + 0.5
    expected = torch.tensor([0.95 * each + 0.05 * max(each, paler) for each in (0.0, 0.2, 0.9)])
    assert torch.allclose(Snow(severity=1).corrupt(x, parameters), expected.reshape(1, 3, 1, 1).expand_as(x))


def test_a_flake_is_smeared_down_and_turned_by_180_degrees():
    x = torch.zeros(1, 1, 32, 32)
    numbers = torch.full((1, 32, 32), -9.0)
    numbers[0, 20, 4] = 9.0
    changed = Snow(severity=1).corrupt(x, (numbers, torch.tensor([-90.0])))[0, 0]
    layer = changed - changed[0, 0]
    assert torch.allclose(layer, layer.flip((0, 1)))
    assert layer[:, 4].nonzero().flatten().tolist() == list(range(20, 29))
