"""ImageFolder: your own images, sorted into one folder per class."""

from dataclasses import dataclass
from pathlib import Path

import torch

from withstand.data.base import Dataset, Part, check_part, check_shares, cut
from withstand.data.images.class_map import check_num_classes
from withstand.data.images.class_tree import list_classes, list_images, number_classes
from withstand.data.images.file_split import FileSplit, OnBadImage, check_images
from withstand.errors import InputError

USUAL = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Images in `root/<part>/<class>/<file>`; a root with class folders directly in it is a test part.

    A class's number is the rank of its folder's name among those of the training part (without one, of the
    part itself), unless a class map gives it.

    Attributes:
        root: The folder.
        train: Name of the folder of the training part.
        validation: Name of the folder of the validation part; None cuts it from the training part.
        validation_share: Share of the training part for validation, at least 0 and below 1, if it is cut.
        test: Name of the folder of the test part.
        pixels: Width and height of the inputs.
        resize: Length in pixels of the shorter side before the centre is cut out, at least `pixels`; None
            leaves the image unchanged.
        class_map: Path of a JSON object {folder: class number} or of a text file with `folder number` on each
            line; or `imagenet`, the usual order of the 1,000 classes whose folders are n01440764 and so on.
        num_classes: Number of classes, at least 2; None takes the highest number of the class map + 1 (1,000 for
            `imagenet`), or the number of class folders.
        on_bad_image: Handling of files that are damaged or not an image: `error` stops, `skip` leaves them out.
    """

    root: str
    train: str = "train"
    validation: str | None = None
    validation_share: float = 0.1
    test: str = "val"
    pixels: int = 224
    resize: int | None = 256
    class_map: str | None = None
    num_classes: int | None = None
    on_bad_image: OnBadImage = "error"

    def __post_init__(self) -> None:
        check_shares("ImageFolder", self.validation_share)
        check_num_classes("ImageFolder", self.num_classes)
        check_images("ImageFolder", pixels=self.pixels, resize=self.resize, on_bad_image=self.on_bad_image)

    def load(self, part: Part) -> FileSplit:
        """List the files; they are decoded when they are fetched."""
        check_part("ImageFolder", part)
        root = Path(self.root).expanduser()
        return load_tree(
            "ImageFolder",
            part,
            folder=self._folder(root, part),
            train=root / self.train,
            validation=self.validation_share if self.validation is None else None,
            pixels=self.pixels,
            resize=self.resize,
            class_map=self.class_map,
            num_classes=self.num_classes,
            on_bad_image=self.on_bad_image,
        )

    def _folder(self, root: Path, part: Part) -> Path:
        """Return the folder that holds the class folders of a part."""
        if not root.is_dir():
            raise InputError(f"ImageFolder: root must be a folder, found none at {root}.")
        name = {"train": self.train, "validation": self.validation or self.train, "test": self.test}[part]
        if (root / name).is_dir():
            return root / name
        there = [each for each in dict.fromkeys((self.train, self.validation, self.test, *USUAL)) if each]
        there = [each for each in there if (root / each).is_dir()]
        if not there and part == "test":
            return root
        if not there:
            raise InputError(f"ImageFolder: {root} has no folder {name!r}, so it can only serve as test part.")
        field = "train" if name == self.train else part
        raise InputError(
            f"ImageFolder: {root} has no folder {name!r}, found {', '.join(there)}; name another with --data.{field}."
        )


def load_tree(
    who: str,
    part: Part,
    *,
    folder: Path,
    train: Path,
    validation: float | None,
    pixels: int,
    resize: int | None,
    class_map: str | None,
    num_classes: int | None,
    on_bad_image: OnBadImage,
) -> FileSplit:
    """Return one part of a tree of class folders.

    Args:
        who: Name of the data set, for messages.
        part: The part.
        folder: Parent of its class folders.
        train: Folder of the training part, whose class folders give the numbers if it is there.
        validation: Share of the training part for validation; None if validation has a folder of its own.
        pixels: Width and height of the inputs.
        resize: Length of the shorter side before the centre is cut out; None does not resize.
        class_map: Class numbers by folder name instead of ranks.
        num_classes: Number of classes; None takes it from the map or the number of folders.
        on_bad_image: Handling of files that are damaged or not an image.

    Raises:
        InputError: If folders are missing or empty, or a class has no number.
    """
    found = list_classes(who, folder)
    reference = list_classes(who, train) if class_map is None and train.is_dir() else found
    numbers, classes = number_classes(
        who, folder, found, reference=reference, class_map=class_map, num_classes=num_classes
    )
    files, rank = list_images(who, folder, found)
    split = FileSplit(
        who,
        folder=folder,
        files=files,
        y=numbers[rank],
        classes=classes,
        pixels=pixels,
        resize=resize,
        on_bad_image=on_bad_image,
    )
    if part == "test" or validation is None:
        return split
    # Cut by folder, not by class: several folders can be one class.
    rows: torch.Tensor = cut(rank, validation=validation)[part]
    return split.select(rows)
