"""PrefetchedFolder: random images of a folder for each training step, decoded ahead."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from withstand.data.images.image_folder import ImageFolder
from withstand.data.sample import Sample
from withstand.functional.random import derive_seed, integers, stream
from withstand.reading.addresses import Address

THREADS = 4  # Pillow releases the interpreter lock while decoding
AHEAD = 4  # steps


class Slice(NamedTuple):
    """The images of a step that one process needs.

    Attributes:
        start: First of them.
        stop: One past the last.
        total: Images of all processes together.
        seed: Seed of the draw.
    """

    start: int
    stop: int
    total: int
    seed: int


class PrefetchedFolder:
    """Draws random images with random crops for each step, and decodes those of the next steps in the background.

    Images depend on the seed and the number of the step only, so a resumed training gets the same ones.

    Attributes:
        split: The training part of the folder.
    """

    def __init__(self, folder: Path | Address, *, pixels: int) -> None:
        """List the files.

        Args:
            folder: Holds `train/<class>/<file>`.
            pixels: Width and height of the crops.

        Raises:
            InputError: If there are no such files.
        """
        data = ImageFolder(root=str(folder), validation_share=0.0, pixels=pixels, resize=None)
        self.split = data.load("train")
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stylized")
        self.ahead: dict[int, tuple[Slice, Future[Sample]]] = {}

    def draw(self, count: int, wanted: Slice) -> Sample:
        """Return images of step number `count`."""
        guess, future = self.ahead.pop(count, (None, None))
        batch = future.result() if future is not None and guess == wanted else self._read(count, wanted)
        # Most batches have the same size. A wrong guess, at the end of an epoch, is read when its step comes.
        steps = range(count + 1, count + 1 + AHEAD)
        for passed in self.ahead.keys() - set(steps):
            self.ahead.pop(passed)[1].cancel()
        for step in steps:
            if step not in self.ahead:
                self.ahead[step] = wanted, self.pool.submit(self._read, step, wanted)
        return batch

    def _read(self, count: int, wanted: Slice) -> Sample:
        rng = stream(wanted.seed, "stylized", count)
        rows = integers((wanted.total,), 0, len(self.split), rng=rng)[wanted.start : wanted.stop]
        seed = derive_seed(wanted.seed, "stylized/augmentation", count)
        return next(iter(self.split.batches([rows], augmentation_seed=seed)))
