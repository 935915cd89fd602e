"""Masks: image files that hold labels of pixels."""

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from withstand.data.images.decoding import Depth
from withstand.data.images.files_below import JPEG_SUFFIXES
from withstand.reading.addresses import Address

AUTO, NONE = "auto", "none"
# Names in VOC, Cityscapes, ADE20K, COCO-Stuff, COCO panoptic, KITTI, Carvana and the Oxford pets, in lower case.
FOLDERS = (
    *("segmentation*", "mask", "masks", "*_masks", "label", "labels", "annotation", "annotations", "trimaps"),
    *("gt", "gt_*", "gtfine", "gtcoarse", "ground_truth", "groundtruth", "panoptic*", "stuffthingmaps"),
)
FILES = ("*_mask", "*_masks", "*_seg", "*_label", "*_labels", "*_labelids", "*_instanceids", "*_gt", "*_trimap")
PNG = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = 0, 3  # colour types of PNG


def is_mask(folder: Path | Address, file: str, patterns: tuple[str, ...], *, depth: Depth) -> bool:
    """Return whether an image file is a mask, which must not be corrupted.

    Args:
        folder: Base of the path.
        file: Path of the file.
        patterns: Shell patterns of the names of folders or files, in any case. `auto` stands for the names in common
            data sets, palette PNG files, and grey PNG files of 1 or 16 bits, but never JPEG files; `none` for none.
        depth: With 16, grey PNG files of 16 bits are images.
    """
    *folders, name = (each.lower() for each in PurePosixPath(file).parts)
    stem = PurePosixPath(name).stem
    for pattern in patterns:
        if pattern == AUTO:
            named = _matches(folders, FOLDERS) or _matches([stem], FILES)
            if not name.endswith(JPEG_SUFFIXES) and (named or _holds_labels(folder / file, depth)):
                return True
        elif pattern != NONE and _matches([*folders, name, stem], (pattern.lower(),)):
            return True
    return False


def _matches(names: list[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _holds_labels(path: Path | Address, depth: Depth) -> bool:
    """Return whether a PNG file has a palette, or one channel of 1 or 16 bits."""
    try:
        header = path.read(0, 26) if isinstance(path, Address) else _start(path, 26)
    except OSError:  # reported when it is decoded
        return False
    if len(header) < 26 or not header.startswith(PNG):
        return False
    bits, colour = header[24:26]
    return colour == PALETTE or (colour == GREY and (bits == 1 or (bits == 16 and depth == 8)))


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
