"""The frost textures of ImageNet-C: photographs of frozen windows."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from withstand.data.download import check_sha256, fetch
from withstand.data.places import cache_folder, local_root
from withstand.errors import InputError

URL = "https://raw.githubusercontent.com/hendrycks/robustness/master/ImageNet-C/create_c"
MOST_BYTES = 1 << 22  # the largest has a quarter of that
PACKAGE = "imagecorruptions"  # contains the same files


class Texture(NamedTuple):
    """A published texture.

    Attributes:
        name: File name.
        height: In pixels.
        width: In pixels.
        sha256: Checksum of the file.
    """

    name: str
    height: int
    width: int
    sha256: str


# In the order of the original, which never uses its sixth.
TEXTURES = (
    Texture("frost1.png", 600, 900, "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755"),
    Texture("frost2.png", 315, 560, "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137"),
    Texture("frost3.png", 315, 560, "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504"),
    Texture("frost4.jpg", 350, 527, "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e"),
    Texture("frost5.jpg", 495, 660, "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2"),
)


def read_frost_textures() -> list[UInt8[Tensor, "3 height width"]]:
    """Return the published textures in the order of `TEXTURES`.

    Each is looked up in `frost/` under the data root, then under the download cache. Missing ones are downloaded to the
    cache, or else taken from an installed package imagecorruptions.

    Raises:
        InputError: If a texture is not found, or a file is not the published one.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `frost`.
    """
    paths, failure = [], None
    for texture in TEXTURES:
        path = _find(texture)
        if path is None and failure is None:
            path = cache_folder() / "frost" / texture.name
            try:
                fetch(f"{URL}/{texture.name}", path, sha256=texture.sha256, most=MOST_BYTES)
            except InputError as error:  # the network is tried once only
                path, failure = None, str(error).rstrip(".")
        path = path or _find_in_package(texture)
        if path is None:
            raise InputError(
                f"frost: expected the texture {texture.name} at {' or '.join(map(str, _places(texture)))} or in a "
                f"package {PACKAGE}, found none, and it could not be downloaded ({failure}); "
                'use --frost procedural (Python: textures="procedural") for generated textures.'
            )
        check_sha256("frost", path, texture.sha256)
        paths.append(path)
    return [_read(path) for path in paths]


def has_frost_textures() -> bool:
    """Return whether all published textures are on this machine; nothing is downloaded."""
    return all(_find(texture) or _find_in_package(texture) for texture in TEXTURES)


def _places(texture: Texture) -> list[Path]:
    return list(dict.fromkeys(folder / "frost" / texture.name for folder in (local_root(), cache_folder())))


def _find(texture: Texture) -> Path | None:
    return next((place for place in _places(texture) if place.is_file()), None)


def _find_in_package(texture: Texture) -> Path | None:
    # Located without an import, which would run the package's code.
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "frost" / texture.name
    return path if path.is_file() else None


def _read(path: Path) -> UInt8[Tensor, "3 height width"]:
    with Image.open(path) as image:
        # Like OpenCV, drop the alpha channel of the first three.
        return torch.from_numpy(np.array(image.convert("RGB")).transpose(2, 0, 1).copy())
