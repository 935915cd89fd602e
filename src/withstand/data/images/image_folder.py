"""ImageFolder: your own images, sorted into one folder per class."""

from dataclasses import dataclass
from pathlib import Path

from withstand.data.base import Dataset, Part, check_part
from withstand.data.images.class_folders import ClassFolders, usual_parts
from withstand.data.images.class_map import NumClasses
from withstand.data.images.decoding import Alpha, Depth, Orientation
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.files_below import subfolders
from withstand.errors import InputError
from withstand.limits import PositiveInt, Share
from withstand.reading.addresses import Address
from withstand.reading.places import place_of


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Images in `root/<part>/<class>/<file>`; if the root itself holds class folders, all images are test images.

    A class map numbers the classes. Without one, they are numbered in the order of the folder names of the training
    part, or of the test part if it is the only one.

    Attributes:
        root: The folder.
        train: Name of the folder of the training part.
        validation: Name of the folder of the validation part; None splits it off from the training part.
        validation_share: Share of the training part to split off for validation, at least 0 and below 1.
        test: Name of the folder of the test part.
        pixels: Width and height of the inputs.
        resize: Length in pixels of the shorter side before the centre crop, at least `pixels`; None does not resize.
        class_map: Path of a JSON object {folder: class number} or of a text file with `folder number` on each line; or
            `imagenet`, the usual order of the 1,000 classes, whose folders are named n01440764 and so on.
        num_classes: Number of classes, at least 2; None takes the highest number of the class map + 1 (1,000 for
            `imagenet`), or the number of class folders.
        orientation: `apply` turns images upright as their EXIF orientation tag says; `ignore` reads them as stored.
        depth: Most bits per channel; of 16-bit images, 16 reads the upper 8 bits, and 8 rejects them.
        alpha: Background of transparent pixels.
        on_bad_image: `error` stops at a file that is damaged or not an image; `skip` leaves it out.
    """

    root: str
    train: str = "train"
    validation: str | None = None
    validation_share: Share = 0.1
    test: str = "val"
    pixels: PositiveInt = 224
    resize: PositiveInt | None = 256
    class_map: str | None = None
    num_classes: NumClasses | None = None
    orientation: Orientation = "apply"
    depth: Depth = 8
    alpha: Alpha = "white"
    on_bad_image: OnBadImage = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._reader()

    def load(self, part: Part) -> FileSplit:
        """List the files; they are decoded when fetched."""
        check_part("ImageFolder", part)
        root = place_of(self.root)
        folder, train = self._folder(root, part), root / self.train
        return self._reader().read(
            folder,
            ranked=[train if train.is_dir() else folder],
            part=part,
            validation=self.validation_share if self.validation is None else None,
        )

    def _reader(self) -> ClassFolders:
        return ClassFolders.of(self)

    def _folder(self, root: Path | Address, part: Part) -> Path | Address:
        """Return the folder that holds the class folders of a part."""
        if not root.is_dir():
            raise InputError(f"ImageFolder: root must be a folder, found none at {root}.")
        name = {"train": self.train, "validation": self.validation or self.train, "test": self.test}[part]
        if (root / name).is_dir():
            return root / name
        named = (self.train, self.validation, self.test)
        there = [each for each in subfolders(root) if each in named]
        there += [each for each in usual_parts(root) if each not in there]
        if not there and part == "test":
            return root
        if not there:
            self._reader().folders(root)  # a root without images is refused as such
            raise InputError(f"ImageFolder: {root} has no folder {name!r}, so it can only serve as test part.")
        field = "train" if name == self.train else part
        raise InputError(
            f"ImageFolder: {root} has no folder {name!r}, found {', '.join(there)}; name another with --data.{field}."
        )
