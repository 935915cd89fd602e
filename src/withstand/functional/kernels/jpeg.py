"""The loss of a JPEG file, made in memory."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def jpeg(
    levels: UInt8[Tensor, "batch channel height width"], *, quality: int
) -> UInt8[Tensor, "batch channel height width"]:
    """Return the images after encoding to JPEG and decoding, on the CPU and through Pillow.

    Colour is kept at half the resolution (4:2:0), Pillow's default. Several images are worked on at once, in
    as many threads as torch may use.

    Args:
        levels: Images with 1 channel (grey) or 3 (red, green, blue).
        quality: From 1 to 95.

    Returns:
        Images of the same shape on the same device; their last bits are up to Pillow's build of libjpeg.

    Example:
        >>> jpeg(torch.full((1, 1, 8, 8), 77, dtype=torch.uint8), quality=90).unique()
        tensor([77], dtype=torch.uint8)
    """
    arrays = list(levels.permute(0, 2, 3, 1).cpu().numpy())
    if len(arrays) < 2:
        decoded = [_encode_and_decode(each, quality=quality) for each in arrays]
    else:
        with ThreadPoolExecutor(min(len(arrays), torch.get_num_threads())) as pool:
            decoded = list(pool.map(partial(_encode_and_decode, quality=quality), arrays))
    if not decoded:
        return levels
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).contiguous().to(levels.device)


def _encode_and_decode(array: np.ndarray, *, quality: int) -> np.ndarray:
    file = BytesIO()
    grey = array.shape[-1] == 1
    Image.fromarray(array[..., 0] if grey else array).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(file) as image:
        decoded = np.asarray(image)
    return decoded[..., None] if grey else decoded
