"""Image classifiers of `transformers`, from their folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from withstand.errors import InputError, brief, told
from withstand.models.base import ImageSize
from withstand.reading.documents import read_json
from withstand.reading.places import is_file, is_folder

MOST = 1e6  # of a number in a configuration


class Preprocessing(NamedTuple):
    """What an image processor does.

    Attributes:
        mean: Per channel, for pixels in [0, 1]; empty without normalisation.
        std: The same.
        size: Size of the inputs; None if they are not square or it is not known.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: ImageSize | None = None


class PixelValues(nn.Module):
    """An image classifier of transformers that maps pixel values to logits, in the order of the data's classes."""

    def __init__(self, model: nn.Module, labels: Sequence[str] = ()) -> None:
        """Keep the model and the names of its classes; names such as LABEL_0 do not count."""
        super().__init__()
        self.model = model
        is_named = not all(each.startswith("LABEL_") for each in labels)
        self.labels: tuple[str, ...] = tuple(labels) if is_named else ()
        self.order: tuple[int, ...] | None = None
        self.remark = ""

    def name_classes(self, classes: Sequence[str]) -> None:
        """Put the logits into the order of the data's classes if these have the same names."""
        own = [each.casefold() for each in self.labels]
        names = [str(each).casefold() for each in classes]
        if not own or own == names:
            return
        if sorted(own) == sorted(names) and len(set(own)) == len(own):
            self.order = tuple(own.index(each) for each in names)
            self.remark = "has the classes of the data in another order; they are matched by name"
        elif len(own) == len(names):
            pairs = f"{self.labels[0]} is taken for {classes[0]}, {self.labels[1]} for {classes[1]}"
            self.remark = f"has classes of other names than the data, which are matched by their numbers ({pairs}, ...)"

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits = self.model(pixel_values=x).logits
        return logits if self.order is None else logits[:, list(self.order)]


def read_folder(path: Path) -> nn.Module:
    """Return the image classifier in a folder; code in the folder is not run, and nothing is downloaded.

    Raises:
        InputError: If transformers is missing, or the folder holds no image classifier.
    """
    try:
        from transformers import AutoModelForImageClassification
        from transformers.utils import logging
    except ImportError as problem:
        raise InputError(
            "model: transformers is not installed; `pip install 'withstand[transformers]'` brings it."
        ) from problem
    if strange := [each.name for each in path.iterdir() if not is_file(each) and not is_folder(each)]:
        raise InputError(f"model: {path} must hold files and folders, got {brief(strange[0])}, which is neither.")
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        model = AutoModelForImageClassification.from_pretrained(path, **options)
    except Exception as problem:  # transformers raises OSError, ValueError, KeyError and others
        raise InputError(f"model: {path} holds no image classifier of transformers ({told(problem)}).") from problem
    finally:
        logging.set_verbosity(before)
    labels = model.config.id2label
    return PixelValues(model, [str(labels[number]) for number in sorted(labels)])


def read_preprocessing(path: Path) -> Preprocessing:
    """Return what the image processor in a folder does, from `preprocessor_config.json` and `config.json`.

    Raises:
        InputError: If a file is damaged.
    """
    own = _read(path / "preprocessor_config.json")
    normalizes = own.get("do_normalize", bool(own))
    mean, std = (_numbers(path, own, f"image_{each}") if normalizes else () for each in ("mean", "std"))
    if len(mean) != len(std) or not all(each > 0 for each in std):
        raise InputError(
            f"model: {path}: expected as many values of image_std, above 0, as of image_mean, got {std} and {mean}."
        )
    if normalizes and not own.get("do_rescale", True):
        mean, std = (tuple(each / 255 for each in values) for values in (mean, std))
    resize = _side(path, own.get("size")) if own.get("do_resize", True) else None
    pixels = _side(path, own.get("crop_size")) if own.get("do_center_crop") else resize
    pixels = pixels or _side(path, _read(path / "config.json").get("image_size"))
    size = None if pixels is None else ImageSize(pixels, max(pixels, resize or pixels))
    return Preprocessing(mean, std, size)


def _numbers(path: Path, own: dict[str, Any], name: str) -> tuple[float, ...]:
    found = own.get(name)
    values = found if isinstance(found, list) else [] if found is None else [found]
    if not all(_is_finite(each) for each in values):
        raise InputError(f"model: {path}: {name} must be finite numbers, got {brief(found)}.")
    return tuple(values)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def _side(path: Path, size: Any) -> int | None:
    """Return the side of a square size in pixels, in one of the notations of transformers; None if it is not square."""
    found = size if isinstance(size, dict) else {"shortest_edge": size}
    if isinstance(size, list):
        found = {"height": size[0], "width": size[-1]} if size else {"shortest_edge": size}
    sides: list[Any] = (
        [found.get(name) for name in ("height", "width")] if "height" in found else [found.get("shortest_edge")]
    )
    if not all(each is None or (type(each) is int and 0 < each < MOST) for each in sides):
        raise InputError(f"model: {path}: sizes must be whole numbers of pixels above 0, got {brief(size)}.")
    return sides[0] if len(set(sides)) == 1 else None


def _read(path: Path) -> dict[str, Any]:
    if not is_file(path):
        return {}
    found = read_json("model", path)
    if not isinstance(found, dict):
        raise InputError(f"model: {path} must hold a mapping, got a {type(found).__name__}.")
    return found
