"""ArraySplit: images in a memory-mapped array, read batch by batch."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from withstand.data.base import Plan, Split, to_unit
from withstand.data.checks import as_plan, check_labels
from withstand.data.sample import Sample
from withstand.functional.tensors import Device


class ArraySplit(Split):
    """Images in an array that may be memory-mapped; at most one batch is in memory."""

    def __init__(
        self,
        images: UInt8[np.ndarray, "image height width channel"],
        y: Int[Tensor, " image"],
        *,
        classes: tuple[str, ...],
    ) -> None:
        """Keep the array.

        Args:
            images: One image per row, channels last.
            y: One label per image.
            classes: Names of the classes.
        """
        check_labels(y, len(classes))
        self.images, self.y, self.classes = images, y, classes
        height, width, channels = images.shape[1:]
        self.shape, self.box = (channels, height, width), (0.0, 1.0)

    def __len__(self) -> int:
        return len(self.images)

    def batches(
        self, plan: Plan, *, device: Device = "cpu", num_workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Sample]:
        """Read the rows; there is no augmentation."""
        for rows in as_plan(plan, len(self)):
            rows = rows.cpu()
            chosen = np.array(self.images[rows.numpy()].transpose(0, 3, 1, 2), order="C")
            x, y, index = (each.to(device) for each in (torch.from_numpy(chosen), self.y[rows], rows))
            yield Sample(to_unit(x), y, index)
