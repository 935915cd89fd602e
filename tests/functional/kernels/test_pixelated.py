import pytest
import torch

from withstand.functional.kernels.boxes import grow, shrink
from withstand.functional.kernels.pixelated import pixelated
from withstand.functional.random import integers, stream


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    ("old", "new"), [((224, 224), (134, 134)), ((480, 640), (120, 160)), ((500, 33), (125, 8)), ((5, 7), (1, 7))]
)
def test_images_are_those_of_the_kernels_on_tensors(channels, interleaved, old, new):
    levels = integers((2, channels, *old), 0, 256, rng=stream(0, "photo")).to(torch.uint8)
    levels = levels.contiguous(memory_format=torch.channels_last) if interleaved else levels
    expected = grow(shrink(levels.float(), *new), *old)
    assert torch.equal(pixelated(levels, *new), expected.to(torch.uint8))
