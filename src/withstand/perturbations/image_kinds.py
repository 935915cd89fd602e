"""Images of any kind (arrays, PIL images, tensors) as one batch of tensors, and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from withstand.errors import InputError

Restore = Callable[[Tensor], Any]

_CHANNELS = (1, 3, 4)  # grey, colour, and colour with an alpha channel
_MODES = ("L", "LA", "RGB", "RGBA")
_LAYOUT = "arrays of shape (height, width), (height, width, channel) or (batch, height, width, channel)"


def as_batch(image: Any, *, who: str) -> tuple[Tensor, Restore]:
    """Return images as a tensor (batch, channel, height, width), and a function from such a tensor to their kind.

    Args:
        image: An array (height, width), (height, width, channel) or (batch, height, width, channel), a PIL image of
            mode L, LA, RGB or RGBA, or a tensor (..., channel, height, width). Channels are 1, 3, or 4 with alpha.
            Values are uint8, or floats in [0, 1].
        who: Name at the beginning of errors.

    Returns:
        The grey or colour channels, as uint8 or float32. The function puts alpha channels back unchanged and restores
        shape, type, mode and device.

    Raises:
        InputError: If the kind, layout, type or values are different.
    """
    if isinstance(image, Tensor):
        return _of_tensor(image, who)
    if isinstance(image, np.ndarray):
        return _of_array(image, who)
    if isinstance(image, Image.Image):
        if image.mode not in _MODES:
            to = "scale it to 8 bits first" if image.mode[0] in "IF" else 'use image.convert("RGB")'
            raise InputError(f"{who}: expected an image of mode {', '.join(_MODES)}, got mode {image.mode}; {to}.")
        images, restore = _of_pixels(np.array(image), who)
        return images, lambda changed: _with_info(Image.fromarray(restore(changed)), image)
    hint = "; open it with PIL.Image.open" if isinstance(image, str | Path) else ""
    raise InputError(f"{who}: expected an array, a PIL image or a tensor, got {type(image).__name__}{hint}.")


def _with_info(changed: Image.Image, image: Image.Image) -> Image.Image:
    """Return an image with the metadata of another, such as its EXIF orientation."""
    changed.info.update(image.info)
    if exif := image.getexif():
        changed.info["exif"] = exif.tobytes()
    return changed


def _of_tensor(image: Tensor, who: str) -> tuple[Tensor, Restore]:
    shape = tuple(image.shape)
    if image.ndim < 3 or shape[-3] not in _CHANNELS:
        interleaved = image.ndim >= 3 and shape[-1] in _CHANNELS
        hint = "; move the channels with image.movedim(-1, -3)" if interleaved else ""
        raise InputError(
            f"{who}: expected images (..., channel, height, width) with 1, 3 or 4 channels, got a tensor of shape "
            f"{shape}{hint}."
        )
    _check_type(image.dtype == torch.uint8, image.is_floating_point(), image.dtype, shape, who)
    whole = image.detach().reshape(-1, *shape[-3:])
    colours = whole[:, :3] if shape[-3] == 4 else whole
    colours = colours if image.dtype == torch.uint8 else _in_unit(colours.float(), who)

    def restore(changed: Tensor) -> Tensor:
        changed = changed.to(image.dtype)
        changed = torch.cat([changed, whole[:, 3:]], dim=1) if shape[-3] == 4 else changed.contiguous()
        changed = changed.reshape(shape)
        # A subclass of torchvision, by which transforms after this one recognise images.
        return changed.as_subclass(type(image)) if type(image).__module__.startswith("torchvision.") else changed

    return colours, restore


def _of_array(array: np.ndarray, who: str) -> tuple[Tensor, Restore]:
    shape = array.shape
    if array.ndim not in (2, 3, 4) or (array.ndim > 2 and shape[-1] not in _CHANNELS):
        planar = array.ndim in (3, 4) and shape[-3] in _CHANNELS
        hint = "; move the channels with numpy.moveaxis(image, -3, -1)" if planar else ""
        raise InputError(f"{who}: expected {_LAYOUT} with 1, 3 or 4 channels, got shape {shape}{hint}.")
    return _of_pixels(array, who)


def _of_pixels(array: np.ndarray, who: str) -> tuple[Tensor, Restore]:
    """Convert an array whose last axis, unless it has two, holds the channels: of 2 or 4, the last one is alpha."""
    in_levels, in_fractions = array.dtype == np.uint8, np.issubdtype(array.dtype, np.floating)
    _check_type(in_levels, in_fractions, array.dtype, array.shape, who)
    pixels = array if array.ndim > 2 else array[..., None]
    pixels = pixels if array.ndim == 4 else pixels[None]
    with_alpha = pixels.shape[-1] in (2, 4)
    colours = np.ascontiguousarray(pixels[..., :-1] if with_alpha else pixels, np.uint8 if in_levels else np.float32)
    images = torch.from_numpy(colours if colours.flags.writeable else colours.copy()).permute(0, 3, 1, 2)

    def restore(changed: Tensor) -> np.ndarray:
        found = changed.numpy().transpose(0, 2, 3, 1)
        if found.flags.c_contiguous and found.dtype == array.dtype and not with_alpha:
            return found.reshape(array.shape)
        made = np.empty(pixels.shape, array.dtype)
        for channel in range(found.shape[-1]):  # several times faster than all at once
            made[..., channel] = found[..., channel]
        if with_alpha:
            made[..., -1] = pixels[..., -1]
        return made.reshape(array.shape)

    return images if in_levels else _in_unit(images.contiguous(), who), restore


def _check_type(in_levels: bool, in_fractions: bool, dtype: object, shape: tuple[int, ...], who: str) -> None:
    if not (in_levels or in_fractions):
        raise InputError(f"{who}: expected images of type uint8, or floats in [0, 1], got {dtype}.")
    if 0 in shape:
        raise InputError(f"{who}: expected at least one pixel, got an image of shape {shape}.")


def _in_unit(x: Tensor, who: str) -> Tensor:
    low, high = (float(each) for each in x.aminmax())
    if not (low >= 0 and high <= 1):  # a value that is not a number, too
        hint = "; convert whole levels to uint8" if 1 < high <= 255 and low >= 0 else ""
        raise InputError(f"{who}: expected floats in [0, 1], got values from {low:.3g} to {high:.3g}{hint}.")
    return x
