"""Pixelated images in 8 bits, through Pillow."""

import numpy as np
import torch
from PIL import Image

from withstand.functional.tensors import Levels


def pixelated(levels: Levels, height: int, width: int) -> Levels:
    """Return images shrunk by box filtering, then enlarged to their size; on the CPU.

    Args:
        levels: Images with 1 or 3 channels; those whose channels are interleaved in memory are fast.
        height: Height of the small images, at most the present one.
        width: Width, likewise.

    Returns:
        The same as `grow(shrink(...))`: first the width is shrunk, then the height, with every version of Pillow.

    Example:
        >>> pixelated(torch.tensor([[[[0, 2, 10, 20]]]], dtype=torch.uint8), 1, 2)
        tensor([[[[ 1,  1, 15, 15]]]], dtype=torch.uint8)
    """
    pixels = np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy())
    made = np.empty_like(pixels)
    for each, out in zip(pixels, made, strict=True):
        image = Image.fromarray(each[..., 0] if each.shape[-1] == 1 else each)
        small = image.resize((width, image.height), Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)
        large = small.resize(image.size, Image.Resampling.BOX)  # NEAREST picks another pixel in ties
        out[:] = np.frombuffer(large.tobytes(), np.uint8).reshape(out.shape)
    return torch.from_numpy(made).permute(0, 3, 1, 2)
