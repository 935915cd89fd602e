"""What JPEG compression does to an image, without a file: the arithmetic of libjpeg on tensors."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import pad

from withstand.functional.precision import in_double

_SIDE = 8  # of a block
# Of libjpeg's exact discrete cosine transform (`islow`), with 13 bits behind the point: the left halves of the rows,
# which their right halves mirror, with the opposite sign in odd rows.
_COSINES = (
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)
# Tables K.1 and K.2 of ITU-T T.81; of the second only the first four rows and columns differ from 99.
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))

Plane = Int[Tensor, "batch rows columns"]


def recompressed(
    levels: UInt8[Tensor, "batch channel height width"], *, quality: int
) -> UInt8[Tensor, "batch channel height width"]:
    """Return the images after encoding to JPEG and decoding, computed on their device.

    Entropy coding loses nothing and is left out. Colour is kept at half the resolution (4:2:0).

    Args:
        levels: Images with 1 channel (grey) or 3 (red, green, blue), on a device with float64.
        quality: From 1 to 95.

    Returns:
        The same values as libjpeg-turbo, bit for bit.

    Source:
        ITU-T T.81; libjpeg-turbo 3: jccolor.c, jcsample.c, jfdctint.c, jcdctmgr.c, jidctint.c, jdsample.c
        (`h2v2_fancy_upsample`), jdcolor.c.

    Example:
        >>> recompressed(torch.full((1, 1, 8, 8), 77, dtype=torch.uint8), quality=90).unique()
        tensor([77], dtype=torch.uint8)
    """
    if levels.numel() == 0:
        return levels.clone()
    if levels.shape[1] == 1:
        return _coded(levels[:, 0].int(), quality, is_luma=True)[:, None].to(torch.uint8)
    height, width = levels.shape[2:]
    red, green, blue = levels.int().unbind(1)
    luma = (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16
    half, offset = 2**15 - 1, 128 << 16
    chroma = [
        (-11059 * red - 21709 * green + 32768 * blue + offset + half) >> 16,
        (32768 * red - 27439 * green - 5329 * blue + offset + half) >> 16,
    ]
    y = _coded(luma, quality, is_luma=True)
    cb, cr = (_grown(_coded(_halved(each), quality, is_luma=False), height, width) - 128 for each in chroma)
    planes = (
        y + ((91881 * cr + 2**15) >> 16),
        y + ((-22554 * cb - 46802 * cr + 2**15) >> 16),
        y + ((116130 * cb + 2**15) >> 16),
    )
    return torch.stack(planes, 1).clamp_(0, 255).to(torch.uint8)


def _coded(plane: Plane, quality: int, *, is_luma: bool) -> Plane:
    """Return a plane whose blocks of 8 x 8 are quantised as their cosine transforms."""
    height, width = plane.shape[1:]
    down, across = -(-height // _SIDE), -(-width // _SIDE)
    whole = _repeated(plane, down * _SIDE, across * _SIDE) - 128
    blocks = in_double(whole.float()).view(-1, down, _SIDE, across, _SIDE).transpose(2, 3)
    cosines, steps = _constants(quality, is_luma, plane.device)
    # Sums of whole numbers below 2^53 are exact in float64. First along rows, then along columns; and back.
    frequencies = _descaled(cosines @ _descaled(blocks @ cosines.mT, 11), 15)
    kept = ((frequencies.abs() + 4 * steps) / (8 * steps)).floor_().copysign_(frequencies) * steps
    decoded = _descaled(_descaled(cosines.mT @ kept, 11) @ cosines, 18)
    levels = decoded.add_(128).clamp_(0, 255).int()
    return levels.transpose(2, 3).reshape(whole.shape)[:, :height, :width]


def _descaled(x: Float[Tensor, "*shape"], bits: int) -> Float[Tensor, "*shape"]:
    return x.add_(2 ** (bits - 1)).div_(2**bits).floor_()


def _halved(plane: Plane) -> Int[Tensor, "batch fewer narrower"]:
    """Return the means of squares of 2 x 2, rounded alternately up and down; in whole blocks along rows."""
    height, width = plane.shape[1:]
    rows, columns = -(-height // 2), -(-width // (2 * _SIDE)) * _SIDE
    whole = _repeated(plane, 2 * rows, 2 * columns)  # below the image not the values are repeated, but the means
    sums = whole.view(-1, rows, 2, columns, 2).sum((2, 4), dtype=torch.int32)
    return (sums + 1 + torch.arange(columns, device=plane.device, dtype=torch.int32) % 2) >> 2


def _repeated(plane: Plane, height: int, width: int) -> Int[Tensor, "batch {height} {width}"]:
    """Return a plane whose last row and column are repeated up to a size."""
    for axis, size in ((1, height), (2, width)):
        places = torch.arange(size, device=plane.device).clamp_(max=plane.shape[axis] - 1)
        plane = plane.index_select(axis, places)
    return plane


def _grown(plane: Plane, height: int, width: int) -> Int[Tensor, "batch {height} {width}"]:
    """Return a plane at twice the size, cut: nearer pixels weigh 3/4 along each axis, the further ones 1/4."""
    plane = plane[..., : -(-width // 2)]
    if plane.shape[2] <= 2:
        return plane.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :height, :width]
    above, below = torch.cat([plane[:, :1], plane[:, :-1]], 1), torch.cat([plane[:, 1:], plane[:, -1:]], 1)
    tall = torch.stack([3 * plane + above, 3 * plane + below], 2).flatten(1, 2)
    left, right = torch.cat([tall[..., :1], tall[..., :-1]], 2), torch.cat([tall[..., 1:], tall[..., -1:]], 2)
    wide = torch.stack([(3 * tall + left + 8) >> 4, (3 * tall + right + 7) >> 4], 3).flatten(2, 3)
    return wide[:, :height, :width]


@lru_cache(maxsize=32)
def _constants(
    quality: int, is_luma: bool, device: torch.device
) -> tuple[Float[Tensor, "frequency place"], Float[Tensor, "row column"]]:
    """Return the cosines and the quantisation steps."""
    left = torch.tensor(_COSINES, dtype=torch.float64)
    sign = torch.tensor([1.0, -1.0] * (_SIDE // 2), dtype=torch.float64)[:, None]
    chroma = pad(torch.tensor(_CHROMA), (0, 4, 0, 4), value=99)
    table = torch.tensor(_LUMA).view(_SIDE, _SIDE) if is_luma else chroma
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = ((table * scale + 50) // 100).clamp(1, 255)
    return torch.cat([left, sign * left.flip(1)], 1).to(device), steps.to(device, torch.float64)
