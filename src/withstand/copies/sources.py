"""The images at the source of a copy: a folder, an image or tar shards, local or at an address."""

from dataclasses import replace
from os.path import realpath
from pathlib import Path
from typing import Any, Literal

from withstand.copies.image_tree import ImageTree
from withstand.data.base import Dataset
from withstand.data.images.files_below import SUFFIXES, files_in, folders_with_images, is_image, walk_images
from withstand.data.images.image_folder import ImageFolder
from withstand.data.shards.shards import is_shards
from withstand.data.shards.web_dataset import WebDataset
from withstand.errors import InputError, brief
from withstand.reading.addresses import Address
from withstand.reading.places import expanded, place_of


def images_at(
    source: str, *, size: int | Literal["original"], resize: int | None, masks: tuple[str, ...], **fields: Any
) -> Dataset | None:
    """Return the images at a path or an address; None if there is no file or folder, so that it may be a name.

    Args:
        source: As the user writes it.
        size: Width and height of the central crop in pixels; `original` keeps images whole.
        resize: Length of the shorter side before the crop; None takes 8/7 of the size.
        masks: See ImageTree.
        fields: How images are decoded, see ImageTree.

    Raises:
        InputError: If there is no image, nothing at an address, or the options do not fit.
    """
    path = place_of(source)
    if is_shards(source, path):
        if size == "original":
            raise InputError(f"corrupt: --size original needs a folder of images; unpack the shards {brief(source)}.")
        pattern = source if isinstance(path, Address) else realpath(expanded(source))
        return WebDataset(path=pattern, pixels=size, resize=_shorter_side(size, resize), **fields)
    if path.is_file() or path.is_dir():
        return _files(path, size, resize, masks, fields)
    if isinstance(path, Address):
        raise InputError(f"corrupt: found no folder of images, image or shard at {brief(source)}.")
    if size == "original":
        raise InputError(f"corrupt: --size original needs a folder of images, found none at {brief(source)}.")
    return None


def _files(
    path: Path | Address,
    size: int | Literal["original"],
    resize: int | None,
    masks: tuple[str, ...],
    fields: dict[str, Any],
) -> Dataset:
    if path.is_dir() and next(walk_images(path), None) is None:
        raise InputError(f"corrupt: found no image in {path} ({', '.join(SUFFIXES)}).")
    whole = ImageTree(path=str(path.resolve()), masks=masks, **fields)
    if size == "original":
        if resize is not None:
            raise InputError(f"corrupt: resize needs a size in pixels, got size original and resize {resize}.")
        return whole
    side = _shorter_side(size, resize)
    is_beside = path.is_file() or any(map(is_image, files_in(path)))
    if is_beside or len(folders_with_images(path)) < 2:
        return replace(whole, pixels=size, resize=side)
    return ImageFolder(root=whole.path, pixels=size, resize=side, **fields)


def _shorter_side(size: int, resize: int | None) -> int:
    side = round(size * 8 / 7) if resize is None else resize
    if side < size:
        raise InputError(f"corrupt: resize must be at least size ({size}), got {side}.")
    return side
