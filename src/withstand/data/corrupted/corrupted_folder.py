"""CorruptedFolder: your own corrupted images in the folder layout of ImageNet-C."""

from dataclasses import dataclass, replace
from pathlib import Path

from withstand.data.corrupted.cells_in_folders import CellsInFolders
from withstand.data.images.class_folders import ClassFolders
from withstand.data.images.class_map import MANIFEST, NumClasses
from withstand.limits import PositiveInt
from withstand.reading.addresses import Address
from withstand.reading.places import place_of


@dataclass(frozen=True, kw_only=True)
class CorruptedFolder(CellsInFolders):
    """Corrupted images in `root/<corruption>/<severity>/<class>/<file>`, one cell per corruption and severity.

    Images are centre-cropped, not resized. Classes are numbered by a class map, if there is one, otherwise by the
    manifest of the copy, otherwise in the order of the names of the class folders of all cells. Cells of JPEG files are
    named `fog+jpeg/3`, those of PNG files `fog/3`.

    Attributes:
        root: The folder; corruptions may also be in subfolders `noise/`, `blur/`, `weather/`, `digital/` or `extra/`.
        corruption: A published name such as `fog`, or `clean`; None selects all.
        severity: 1 to 5; None selects all.
        orientation: `apply` turns images upright as their EXIF orientation tag says; `ignore` reads them as stored.
        depth: Most bits per channel; of 16-bit images, 16 reads the upper 8 bits, and 8 rejects them.
        alpha: Background of transparent pixels.
        on_bad_image: `error` stops at a file that is damaged or not an image; `skip` leaves it out.
        clean: Folder of the same images without corruption, as `<class>/<file>`; they form the cell `clean`.
        clean_resize: Length in pixels of the shorter side of a clean image before the centre crop, at least `pixels`;
            None does not resize.
        pixels: Width and height of the inputs.
        class_map: Class numbers by folder name, see ImageFolder.
        num_classes: Number of classes, at least 2; None takes it from the class map or the number of class folders.
    """

    root: str
    pixels: PositiveInt = 224
    class_map: str | None = None
    num_classes: NumClasses | None = None
    clean_resize: PositiveInt | None = 256

    def _folder(self) -> Path | Address:
        return place_of(self.root)

    def _reader(self, *, is_clean: bool) -> ClassFolders:
        return ClassFolders.of(self, resize=self.clean_resize if is_clean else None)

    def _numbered(self, reader: ClassFolders) -> ClassFolders:
        manifest = self._folder() / MANIFEST
        return replace(reader, class_map=str(manifest)) if self.class_map is None and manifest.is_file() else reader
