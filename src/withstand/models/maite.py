"""Models of MAITE, the protocols for testing of MIT Lincoln Laboratory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from withstand.errors import InputError

_TOLERANCE = 1e-3  # of the sum of probabilities


class MaitePredictor:
    """A model of MAITE as an object with `predict_proba`, for `BlackBox`.

    The model gets a list of arrays (channel, height, width) in [0, 1], and returns a vector of probabilities or logits
    for each. Nothing of MAITE is imported.

    Source:
        MAITE 0.10, maite.protocols.image_classification.Model.
    """

    def __init__(self, model: Any, classes: Sequence[str | int] | None = None) -> None:
        """Keep the model; its `index2label` sets the order of its classes if it names those of the data."""
        self.model, self.__name__ = model, str(model.metadata["id"])
        names = [str(name) for _, name in sorted(model.metadata.get("index2label", {}).items())]
        if classes is not None and sorted(names) == sorted(str(each) for each in classes):
            self.classes_ = names

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities of shape (sample, class); those of logits are their softmax."""
        found = [each.detach().cpu() if isinstance(each, torch.Tensor) else each for each in self.model(list(x))]
        outputs = [np.asarray(each, np.float64) for each in found]
        if len(outputs) != len(x) or len({each.shape for each in outputs}) > 1 or outputs[0].ndim != 1:
            shapes = sorted({each.shape for each in outputs})
            raise InputError(
                f"{self.__name__}: expected {len(x)} vectors of one length, got {len(outputs)} of shape {shapes}."
            )
        scores = np.stack(outputs)
        in_unit = (scores >= 0).all(axis=1) & (scores <= 1).all(axis=1)
        given = in_unit & (np.abs(scores.sum(axis=1) - 1) < _TOLERANCE)
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
        return np.where(given[:, None], scores, softmax)


def is_maite_model(model: Any) -> bool:
    """Return whether a callable has the metadata of a model of MAITE.

    Example:
        >>> is_maite_model(torch.nn.Identity()), is_maite_model(np.exp)
        (False, False)
    """
    metadata = getattr(model, "metadata", None)
    return callable(model) and not isinstance(model, type) and isinstance(metadata, Mapping) and "id" in metadata
