"""Images of another folder that join the training batches, decoded ahead of the steps that need them."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from withstand.data.images.image_folder import ImageFolder
from withstand.data.places import data_root
from withstand.data.sample import Sample
from withstand.errors import InputError
from withstand.functional.random import BatchStream, Rng, derive_seed, integers, stream

THREADS = 4  # Pillow decodes without holding the interpreter, so threads do
AHEAD = 4  # steps


class Part(NamedTuple):
    """Which of a step's images a process needs, and what they are drawn from.

    Attributes:
        start: Number of the first one.
        stop: The number behind the last.
        added: How many all processes need together.
        seed: Decides which images they are.
    """

    start: int
    stop: int
    added: int
    seed: int


class Share(NamedTuple):
    """What a process adds to its part of a batch.

    Attributes:
        x: Images.
        y: Labels.
        scale: What the mean loss of the process's rows, these included, is multiplied by, so that the means of all
            processes, weighted by their parts of the batch without these, add up to the mean over all rows.
    """

    x: Float[Tensor, "added 3 pixels pixels"]
    y: Int[Tensor, " added"]
    scale: float


class Stylized:
    """Draws images from a folder, a number of them for every step, the same ones whenever that step is done.

    The images of a step and their random crops depend on the seed and the number of the step only, so nothing needs to
    be remembered. Those of the next steps are decoded in the background.

    Attributes:
        num_classes: Number of classes of the folder.
        seed: Decides which images, and how they are cropped and flipped.
    """

    def __init__(self, folder: str, *, shape: tuple[int, ...], ratio: float, seed: int) -> None:
        """List the files.

        Args:
            folder: Holds `train/<class>/<file>`; looked for as it is written, then under the data root.
            shape: Of an input.
            ratio: Number of images per row of the batch.
            seed: See above.

        Raises:
            InputError: If there is no such folder, or inputs are not square colour images.
        """
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise InputError(
                f"AdversarialNoise: stylized images need inputs that are square colour images, got shape {shape}."
            )
        root = ImageFolder(root=str(_find(folder)), validation_share=0.0, pixels=shape[-1], resize=None)
        self.split, self.ratio, self.seed = root.load("train"), ratio, seed
        self.num_classes = len(self.split.classes)
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stylized")
        self.ahead: dict[int, tuple[Part, Future[Sample]]] = {}

    def share(self, x: Float[Tensor, "batch *feature"], *, count: int, rng: Rng) -> Share:
        """Return what this process adds to its rows x of the batch of a step.

        Args:
            x: The rows.
            count: Number of the step.
            rng: The source of the batch, which knows what part of it x is.
        """
        start, stop, total = (rng.start, rng.stop, rng.total) if isinstance(rng, BatchStream) else (0, len(x), len(x))
        added = round(self.ratio * total)
        part = Part(added * start // total, added * stop // total, added, self.seed)
        guess, future = self.ahead.pop(count, (None, None))
        batch = future.result() if future is not None and guess == part else self._read(count, part)
        self._look_ahead(count, part)
        mine = (len(x) + len(batch.x)) / (total + added)
        scale = mine / ((stop - start) / total)
        return Share(batch.x.to(x.device), batch.y.to(x.device), scale)

    def check_logits(self, logits: Float[Tensor, "row class"]) -> None:
        """Refuse a folder with another number of classes than the model."""
        if logits.shape[1] != self.num_classes:
            raise InputError(
                f"AdversarialNoise: the stylized images must have the classes of the data, got {self.num_classes} "
                f"class folders in {self.split.folder} for {logits.shape[1]} logits."
            )

    def _look_ahead(self, count: int, part: Part) -> None:
        # Most steps have batches of the same size, so the next ones are likely to need what this one did. Where one
        # does not, at the end of an epoch, its images are read when it is done.
        wanted = range(count + 1, count + 1 + AHEAD)
        for passed in self.ahead.keys() - set(wanted):
            self.ahead.pop(passed)[1].cancel()
        for later in wanted:
            if later not in self.ahead:
                self.ahead[later] = part, self.pool.submit(self._read, later, part)

    def _read(self, count: int, part: Part) -> Sample:
        rng = stream(part.seed, "stylized", count)
        rows = integers((part.added,), 0, len(self.split), rng=rng)[part.start : part.stop]
        seed = derive_seed(part.seed, "stylized/augmentation", count)
        return next(iter(self.split.batches([rows], augmentation_seed=seed)))


def _find(folder: str) -> Path:
    places = [Path(folder).expanduser()]
    if not places[0].is_absolute():
        places.append(data_root(None) / folder)
    for place in places:
        if place.is_dir():
            return place
    raise InputError(
        f"AdversarialNoise: stylized must be a folder, found none at {' or '.join(map(str, places))}; say where with "
        "--objective.stylized DIR."
    )
