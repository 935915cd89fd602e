"""RobustRegressor: scalar regression for tables, robust to noise in the features."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from torch import Tensor

from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.estimators.base import RobustEstimator
from withstand.estimators.reading import read_rows
from withstand.estimators.rows import check_targets
from withstand.estimators.worst_error import worst_errors
from withstand.functional.losses import Loss
from withstand.models.frozen import with_gradients
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball


@dataclass(eq=False, repr=False)
class RobustRegressor(RegressorMixin, RobustEstimator):
    """A regressor for tables, trained so that its prediction stays accurate everywhere in a ball around each row.

    Parameters are those of `RobustClassifier`, without `class_weight` and `calibrate`. The loss of a draw is half the
    squared error; a custom objective must be a `PerturbedRisk`, and its loss is set to `squared_error`. The target is
    scaled to mean 0 and standard deviation 1, so the unit of losses and temperatures is the variance of the target.

    Attributes:
        radius_: The training radius, given or chosen.
        cv_results_: With `radius="cv"`, the scores: one entry per radius, ascending.
        module_: The network, from scaled features to the scaled target; on the CPU.
        features_: Offset, scale and interquartile range of every input: one per number, one per level of a category.
        target_offset_: Number that is subtracted from the target.
        target_scale_: Number by which the difference is divided.
        loss_curve_: Mean loss of each epoch.
        n_iter_: Number of epochs.
        seed_: The seed that was used.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> regressor = RobustRegressor("noise", radius=0.3, epochs=20, device="cpu").fit(X, y)
        >>> regressor.score(X, y) > 0.4
        True
    """

    _loss: ClassVar[Loss] = "squared_error"

    @with_gradients()
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RobustRegressor":
        """Train on a table.

        Args:
            X: Rows: an array, or a data frame of pandas or polars.
            y: One number per row.
            sample_weight: One number >= 0 per row; None weights all rows equally.

        Raises:
            ValueError: If the data or a parameter is invalid.
        """
        check_targets(self._who, y)
        x, y, weights = self._read_training(X, y, sample_weight, y_numeric=True)
        self._fit(x, y.astype(np.float64), weights)
        return self

    def _fit(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        self._check()
        self._settle_radius(x, y, weights)
        with np.errstate(over="ignore", invalid="ignore"):
            self.target_offset_ = float(np.average(y, weights=weights))
            spread = float(np.sqrt(np.average((y - self.target_offset_) ** 2, weights=weights)))
        if not np.isfinite(spread):
            raise InputError(f"{self._who}: y holds numbers too large to scale.")
        self.target_scale_ = spread if y.min() < y.max() and spread > 0 else 1.0
        own = None if weights is None else weights / weights.mean()
        self._train(x, self._targets(y), own, num_outputs=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the prediction for each row."""
        return self._decide(self._outputs_of(read_rows(self, X)))

    def _read_truth(self, y: Any, num_rows: int) -> np.ndarray:
        check_targets(self._who, y)
        y = np.asarray(y, dtype=np.float64).ravel()
        if len(y) != num_rows:
            raise InputError(f"{self._who}: y must hold one number per row ({num_rows}), got {len(y)}.")
        if not np.isfinite(y).all():
            raise InputError(f"{self._who}: y must hold finite numbers, got NaN or an infinity.")
        return y

    def _targets(self, y: Any) -> Tensor:
        scaled = (np.asarray(y, dtype=np.float64) - self.target_offset_) / self.target_scale_
        return torch.from_numpy(scaled).float()

    def _decide(self, outputs: Tensor) -> np.ndarray:
        return outputs[:, 0].numpy() * self.target_scale_ + self.target_offset_

    def _score_of(self, y: Any, predicted: np.ndarray) -> float:
        return float(r2_score(y, predicted))

    @with_gradients()
    def _worst_score(self, x: np.ndarray, y: np.ndarray, ball: Ball, space: Space, *, budget: Budget) -> float:
        engine = Engine.start(device=self.device)
        errors = worst_errors(
            copy.deepcopy(self.module_).to(engine.device),
            self._inputs(x).to(engine.device),
            self._targets(y).to(engine.device),
            ball=ball,
            space=space,
            budget=budget,
            seed=self.seed_,
        )
        return self._score_of(y, y + errors.cpu().double().numpy() * self.target_scale_)
