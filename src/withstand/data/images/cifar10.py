"""Cifar10: small colour photographs in ten classes."""

from dataclasses import dataclass

from withstand.data.base import Dataset, Part, TensorSplit
from withstand.data.images.cifar import Cifar, load_cifar
from withstand.limits import Share

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
VERSIONS = ("cifar-10-batches-py", "cifar-10-batches-bin")
CIFAR10 = Cifar(
    who="Cifar10",
    title="CIFAR-10",
    versions=VERSIONS,
    folders=(
        *(f"{place}{each}" for each in VERSIONS for place in ("", "cifar10/")),
        "cifar10/cifar-10-batches-bin-partial",
        "cifar10",
        ".",
    ),
    train=TRAIN,
    test="test_batch",
    labels="labels",
    label_bytes=1,
    records=dict.fromkeys((*TRAIN, "test_batch"), 10_000),
    classes=CLASSES,
)


@dataclass(frozen=True, kw_only=True)
class Cifar10(Dataset):
    """50,000 + 10,000 colour photographs of 32 x 32 pixels.

    Missing training files and incomplete files are allowed and logged as warnings.

    Attributes:
        root: Folder that holds `cifar-10-batches-py/` or `cifar-10-batches-bin/` (which may be in `cifar10/`), or the
            files themselves; None takes `$WITHSTAND_DATA`.
        validation: Share of the training files for validation, at least 0 and below 1.
        augment: Whether to crop training images at random (after padding by 4 pixels) and flip them horizontally.

    Source:
        Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    root: str | None = None
    validation: Share = 0.1
    augment: bool = True

    def load(self, part: Part) -> TensorSplit:
        """Read the Python or the binary version."""
        return load_cifar(CIFAR10, part, root=self.root, validation=self.validation, augment=self.augment)
