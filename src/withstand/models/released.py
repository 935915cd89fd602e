"""Networks with released weights, by name."""

import hashlib
import re
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import nn

from withstand.data.download import check_sha256, fetch
from withstand.data.places import cache_folder, local_root
from withstand.errors import InputError, brief, nearest
from withstand.models.base import Model
from withstand.models.normalize import Normalize
from withstand.models.vision import Vision
from withstand.models.weights import load_weights
from withstand.study.records import damaged, read_text

GAME_OF_NOISE = "https://github.com/bethgelab/game-of-noise/releases/download/v1.0"
TORCHVISION = "https://download.pytorch.org/models"
FOLDER = "models/game-of-noise"
NETWORK, NUM_CLASSES = "resnet50", 1000


class Release(NamedTuple):
    """A file of weights.

    Attributes:
        training: How the network was trained.
        file: Name of the file.
        url: Folder of the file; None is the release of Game of Noise.
        sha256: Its checksum, if it was published.
    """

    training: str
    file: str
    url: str | None = None
    sha256: str | None = None


RELEASES: dict[str, Release] = {
    "game-of-noise/clean": Release(
        "clean images only (torchvision's first weights)",
        "resnet50-0676ba61.pth",
        TORCHVISION,
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    "game-of-noise/Speckle": Release("speckle noise of several strengths", "Speckle_Model.pth"),
    "game-of-noise/Gauss-mult": Release("Gaussian noise of several strengths", "Gauss_mult_Model.pth"),
    "game-of-noise/Gauss-single": Release("Gaussian noise of std 0.5", "Gauss_sigma_0.5_Model.pth"),
    "game-of-noise/ANT": Release("adversarial noise", "ANT_Model.pth"),
    "game-of-noise/ANT-SIN": Release("adversarial noise and stylized images", "ANT_SIN_Model.pth"),
    "game-of-noise/ANT3x3": Release("spatially correlated adversarial noise", "ANT3x3_Model.pth"),
    "game-of-noise/ANT3x3-SIN": Release(
        "spatially correlated adversarial noise and stylized images", "ANT3x3_SIN_Model.pth"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Released(Model):
    """A ResNet-50 for ImageNet with weights released with a paper; needs the extra `vision`.

    The weights are read from `models/game-of-noise/` under the data root or the user's cache, and downloaded to the
    cache if they are not found. No checksums were published: the checksum of the first download is saved next to the
    file and verified whenever the file is read.

    Attributes:
        name: Name of the release.
        pretrained: Whether to load the weights; False if other weights are loaded afterwards.

    Source:
        Rusak et al. 2020, arXiv 2001.06057; bethgelab/game-of-noise, release v1.0.
    """

    name: str = "game-of-noise/ANT"
    pretrained: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in RELEASES:
            raise InputError(f"model: {brief(self.name)} is not a released network; {nearest(self.name, RELEASES)}")

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Build the network for photographs of ImageNet's classes."""
        if num_classes != NUM_CLASSES:
            raise InputError(
                f"{self.name}: data must have the {NUM_CLASSES:,} classes of ImageNet, got {num_classes:,}; a folder "
                "with some of them needs --data.class_map imagenet."
            )
        normalize, network = Vision(name=NETWORK).make(shape, num_classes)
        if self.pretrained:
            load_weights(nn.Sequential(OrderedDict(normalize=normalize, network=network)), find_weights(self.name))
        return normalize, network

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """None, because the number of classes is fixed, and contract tests must not download."""
        return []


def find_weights(name: str) -> Path:
    """Return the file of weights of a released network, downloaded if necessary.

    Args:
        name: One of `RELEASES`.

    Raises:
        InputError: If the file is missing and cannot be downloaded, or its checksum differs.
    """
    release = RELEASES[name]
    places = dict.fromkeys(folder / FOLDER / release.file for folder in (local_root(), cache_folder()))
    cached = cache_folder() / FOLDER / release.file
    path = next((place for place in places if place.exists()), cached)
    known = release.sha256 or _recorded(path)
    if not path.exists():
        try:
            fetch(f"{release.url or GAME_OF_NOISE}/{release.file}", path, sha256=known)
        except InputError as error:
            raise InputError(
                f"{name}: no weights at {' or '.join(map(str, places))}, and the download failed "
                f"({str(error).rstrip('.')})."
            ) from error
    if known is not None:
        check_sha256(name, path, known)
    elif path == cached:
        _record(path)
    return path


def _recorded(path: Path) -> str | None:
    beside = _beside(path)
    if not beside.exists():
        return None
    then = "remove it if you trust the weights, to record their checksum again"
    found = (read_text(beside, then=then).split() or [""])[0]
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise damaged(beside, "it holds no checksum", then)
    return found


def _record(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(OSError):  # a cache that is shared and cannot be written
        _beside(path).write_text(f"{digest}  {path.name}\n")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
