"""Cifar100C: the published arrays of CIFAR-100-C."""

from dataclasses import dataclass, replace

from withstand.data.base import Dataset, Part
from withstand.data.corrupted.cells import Gap, check_cell
from withstand.data.corrupted.corrupted_stack import LABELS, CorruptedStack
from withstand.data.images.array_split import ArraySplit
from withstand.data.places import find

FOLDERS = ("CIFAR-100-C", "cifar100-c", ".")
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
class Cifar100C(Dataset):
    """Corrupted test images of CIFAR-100, a data set per corruption and severity; saved without loss.

    Attributes:
        root: Folder that holds `<corruption>.npy` and `labels.npy`, also within `CIFAR-100-C/` or `cifar100-c/`; None
            takes `$WITHSTAND_DATA`.
        corruption: A published name such as `fog`; None is all.
        severity: 1 to 5; None is all.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261; zenodo.org/records/3555552.
    """

    root: str | None = None
    corruption: str | None = None
    severity: int | None = None

    def __post_init__(self) -> None:
        check_cell("Cifar100C", self.corruption, self.severity)

    def load(self, part: Part) -> ArraySplit:
        """Open the array of the selected cell."""
        return self._stack().load(part)

    def cells(self) -> dict[str, Dataset]:
        """Look for the arrays of all corruptions."""
        found = self._stack().cells().items()
        return {name: replace(self, corruption=cell.corruption, severity=cell.severity) for name, cell in found}

    def missing(self) -> list[Gap]:
        """Return the missing cells."""
        return self._stack().missing()

    def _stack(self) -> CorruptedStack:
        places = (f"{folder}/{LABELS}".removeprefix("./") for folder in FOLDERS)
        return CorruptedStack(
            who="Cifar100C",
            folder=find(self.root, "Cifar100C", *places).parent,
            corruption=self.corruption,
            severity=self.severity,
            classes=CLASSES,
        )
