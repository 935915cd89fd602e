"""Imagenet: the 1,000 classes of ILSVRC 2012."""

import re
from dataclasses import dataclass
from pathlib import Path

from withstand.data.base import Dataset, Part, check_part
from withstand.data.images.class_folders import ClassFolders, usual_parts
from withstand.data.images.decoding import Alpha, Depth, Orientation
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.places import data_root, find
from withstand.errors import InputError
from withstand.limits import PositiveInt, Share
from withstand.reading.addresses import Address

NUM_CLASSES = 1000
FOLDERS = ("imagenet", "ILSVRC/Data/CLS-LOC", ".")


@dataclass(frozen=True, kw_only=True)
class Imagenet(Dataset):
    """1.28 million photographs in `train/<class>/`, and 50,000 in `val/<class>/`, the test part.

    Attributes:
        root: Folder that holds `train/` and `val/`, which may also be in `imagenet/` or `ILSVRC/Data/CLS-LOC/`; None
            takes `$WITHSTAND_DATA`.
        validation: Share of the training part for validation, at least 0 and below 1.
        pixels: Width and height of the inputs.
        resize: Length in pixels of the shorter side before the centre crop, at least `pixels`.
        class_map: None expects all 1,000 class folders. With `imagenet` (or a file, see ImageFolder), there may be
            fewer folders, whose classes have their numbers among the 1,000.
        orientation: `apply` turns images upright as their EXIF orientation tag says; `ignore` reads them as stored.
        depth: Most bits per channel; of 16-bit images, 16 reads the upper 8 bits, and 8 rejects them.
        alpha: Background of transparent pixels.
        on_bad_image: `error` stops at a file that is damaged or not an image; `skip` leaves it out.

    Source:
        Russakovsky et al. 2015, arXiv 1409.0575.
    """

    root: str | None = None
    validation: Share = 0.02
    pixels: PositiveInt = 224
    resize: PositiveInt | None = 256
    class_map: str | None = None
    orientation: Orientation = "ignore"
    depth: Depth = 8
    alpha: Alpha = "white"
    on_bad_image: OnBadImage = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._reader()

    def load(self, part: Part) -> FileSplit:
        """List the files; they are decoded when fetched."""
        check_part("Imagenet", part)
        name = "val" if part == "test" else "train"
        folder = self._find(name)
        if self.class_map is None:
            self._check_complete(folder)
        return self._reader().read(folder, ranked=[folder], part=part, validation=self.validation)

    def _reader(self) -> ClassFolders:
        return ClassFolders.of(self, num_classes=NUM_CLASSES)

    def _find(self, name: str) -> Path | Address:
        try:
            return find(self.root, "Imagenet", *(f"{place}/{name}".removeprefix("./") for place in FOLDERS))
        except InputError as error:
            base = data_root(self.root)
            there = [str(Path(place, each)) for place in FOLDERS for each in usual_parts(base / place)]
            if not there:
                raise
            raise InputError(
                f"Imagenet: expected a folder {name!r} under {base}, found {', '.join(there)}; rename or link it."
            ) from error

    def _check_complete(self, folder: Path | Address) -> None:
        names = self._reader().folders(folder)
        if len(names) != NUM_CLASSES:
            raise InputError(
                f"Imagenet: expected {NUM_CLASSES:,} class folders in {folder}, got {len(names):,}; "
                "with --data.class_map imagenet there may be fewer."
            )
        wrong = next((name for name in names if not re.fullmatch(r"n\d{8}", name)), None)
        if wrong is not None:
            raise InputError(
                f"Imagenet: class folders must have names such as n01440764, got {wrong!r} in {folder}; "
                "give their numbers in a file with --data.class_map FILE."
            )
