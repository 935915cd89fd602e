"""Cifar100: small colour photographs in a hundred classes."""

from dataclasses import dataclass

from withstand.data.base import Dataset, Part, TensorSplit
from withstand.data.images.cifar import Cifar, load_cifar
from withstand.limits import Share

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
VERSIONS = ("cifar-100-python", "cifar-100-binary")
CIFAR100 = Cifar(
    who="Cifar100",
    title="CIFAR-100",
    versions=VERSIONS,
    folders=(*(f"{place}{each}" for each in VERSIONS for place in ("", "cifar100/")), "cifar100", "."),
    train=("train",),
    test="test",
    labels="fine_labels",
    label_bytes=2,
    records={"train": 50_000, "test": 10_000},
    classes=CLASSES,
)


@dataclass(frozen=True, kw_only=True)
class Cifar100(Dataset):
    """50,000 + 10,000 colour photographs of 32 x 32 pixels in 100 classes, the fine ones.

    Incomplete files are allowed and logged as warnings.

    Attributes:
        root: Folder that holds `cifar-100-python/` or `cifar-100-binary/` (which may be in `cifar100/`), or the files
            themselves; None takes `$WITHSTAND_DATA`.
        validation: Share of the training file for validation, at least 0 and below 1.
        augment: Whether to crop training images at random (after padding by 4 pixels) and flip them horizontally.

    Source:
        Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    root: str | None = None
    validation: Share = 0.1
    augment: bool = True

    def load(self, part: Part) -> TensorSplit:
        """Read the Python or the binary version."""
        return load_cifar(CIFAR100, part, root=self.root, validation=self.validation, augment=self.augment)
