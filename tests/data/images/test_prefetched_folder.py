import numpy as np
import pytest
import torch
from PIL import Image

from withstand.data.images.prefetched_folder import AHEAD, PrefetchedFolder, Slice


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for name in "abc":
        (tmp_path / "train" / name).mkdir(parents=True)
        for each in range(9):
            pixels = generator.integers(0, 256, (12, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "train" / name / f"{each}.png")
    return tmp_path


def alone(folder, count, wanted):
    """Draw the images of a step in a process that has drawn nothing before."""
    return PrefetchedFolder(folder, pixels=8).draw(count, wanted)


def test_decoding_runs_ahead_and_steps_of_another_size_get_their_own_images(folder):
    images, wanted, fewer = PrefetchedFolder(folder, pixels=8), Slice(0, 10, 10, 3), Slice(0, 3, 3, 3)
    images.draw(0, wanted)
    assert set(images.ahead) == set(range(1, 1 + AHEAD))
    guessed = images.ahead[2][1]
    small = images.draw(1, fewer)
    assert torch.equal(small.x, alone(folder, 1, fewer).x)
    assert len(small.x) == 3
    assert images.ahead[2][1] is guessed
    jumped = images.draw(40, wanted)
    assert torch.equal(jumped.x, alone(folder, 40, wanted).x)
    assert set(images.ahead) == set(range(41, 41 + AHEAD))


def test_processes_get_slices_of_the_same_images(folder):
    whole = alone(folder, 7, Slice(0, 10, 10, 3))
    parts = [alone(folder, 7, Slice(start, stop, 10, 3)) for start, stop in ((0, 4), (4, 4), (4, 10))]
    assert torch.equal(torch.cat([each.x for each in parts]), whole.x)
    assert torch.equal(torch.cat([each.y for each in parts]), whole.y)
    assert not torch.equal(alone(folder, 7, Slice(0, 10, 10, 4)).x, whole.x)
