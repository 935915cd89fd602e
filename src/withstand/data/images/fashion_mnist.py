"""FashionMnist: pictures of clothing in the format of MNIST."""

from dataclasses import dataclass

from withstand.data.base import Dataset, Part, TensorSplit
from withstand.data.images.idx import load_idx
from withstand.limits import Share

CLASSES = tuple("T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","))


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Dataset):
    """60,000 + 10,000 greyscale images of clothing of 28 x 28 pixels.

    Attributes:
        root: Folder that holds `fashion-mnist/`, `FashionMNIST/raw/`, or the four files; None takes `$WITHSTAND_DATA`.
        validation: Share of the training file for validation, at least 0 and below 1.

    Source:
        Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747; class names from its table 2.
    """

    root: str | None = None
    validation: Share = 0.1

    def load(self, part: Part) -> TensorSplit:
        """Read the IDX files."""
        folders = ("fashion-mnist", "FashionMNIST/raw", ".")
        return load_idx(
            "FashionMnist", part, root=self.root, folders=folders, validation=self.validation, classes=CLASSES
        )
