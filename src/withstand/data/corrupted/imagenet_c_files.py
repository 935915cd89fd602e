"""ImagenetCFiles: the published files of ImageNet-C."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from withstand.data.corrupted.cells_in_folders import CellsInFolders
from withstand.data.images.class_folders import ClassFolders
from withstand.data.images.class_map import IMAGENET
from withstand.data.images.decoding import Orientation
from withstand.data.images.files_below import has_folder
from withstand.data.places import data_root
from withstand.reading.addresses import Address

FOLDERS = ("imagenet-c", "ImageNet-C")
PIXELS, CLEAN_RESIZE = 224, 256


@dataclass(frozen=True, kw_only=True)
class ImagenetCFiles(CellsInFolders):
    """The published JPEG files of ImageNet-C, 224 x 224, one cell per corruption and severity.

    Files are read unchanged. Classes have their numbers among the 1,000 of ImageNet, even if some are absent; this
    needs timm.

    Attributes:
        root: Folder of the corruptions, or a folder that contains `imagenet-c/` or `ImageNet-C/`; the corruptions may
            be in the folders of the archives. None takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`, or `clean`; None selects all.
        severity: 1 to 5; None selects all.
        orientation: `apply` turns images upright as their EXIF orientation tag says; `ignore` reads them as stored.
        depth: Most bits per channel; of 16-bit images, 16 reads the upper 8 bits, and 8 rejects them.
        alpha: Background of transparent pixels.
        on_bad_image: `error` stops at a file that is damaged or not an image; `skip` leaves it out.
        clean: Folder of clean images, such as ImageNet's `val/`; they form the cell `clean`, and their shorter side is
            resized to 256.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; the archives blur, digital, extra, noise and weather of
        zenodo.org/records/2235448.
    """

    root: str | None = None
    orientation: Orientation = "ignore"

    command: ClassVar[str] = "imagenet-c"

    def _folder(self) -> Path | Address:
        base = data_root(self.root)
        return next((base / name for name in FOLDERS if has_folder(base, name)), base)

    def _reader(self, *, is_clean: bool) -> ClassFolders:
        return ClassFolders.of(self, pixels=PIXELS, resize=CLEAN_RESIZE if is_clean else None, class_map=IMAGENET)
