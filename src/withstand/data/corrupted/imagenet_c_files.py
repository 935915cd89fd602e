"""ImagenetCFiles: the published files of ImageNet-C."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from withstand.data.base import Dataset, Part
from withstand.data.corrupted.cells import Gap, check_cell
from withstand.data.corrupted.corrupted_tree import CorruptedTree
from withstand.data.images.file_split import FileSplit, OnBadImage, check_images
from withstand.data.places import data_root
from withstand.study.measures.condition import CLEAN

FOLDERS = ("imagenet-c", "ImageNet-C")
PIXELS, CLEAN_RESIZE = 224, 256


@dataclass(frozen=True, kw_only=True)
class ImagenetCFiles(Dataset):
    """The published JPEG files of ImageNet-C, 224 x 224, a data set per corruption and severity.

    They are read unchanged. Classes keep their numbers among the 1,000, also where some are absent; this needs timm.

    Attributes:
        root: Folder that holds the corruptions, also within `imagenet-c/` or `ImageNet-C/`, and there in the folders
            that the archives have; None takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`, or `clean`; None is all.
        severity: 1 to 5; None is all.
        on_bad_image: Handling of files that are damaged or not an image: `error` stops, `skip` leaves them out.
        clean: Folder of the clean images, e.g. ImageNet's `val/`, which become the cell `clean`; their shorter side is
            resized to 256.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; the archives blur, digital, extra, noise and weather of
        zenodo.org/records/2235448.
    """

    root: str | None = None
    corruption: str | None = None
    severity: int | None = None
    on_bad_image: OnBadImage = "error"
    clean: str | None = None

    command: ClassVar[str] = "imagenet-c"

    def __post_init__(self) -> None:
        check_cell("ImagenetCFiles", self.corruption, self.severity, has_clean=self.clean is not None)
        check_images("ImagenetCFiles", pixels=PIXELS, resize=CLEAN_RESIZE, on_bad_image=self.on_bad_image)

    def load(self, part: Part) -> FileSplit:
        """List the files of the selected cell; they are decoded when they are fetched."""
        return self._tree().load(part)

    def cells(self) -> dict[str, Dataset]:
        """Look for the folders of all cells."""
        return {
            name: replace(self, corruption=corruption, severity=severity, clean=self.clean if name == CLEAN else None)
            for name, (corruption, severity) in self._tree().cells().items()
        }

    def missing(self) -> list[Gap]:
        """Count the files of all cells."""
        return self._tree().missing()

    def _tree(self) -> CorruptedTree:
        base = data_root(self.root)
        return CorruptedTree(
            who="ImagenetCFiles",
            root=next((base / name for name in FOLDERS if (base / name).is_dir()), base),
            corruption=self.corruption,
            severity=self.severity,
            pixels=PIXELS,
            class_map="imagenet",
            num_classes=None,
            on_bad_image=self.on_bad_image,
            clean=None if self.clean is None else Path(self.clean).expanduser(),
            clean_resize=CLEAN_RESIZE,
        )
