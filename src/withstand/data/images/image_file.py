"""Image files, decoded with a centre crop or a random crop."""

import math
import threading
import warnings
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Generator

from withstand.data.images.decoding import Decoding, Note
from withstand.reading.addresses import Status

SCALE = (0.08, 1.0)  # share of the image's area in a random crop
RATIO = (3 / 4, 4 / 3)  # width to height of a random crop
TRIES = 10
BILINEAR = Image.Resampling.BILINEAR
DRAFT_MARGIN = 2  # the JPEG decoder may downscale a random crop to this many times the wanted size
MOST_RESIZED = 1 << 27  # pixels
MOST_BYTES = 1 << 30
AS_STORED = Decoding(orientation="ignore")

_LOCK = threading.Lock()


class StoredFile(Protocol):
    """A file that is not local: an address, or a member of a shard."""

    def is_file(self) -> bool:
        """Return whether it is a file."""
        ...

    def exists(self) -> bool:
        """Return whether it exists."""
        ...

    def stat(self) -> Status:
        """Return its size in bytes."""
        ...

    def read_bytes(self, *, most: int) -> bytes:
        """Return its content, of at most `most` bytes; raise OSError if it has more."""
        ...


ImagePath = Path | StoredFile


def read_image(
    path: ImagePath,
    *,
    pixels: int,
    resize: int | None,
    decoding: Decoding = AS_STORED,
    generator: Generator | None = None,
    note: Note = lambda _: None,
) -> UInt8[np.ndarray, "3 pixels pixels"]:
    """Return the centre crop of an image, or a random crop.

    Args:
        path: The file.
        pixels: Width and height of the result.
        resize: Length of the shorter side before the centre crop, at least `pixels`; None does not resize.
        decoding: How pixels become RGB.
        generator: Source of a random crop and flip; None takes the centre.
        note: Callback with anything to report, see `decoding.NOTES`.

    Raises:
        OSError: If the file is not an image or is truncated; decoders may raise other exceptions.

    Source:
        Szegedy et al. 2015, arXiv 1409.4842, section 6 (crops of 8 to 100 % of the area, ratio 3/4 to 4/3). Rounding
        of the centre and the fallback after ten tries follow torchvision's Resize, CenterCrop and RandomResizedCrop.
        Differs: for speed, the JPEG decoder first downscales a random crop much larger than the result.
    """
    with open_image(path) as image:
        decoding.check(image)
        if generator is None:
            _check_length(image, resize)
            cropped = _centre(decoding.to_rgb(image, note), pixels, resize)
        else:
            cropped = _random(image, pixels, generator, decoding, note)
        return np.asarray(cropped).transpose(2, 0, 1)


def open_image(path: ImagePath) -> Image.Image:
    """Open a file, without decoding it; one that is not local is read into memory.

    Raises:
        OSError: If it is not a regular file, is larger than any image that is read, or has more pixels than Pillow
            takes for harmless.
    """
    if not isinstance(path, Path):
        source = BytesIO(path.read_bytes(most=MOST_BYTES))
    elif not path.is_file():
        raise OSError("it is not a file")
    elif path.stat().st_size > MOST_BYTES:  # some decoders read the whole file
        raise OSError(f"it is larger than {MOST_BYTES:,} bytes")
    else:
        source = path
    with _LOCK, warnings.catch_warnings():  # filters belong to all threads
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(source)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise OSError(f"it has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels") from error


def _check_length(image: Image.Image, resize: int | None) -> None:
    """Reject an image that would have too many pixels after resizing, since one side is very long."""
    short, long = sorted(image.size)
    if resize is not None and short and resize * resize * long > short * MOST_RESIZED:
        width, height = image.size
        raise OSError(f"its {width} x {height} pixels are too long to be resized")


def explain(path: ImagePath, error: Exception) -> str:
    """Return the reason why a file cannot be decoded, as a phrase."""
    if not path.is_file():
        return "it is not a file" if path.exists() else "there is no such file"
    if path.stat().st_size == 0:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image"
    return str(error).partition("\n")[0] or type(error).__name__


def _centre(image: Image.Image, pixels: int, resize: int | None) -> Image.Image:
    if resize is not None:
        width, height = image.size
        shorter = min(width, height)
        # The longer side is truncated to a whole number, not rounded.
        size = (resize, int(resize * height / width)) if width <= height else (int(resize * width / height), resize)
        image = image.resize(size, BILINEAR) if shorter != resize else image
    width, height = image.size
    if min(width, height) < pixels:
        raise OSError(f"it has {width} x {height} pixels, expected at least {pixels} x {pixels}")
    left, top = round((width - pixels) / 2), round((height - pixels) / 2)
    return image.crop((left, top, left + pixels, top + pixels))


def _random(image: Image.Image, pixels: int, generator: Generator, decoding: Decoding, note: Note) -> Image.Image:
    numbers = torch.rand(2 * TRIES + 3, generator=generator, dtype=torch.float64).tolist()
    width, height = decoding.size(image)
    left, top, crop_width, crop_height = _choose_box(width, height, numbers)
    margin = DRAFT_MARGIN * pixels
    across, down = math.ceil(margin * width / crop_width), math.ceil(margin * height / crop_height)
    image.draft(None, (across, down) if decoding.turn(image) < 5 else (down, across))
    image = decoding.to_rgb(image, note)
    across, down = image.width / width, image.height / height
    box = (left * across, top * down, (left + crop_width) * across, (top + crop_height) * down)
    image = image.resize((pixels, pixels), BILINEAR, box=box)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if numbers[-1] < 0.5 else image


def _choose_box(width: int, height: int, numbers: list[float]) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a random crop, from numbers uniform in [0, 1)."""
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for one, other in zip(numbers[:TRIES], numbers[TRIES : 2 * TRIES], strict=True):
        area = width * height * (SCALE[0] + one * (SCALE[1] - SCALE[0]))
        ratio = math.exp(low + other * (high - low))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            left = int(numbers[-3] * (width - crop_width + 1))
            return left, int(numbers[-2] * (height - crop_height + 1)), crop_width, crop_height
    crop_width = min(width, max(1, round(height * RATIO[1])))
    crop_height = min(height, max(1, round(width / RATIO[0])))
    return (width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height
