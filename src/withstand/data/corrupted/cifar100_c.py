"""Cifar100C: the published arrays of CIFAR-100-C."""

from dataclasses import dataclass
from pathlib import Path

from withstand.data.corrupted.cells_in_arrays import CellsInArrays

# The 100 fine classes in the order of their numbers, which is alphabetical.
CLASSES = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
    pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)


@dataclass(frozen=True, kw_only=True)
class Cifar100C(CellsInArrays):
    """Corrupted test images of CIFAR-100, one cell per corruption and severity; lossless.

    Attributes:
        root: Folder that holds `<corruption>.npy` and `labels.npy`, which may also be in `CIFAR-100-C/` or
            `cifar100-c/`; None takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`; None selects all.
        severity: 1 to 5; None selects all.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; zenodo.org/records/3555552.
    """

    root: str | None = None

    def _folder(self) -> Path:
        return self._find("CIFAR-100-C", "cifar100-c", ".")

    def _classes(self, largest: int) -> tuple[str, ...]:
        return CLASSES
