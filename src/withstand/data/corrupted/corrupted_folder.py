"""CorruptedFolder: your own images, corrupted already, in the layout of ImageNet-C."""

from dataclasses import dataclass, replace
from pathlib import Path

from withstand.data.base import Dataset, Part
from withstand.data.corrupted.cells import Gap, check_cell
from withstand.data.corrupted.corrupted_tree import CorruptedTree
from withstand.data.images.class_map import check_num_classes
from withstand.data.images.file_split import FileSplit, OnBadImage, check_images
from withstand.study.measures.condition import CLEAN


@dataclass(frozen=True, kw_only=True)
class CorruptedFolder(Dataset):
    """Corrupted images in `root/<corruption>/<severity>/<class>/<file>`, a data set per corruption and severity.

    The centre is cut out; nothing is resized. A class's number is the rank of its folder's name among those of all
    cells, unless a class map gives it. Cells of JPEG files are named `fog+jpeg/3`, those of PNG files `fog/3`.

    Attributes:
        root: The folder; corruptions may also lie within `noise/`, `blur/`, `weather/`, `digital/` or `extra/`.
        corruption: A published name such as `fog`, or `clean`; None is all.
        severity: 1 to 5; None is all.
        pixels: Width and height of the inputs.
        class_map: Class numbers by folder name, see ImageFolder.
        num_classes: Number of classes, at least 2; None takes the highest number of the class map + 1 (1,000 for
            `imagenet`), or the number of class folders.
        on_bad_image: Handling of files that are damaged or not an image: `error` stops, `skip` leaves them out.
        clean: Folder of the same images as they were, `<class>/<file>`, which become the cell `clean`.
        clean_resize: Length in pixels of the shorter side of a clean image before the centre is cut out, at least
            `pixels`; None leaves the image unchanged.
    """

    root: str
    corruption: str | None = None
    severity: int | None = None
    pixels: int = 224
    class_map: str | None = None
    num_classes: int | None = None
    on_bad_image: OnBadImage = "error"
    clean: str | None = None
    clean_resize: int | None = 256

    def __post_init__(self) -> None:
        check_num_classes("CorruptedFolder", self.num_classes)
        check_cell("CorruptedFolder", self.corruption, self.severity, has_clean=self.clean is not None)
        resize = self.clean_resize if self.clean is not None else None
        check_images("CorruptedFolder", pixels=self.pixels, resize=resize, on_bad_image=self.on_bad_image)

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
        return CorruptedTree(
            who="CorruptedFolder",
            root=Path(self.root).expanduser(),
            corruption=self.corruption,
            severity=self.severity,
            pixels=self.pixels,
            class_map=self.class_map,
            num_classes=self.num_classes,
            on_bad_image=self.on_bad_image,
            clean=None if self.clean is None else Path(self.clean).expanduser(),
            clean_resize=self.clean_resize,
        )
