"""Stylized: images of another folder that join the training batches."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.images.prefetched_folder import PrefetchedFolder, Slice
from withstand.data.places import find_folder
from withstand.errors import InputError
from withstand.functional.random import BatchStream, Rng


class Share(NamedTuple):
    """Images that a process adds to its part of a batch.

    Attributes:
        x: Images.
        y: Labels.
        scale: Factor of the mean loss over the process's rows, added ones included. With it, the means of all
            processes, weighted by their parts of the batch without these images, sum to the mean over all rows.
    """

    x: Float[Tensor, "added 3 pixels pixels"]
    y: Int[Tensor, " added"]
    scale: float


class Stylized:
    """Adds random images of a folder to every batch; they depend on the seed and the number of the step only.

    Attributes:
        images: Source of the images.
        ratio: Number of images per row of the batch.
        seed: Seed of the choice of images, crops and flips.
    """

    def __init__(self, folder: str, *, shape: tuple[int, ...], ratio: float, seed: int) -> None:
        """List the files.

        Args:
            folder: Holds `train/<class>/<file>`; looked for as written, then under the data root.
            shape: Shape of an input.
            ratio: See above.
            seed: See above.

        Raises:
            InputError: If there is no such folder, or inputs are not square colour images.
        """
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise InputError(
                f"AdversarialNoise: stylized images need inputs that are square colour images, got shape {shape}."
            )
        root = find_folder("AdversarialNoise", folder, option="objective.stylized")
        self.images, self.ratio, self.seed = PrefetchedFolder(root, pixels=shape[-1]), ratio, seed

    def share(self, x: Float[Tensor, "batch *feature"], *, count: int, rng: Rng) -> Share:
        """Return the images that this process adds to its rows x of a batch.

        Args:
            x: The rows.
            count: Number of the step.
            rng: Random source of the batch; it holds the position of x in the batch.
        """
        start, stop, total = (rng.start, rng.stop, rng.total) if isinstance(rng, BatchStream) else (0, len(x), len(x))
        added = round(self.ratio * total)
        wanted = Slice(added * start // total, added * stop // total, added, self.seed)
        batch = self.images.draw(count, wanted)
        share = (len(x) + len(batch.x)) / (total + added)
        scale = share / ((stop - start) / total)
        return Share(batch.x.to(x.device), batch.y.to(x.device), scale)

    def check_logits(self, logits: Float[Tensor, "row class"]) -> None:
        """Reject a folder with another number of classes than the model."""
        split = self.images.split
        if logits.shape[1] != len(split.classes):
            raise InputError(
                f"AdversarialNoise: the stylized images must have the classes of the data, got {len(split.classes)} "
                f"class folders in {split.folder} for {logits.shape[1]} logits."
            )
