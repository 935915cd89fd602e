"""Originals: the images of a tree in their own sizes."""

import logging
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from withstand.copies.image_tree import ImageTree, classes_of
from withstand.data.images.decoding import FRAMES, NOTES, orientation_of
from withstand.data.images.image_file import explain, open_image
from withstand.errors import InputError
from withstand.perturbations.base import Pixels
from withstand.perturbations.corruptions.suites import nearest_pixels

LEAST_SIDE = 32  # pixels; the smallest images of the published corruptions

log = logging.getLogger("withstand")


class Original(NamedTuple):
    """An image in its own size.

    Attributes:
        levels: Its pixels, upright unless the orientation tag is ignored.
        tag: The orientation tag of the file.
        is_turned: Whether the pixels were turned upright.
    """

    levels: UInt8[Tensor, "3 height width"]
    tag: int
    is_turned: bool


class Originals:
    """The images of a tree in their own sizes, and its other files.

    Attributes:
        folder: Base of the paths.
        files: Images to corrupt.
        masks: Images whose pixels are labels.
        others: All other files.
        classes: Names of the first folders.
        y: Class of each image.
        bad: Reason by row of each unreadable image found so far.
    """

    def __init__(self, tree: ImageTree) -> None:
        """List the files."""
        self.tree, self.folder = tree, tree.folder
        self.files, self.masks, self.others = tree.listing()
        self.classes, self.y = classes_of(self.files)
        self.bad: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.files)

    def survey(self) -> dict[Pixels, int]:
        """Check the header of every image, and return the number of images by nearest published size.

        Raises:
            InputError: If a file is not an image, or is too small or too deep, and bad images are an error.
        """
        sizes: Counter[Pixels] = Counter()
        num_animated = 0
        for row, file in enumerate(self.files):
            path = self.folder / file
            try:
                with open_image(path) as image:
                    self._check(image)
                    sizes[nearest_pixels(image.height, image.width)] += 1
                    num_animated += image.format != "MPO" and getattr(image, "is_animated", False)
            except InputError:  # no file can be read
                raise
            except Exception as error:  # decoders raise any exception
                self._report(row, explain(path, error))
        if num_animated:
            log.warning("corrupt: %s.", NOTES[FRAMES].format(f"{num_animated:,} of {len(self):,} images"))
        return dict(sorted(sizes.items()))

    def read(self, row: int) -> Original | None:
        """Return an image, or None if it is left out.

        Raises:
            InputError: If it cannot be read, and bad images are an error.
        """
        path, decoding = self.folder / self.files[row], self.tree.decoding
        try:
            with open_image(path) as image:
                self._check(image)
                tag, is_turned = orientation_of(image), decoding.turn(image) > 1
                levels = np.array(decoding.to_rgb(image)).transpose(2, 0, 1)
        except InputError:
            raise
        except Exception as error:  # decoders raise any exception
            self._report(row, explain(path, error))
            return None
        return Original(torch.from_numpy(levels), tag, is_turned)

    def _check(self, image: Image.Image) -> None:
        self.tree.decoding.check(image)
        if min(image.size) < LEAST_SIDE:
            size, least = f"{image.width} x {image.height}", f"{LEAST_SIDE} x {LEAST_SIDE}"
            raise OSError(f"it has {size} pixels, expected at least {least}")

    def _report(self, row: int, reason: str) -> None:
        sentence = f"corrupt: {self.folder / self.files[row]} cannot be read as an image ({reason})"
        if self.tree.on_bad_image == "error":
            raise InputError(f"{sentence}.")
        if row not in self.bad:
            self.bad[row] = reason
            log.warning("%s; it is left out.", sentence)
