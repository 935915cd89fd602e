"""Models without gradients: anything that predicts from arrays."""

import hashlib
import inspect
import os
import pickle
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from withstand.errors import InputError
from withstand.limits import checked
from withstand.models.base import Model
from withstand.models.maite import MaitePredictor, is_maite_model

LEAST = 1e-12  # probabilities below it have its logarithm


class WithoutGradient(nn.Module):
    """The base of modules whose outputs do not depend differentiably on their inputs."""

    remark = "has no gradients; attacks use only its outputs"

    def refuse_gradient(self, x: Tensor) -> None:
        """Reject inputs that require gradients."""
        if x.requires_grad and torch.is_grad_enabled():
            name = getattr(self, "name", type(self).__name__)
            raise InputError(f"{name}: has no gradients; use Square, CoordinateSearch, BoundaryWalk or Sampled.")


class BlackBox(WithoutGradient):
    """A fitted classifier or a function of arrays as a module that returns logits, without gradients.

    The logits are logarithms of the probabilities that `predict_proba` returns. Models that only `predict` give 1 for
    the predicted class and 0 for the others. A function returns either: an array (sample, class) of probabilities, or
    one label per sample.

    Example:
        >>> def above(x):
        ...     return np.stack([x[:, 0] < 1, x[:, 0] >= 1], axis=1)
        >>> BlackBox(above)(torch.tensor([[2.0, 0.0]])).argmax(1)
        tensor([1])
    """

    @checked
    def __init__(
        self,
        model: Any,
        classes: Sequence[str | int] | None = None,
        *,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        """Find out how the model predicts.

        Args:
            model: Answers `predict_proba`, `predict` or a call with an array (sample, feature); functions get images as
                they are, (sample, channel, height, width).
            classes: The classes of the data, in order. Labels of the model are names of classes, or their numbers from
                0; classes that the model does not know get probability 0. None means that the model's are the data's.
            dtype: Type of the array.

        Raises:
            InputError: If the model does not predict, or its labels are not classes.
        """
        super().__init__()
        self.name = getattr(model, "__name__", type(model).__name__)
        self.predictor, self.dtype = model, dtype
        self.predict, self.gives_labels = _predict(model, self.name)
        labels = getattr(model, "classes_", None)
        self.labels = None if labels is None else [each.item() if hasattr(each, "item") else each for each in labels]
        self.name_classes(classes)

    def name_classes(self, classes: Sequence[str | int] | None) -> None:
        """Set the classes of the data; see the constructor."""
        if classes is None and self.labels is not None:
            classes = range(1 + max(self.labels)) if all(isinstance(each, int) for each in self.labels) else self.labels
        self.classes = None if classes is None else tuple(classes)
        self.numbers = None if self.labels is None else self._numbers(self.labels)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (sample, class).

        Raises:
            InputError: If gradients are asked for, or inputs or the model's answer have the wrong shape.
        """
        self.refuse_gradient(x)
        features = getattr(self.predictor, "n_features_in_", None)
        inputs = x if features is None else x.flatten(1)
        if features is not None and inputs.shape[1] != features:
            raise InputError(f"{self.name}: expected {features} features, got inputs of shape {tuple(x.shape)}.")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            found = np.asarray(self.predict(inputs.detach().cpu().numpy().astype(self.dtype, copy=False)))
        if self.gives_labels or (self.gives_labels is None and found.ndim == 1):
            logits = self._votes(found, len(x))
        else:
            logits = self._log_probabilities(found, len(x))
        return torch.from_numpy(logits).to(x.device)

    def _votes(self, found: np.ndarray, count: int) -> np.ndarray:
        if self.classes is None:
            raise InputError(
                f"{self.name}: returns labels; pass ws.BlackBox(model, classes) with the classes of the data, in order."
            )
        if found.shape != (count,):
            raise InputError(f"{self.name}: expected {count} labels, got an array of shape {found.shape}.")
        labels, place = np.unique(found, return_inverse=True)
        return np.eye(len(self.classes), dtype=np.float32)[np.array(self._numbers(labels.tolist()))[place]]

    def _log_probabilities(self, found: np.ndarray, count: int) -> np.ndarray:
        own = self.labels or self.classes
        if found.ndim != 2 or len(found) != count or (own is not None and found.shape[1] != len(own)):
            wanted = "one per class" if own is None else len(own)
            raise InputError(
                f"{self.name}: expected probabilities of shape ({count}, {wanted}), got shape {found.shape}."
            )
        if self.numbers is not None and self.classes is not None:
            known, found = found, np.zeros((count, len(self.classes)))
            found[:, self.numbers] = known
        return np.log(np.maximum(found.astype(np.float64), LEAST))

    def _numbers(self, labels: Sequence[Any]) -> list[int]:
        """Return the numbers of labels among the classes."""
        classes = self.classes or ()
        names = [str(each) for each in classes]
        if all(str(each) in names for each in labels):
            return [names.index(str(each)) for each in labels]
        for each in labels:
            if not isinstance(each, int) or not 0 <= each < len(classes):
                raise InputError(f"{self.name}: labels must be classes of the data or their numbers, got {each!r}.")
        return list(labels)

    def get_extra_state(self) -> Tensor:
        """Return a digest of the model, by which kept outcomes are recognised; functions get a new one each time."""
        try:
            if inspect.isroutine(self.predictor):
                raise TypeError
            digest = hashlib.sha256(pickle.dumps(self.predictor)).digest()
        except Exception:  # whatever cannot be pickled cannot be recognised
            digest = os.urandom(32)
        return torch.tensor(list(digest), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Ignore the digest."""


def predicts(model: Any) -> bool:
    """Return whether an object that is no module can be wrapped: a fitted classifier or a function."""
    return not isinstance(model, nn.Module | type) and any(
        callable(getattr(model, each, None)) for each in ("predict_proba", "predict", "__call__")
    )


def as_module(model: Any, classes: Sequence[str | int] | None = None, *, who: str) -> nn.Module:
    """Return a module unchanged, and a fitted classifier or a function of arrays as a `BlackBox`.

    Args:
        model: A module, or what `BlackBox` takes.
        classes: The classes of the data; see `BlackBox`.
        who: Name at the beginning of errors.

    Raises:
        InputError: If it is none of these.
    """
    if isinstance(model, BlackBox) and classes is not None and model.classes is not None:
        own, names = [str(each) for each in model.classes], [str(each) for each in classes]
        if own != names and sorted(own) == sorted(names):
            raise InputError(
                f"{who}: expected the classes of the BlackBox in the order of the data ({', '.join(names)}), "
                f"got {', '.join(own)}."
            )
    if isinstance(model, nn.Module):
        check_tensors(model, who=who)
        return model
    if not predicts(model):
        came = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        came += "; call its build(shape, num_classes, seed=0)" if isinstance(model, Model) else ""
        raise InputError(
            f"{who} must be a torch.nn.Module, or a fitted classifier or a function for ws.BlackBox, got {came}."
        )
    return BlackBox(MaitePredictor(model, classes) if is_maite_model(model) else model, classes)


def check_tensors(model: nn.Module, *, who: str) -> None:
    """Reject a model whose weights hold no numbers, or were made in inference mode, so that no gradient passes them.

    Raises:
        InputError: If there is such a weight.
    """
    for name, each in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(each):
            continue
        if each.is_meta:
            raise InputError(f"{who} must have weights that hold numbers, got some on the device meta; load it.")
        if each.is_inference():
            raise InputError(f"{who}: {name} was made in torch.inference_mode, without gradients; make it outside.")


def is_differentiable(model: nn.Module) -> bool:
    """Return whether every part of a model has gradients.

    Example:
        >>> is_differentiable(nn.Linear(2, 2)), is_differentiable(nn.Sequential(BlackBox(np.exp)))
        (True, False)
    """
    return not any(isinstance(part, WithoutGradient) for part in model.modules())


def _predict(model: Any, name: str) -> tuple[Callable[[np.ndarray], Any], bool | None]:
    """Return how a model predicts, and whether it returns labels; None if its answer shows."""
    if isinstance(model, nn.Module) or not predicts(model):
        raise InputError(f"BlackBox: expected a model with predict_proba or predict, or a function, got {name}.")
    if callable(getattr(model, "predict_proba", None)):
        return model.predict_proba, False
    if callable(getattr(model, "predict", None)):
        return model.predict, True
    return model, None
