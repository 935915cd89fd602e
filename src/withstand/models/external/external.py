"""External: a model from outside the package, by its source."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from withstand import plugins
from withstand.errors import InputError, brief, told
from withstand.models.base import ImageSize, Model
from withstand.models.external.from_files import read_onnx, read_pt2, read_torchscript
from withstand.models.external.from_transformers import (
    Preprocessing,
    read_folder,
    read_preprocessing,
)
from withstand.models.external.outputs import with_logits
from withstand.models.normalize import Normalize
from withstand.models.vision import IMAGENET_MEAN, IMAGENET_STD
from withstand.models.wrappers.black_box import BlackBox, predicts
from withstand.reading.places import expanded, is_file, is_folder

READERS: dict[str, Callable[[Path], nn.Module]] = {
    ".onnx": read_onnx,
    ".pt2": read_pt2,
    ".pt": read_torchscript,
    ".ts": read_torchscript,
    ".torchscript": read_torchscript,
}


@dataclass(frozen=True, kw_only=True)
class External(Model):
    """Your own model: code that returns it, a file (.pt2, TorchScript, ONNX), or a folder of transformers.

    The code is a class of modules, or a function that returns a module, a fitted classifier, or a function of arrays
    (see `BlackBox`). It is called with the arguments, and with `num_classes` and `shape` if it requires them. A
    function that requires one other argument is a function of arrays itself.

    Attributes:
        source: `FILE.py:NAME` or `package.module:NAME`; path of a file `.onnx`, `.pt2`, `.pt`, `.ts` or
            `.torchscript`; or a folder with the `config.json` of a transformers image classifier.
        arguments: Arguments of the code (`--model.init_args` on the command line).
        normalize: Mean and std of inputs in [0, 1]: `imagenet`, or numbers such as `0.5,0.25` (or all means, then all
            stds). None takes the processor's for transformers, and none for others.
        output: Name of the logits among several outputs, or their number in a tuple; None takes `logits`, the first of
            a tuple, or the only output.
    """

    source: str
    arguments: dict[str, Any] = field(default_factory=dict)
    normalize: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source.endswith(".py"):
            raise InputError(
                f"model: expected {brief(self.source)}:NAME, with the name of a class or function in the file."
            )
        if not plugins.is_source(self.source):
            raise InputError(f"model: source must be {plugins.SOURCES}, got {brief(self.source)}.")
        if self.arguments and not self._is_code:
            raise InputError(f"model: arguments are for code, got {brief(self.arguments)} for {self.source}.")
        self._means_and_stds()

    def __hash__(self) -> int:
        return hash(self.source)

    @property
    def image_size(self) -> ImageSize | None:
        """The size by the image processor of transformers."""
        return self._preprocessing.size

    def digest(self) -> str:
        """Return a hash of the file with the code and of the neighbours that it imports, or of the model's files."""
        path = plugins.file_of(self.source) if self._is_code else expanded(self.source)
        if path is None:
            return ""
        if self._is_code:
            parts = plugins.files_imported_by(path)
        else:  # large ONNX models keep their weights in files beside them
            parts = sorted(path.iterdir()) if is_folder(path) else [path, *sorted(path.parent.glob(f"{path.name}?*"))]
        found = sha256()
        for each in parts:
            if is_file(each):
                with each.open("rb") as file:
                    while block := file.read(1 << 20):
                        found.update(block)
        return found.hexdigest()

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Build or read the model."""
        network = self._network(shape, num_classes)
        mean, std = self._means_and_stds()
        normalize = Normalize(mean or (0.0,), std or (1.0,))
        if len(shape) == 3 and len(mean) == 3 and shape[0] == 1:
            shape = (3, *shape[1:])  # Normalize repeats the channel
        if isinstance(network, BlackBox):  # learns the classes of the data later, and checks its outputs itself
            return normalize, network
        return normalize, with_logits(f"model: {self.source}", network, shape, num_classes, self.output)

    def _network(self, shape: tuple[int, ...], num_classes: int) -> nn.Module:
        path = expanded(self.source)
        if not self._is_code:
            if is_folder(path):
                return read_folder(path)
            if not is_file(path):
                raise InputError(f"model: expected a file, found none at {brief(self.source)}.")
            return READERS[path.suffix.lower()](path)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # a first import draws the same, and nothing from the model's seed
            found = plugins.find("model", self.source)
        if callable(found) and not isinstance(found, nn.Module):
            found = self._called(found, shape, num_classes)
        if isinstance(found, nn.Module):
            return _own(found)
        if not predicts(found):
            kinds = "a torch.nn.Module or a fitted classifier"
            raise InputError(f"model: {self.source} must return {kinds}, got {type(found).__name__}.")
        return BlackBox(found)

    def _called(self, maker: Callable[..., Any], shape: tuple[int, ...], num_classes: int) -> Any:
        """Return what the code returns."""
        facts: dict[str, Any] = {"num_classes": num_classes, "shape": shape}
        try:
            wanted: Mapping[str, inspect.Parameter] = inspect.signature(maker).parameters
        except (TypeError, ValueError):  # some built-in callables have no signature
            wanted = {}
        required = [name for name, each in wanted.items() if each.default is each.empty]
        given = {name: value for name, value in facts.items() if name in required} | self.arguments
        if inspect.isfunction(maker) and len(required) == 1 and not given:
            return maker  # a function of arrays
        try:
            with torch.enable_grad():  # code may train
                return maker(**given)
        except InputError:
            raise
        except (Exception, SystemExit) as problem:  # foreign code may raise anything
            said = f"{type(problem).__name__}: {told(problem)}"
            raise InputError(f"model: {self.source} failed ({said}).") from problem

    @property
    def _is_code(self) -> bool:
        return plugins.CODE.fullmatch(self.source) is not None

    @property
    def _preprocessing(self) -> Preprocessing:
        path = expanded(self.source)
        return read_preprocessing(path) if not self._is_code and is_folder(path) else Preprocessing()

    def _means_and_stds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.normalize is None:
            return self._preprocessing.mean, self._preprocessing.std
        if self.normalize == "imagenet":
            return IMAGENET_MEAN, IMAGENET_STD
        try:
            values = tuple(float(each) for each in self.normalize.split(","))
        except ValueError:
            values = ()
        half = len(values) // 2
        if len(values) < 2 or len(values) % 2 or not all(each > 0 for each in values[half:]):
            raise InputError(
                f"model: normalize must be `imagenet`, or means and then stds above 0 such as 0.5,0.25, "
                f"got {self.normalize!r}."
            )
        return values[:half], values[half:]

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """None, since the package holds no external models."""
        return []


def _own(module: nn.Module) -> nn.Module:
    """Return a copy, since code may return one module again and again; itself if it cannot be copied."""
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError):  # tensors that are not leaves, handles of other libraries
        return module
