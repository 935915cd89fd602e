"""JPEG compression in memory."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from withstand.functional import precision
from withstand.functional.kernels.jpeg_arithmetic import recompressed


def jpeg(
    levels: UInt8[Tensor, "batch channel height width"], *, quality: int
) -> UInt8[Tensor, "batch channel height width"]:
    """Return the images after encoding to JPEG and decoding: on a CPU through Pillow, elsewhere as `recompressed`.

    Colour is kept at half the resolution (4:2:0), Pillow's default. On a CPU several images are worked on at once, in
    as many threads as torch may use.

    Args:
        levels: Images with 1 channel (grey) or 3 (red, green, blue).
        quality: From 1 to 95.

    Returns:
        Images of the same shape on the same device. Those of a GPU are those of libjpeg-turbo, which Pillow's packages
        contain, bit for bit; another libjpeg may differ in last bits.

    Example:
        >>> jpeg(torch.full((1, 1, 8, 8), 77, dtype=torch.uint8), quality=90).unique()
        tensor([77], dtype=torch.uint8)
    """
    if levels.device.type != "cpu" and precision.widest(levels.device) == torch.float64:
        return recompressed(levels, quality=quality)
    images = levels.cpu().numpy()
    decoded = np.empty_like(images)
    work, threads = partial(_encode_and_decode, quality=quality), min(len(images), torch.get_num_threads())
    if threads < 2:
        for image, out in zip(images, decoded, strict=True):
            work(image, out)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, images, decoded))
    return torch.from_numpy(decoded).to(levels.device)


def _encode_and_decode(
    channels: UInt8[np.ndarray, "channel height width"], out: UInt8[np.ndarray, "channel height width"], *, quality: int
) -> None:
    file, pixels = BytesIO(), channels.transpose(1, 2, 0)
    interleaved = len(channels) == 3 and pixels.flags.c_contiguous
    if interleaved:
        image = Image.fromarray(pixels)
    else:  # Pillow puts the channels together and takes them apart again several times faster than numpy
        planes = [Image.fromarray(each) for each in channels]
        image = Image.merge("RGB", planes) if len(planes) == 3 else planes[0]
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(file, formats=("JPEG",)) as decoded:
        if interleaved:
            out.transpose(1, 2, 0)[:] = np.frombuffer(decoded.tobytes(), np.uint8).reshape(pixels.shape)
            return
        for plane, name in zip(out, decoded.getbands(), strict=True):
            plane[:] = np.frombuffer(decoded.tobytes("raw", name), np.uint8).reshape(plane.shape)
