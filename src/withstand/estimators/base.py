"""What the classifier and the regressor share: scaling, training, and scores under noise."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.engine import Engine, check_device
from withstand.errors import InputError
from withstand.estimators.frontier import Measure, draw_frontier
from withstand.estimators.lines import Lines
from withstand.estimators.objectives import make_objective
from withstand.estimators.parameters import check_lr, check_temperature, check_whole, radius_of, widths_of
from withstand.estimators.radius import choose_radius
from withstand.estimators.rows import check_finite, checked_weights, numbers_only, warn_of_constant_columns
from withstand.estimators.scaling import describe, scaled
from withstand.functional.balls import Norm
from withstand.functional.losses import Loss
from withstand.functional.random import derive_seed, row_streams
from withstand.models.mlp import MLP
from withstand.objectives.base import Objective
from withstand.perturbations.ball import Ball, Unit
from withstand.perturbations.base import Perturbation
from withstand.perturbations.uniform import Uniform
from withstand.training.optimizers import Adam
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

ROWS_AT_ONCE = 65536
# In one order of memory, so that sums are the same for frames and arrays; what is not finite is named by our own check.
READING: dict[str, Any] = {"dtype": np.float64, "order": "C", "ensure_all_finite": False}


class RobustEstimator(BaseEstimator, ABC):
    """A network for tables behind their scaling, trained under an objective."""

    objective: str | Objective
    radius: Any
    unit: Unit
    norm: Norm
    hidden: Sequence[int]
    epochs: int
    batch_size: int
    lr: float
    temperature: float
    num_draws: int | None
    radii: Sequence
    deployment_noise: Any
    cv: Any
    device: str
    random_state: Any
    verbose: bool
    features_: Features
    module_: nn.Module
    n_features_in_: int
    seed_: int
    radius_: float | tuple[float, ...]
    cv_results_: dict[str, np.ndarray]
    _loss: Loss

    @abstractmethod
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on a table."""

    @abstractmethod
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score on clean rows."""

    @abstractmethod
    def _read_truth(self, y: Any, num_rows: int) -> np.ndarray:
        """Return what a table is scored against, checked: one label or target per row."""

    @abstractmethod
    def _targets(self, y: Any) -> Tensor:
        """Return what the network is trained towards and attacked by: labels as integers, or scaled targets."""

    @abstractmethod
    def _decide(self, outputs: Tensor) -> np.ndarray:
        """Return predictions from outputs."""

    @abstractmethod
    def _score_of(self, y: Any, predicted: np.ndarray) -> float:
        """Return the score of predictions."""

    @abstractmethod
    def _worst_score(
        self, x: np.ndarray, y: np.ndarray, ball: Ball, *, steps: int, restarts: int, vertices: bool
    ) -> float:
        """Return the score with every row at the worst point of the ball that attacks find."""

    def robust_score(
        self, X: Any, y: Any, radius: Any = None, *, norm: Norm | None = None, steps: int = 40, restarts: int = 3
    ) -> float:
        """Return the score with every row at the worst point of a ball that attacks find.

        For a classifier this is the share of rows that no attack makes it get wrong, for a regressor R squared with the
        largest error found around each row. The attacks are projected gradient ascent with restarts, all vertices of
        the ball where there are at most 4,096, and, for linf, tilted points. A true worst point may be worse still: the
        value is an upper bound of the score there, and more restarts never raise it.

        Args:
            X: Rows.
            y: A label or target per row.
            radius: A number >= 0 or one per feature, in the `unit` of the training; None takes `radius_`.
            norm: Of the ball; None takes that of the training.
            steps: Of the ascent, at least 1.
            restarts: Starts of the ascent, at least 1.

        Returns:
            At most what `score` returns.

        Raises:
            ValueError: If rows, labels, the radius or a number does not fit; one sentence.
        """
        x = self._read(X)
        y = self._read_truth(y, len(x))
        for name, value in (("steps", steps), ("restarts", restarts)):
            check_whole(self._who, name, value)
        ball = self._ball(self.radius_ if radius is None else radius, self.n_features_in_, norm=norm)
        # Attacks see 32 bits, predictions 64: on a border the two may differ, and both are bounds.
        clean = self._score_of(y, self._decide(self._outputs_of(x)))
        return min(clean, self._worst_score(x, y, ball, steps=steps, restarts=restarts, vertices=True))

    def plot_frontier(self, ax: Any = None, *, measure: Measure = "noisy") -> Any:
        """Draw clean scores against those of changed rows, a point per radius, and mark the chosen one.

        Args:
            ax: Axes of matplotlib to draw on; None makes a figure.
            measure: `noisy`, the score under the noise of deployment, with the standard error of its distance to the
                best; or `worst_case`, the score at the worst point, where that noise was given as a radius.

        Returns:
            The axes.

        Raises:
            InputError: If the radius was not chosen by cross-validation, or there is no such measure.
        """
        check_is_fitted(self)
        if not hasattr(self, "cv_results_"):
            raise InputError(f"{self._who}: plot_frontier needs a fit with radius='cv'.")
        return draw_frontier(self._who, self.cv_results_, measure=measure, ax=ax)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit came to its end."""
        return hasattr(self, "module_")

    @property
    def _who(self) -> str:
        return type(self).__name__

    def _check(self, num_features: int) -> None:
        """Check what no part checks by itself, and settle the seed.

        Raises:
            InputError: If a parameter is not what it must be.
        """
        for name in ("epochs", "batch_size", *(() if self.num_draws is None else ("num_draws",))):
            check_whole(self._who, name, getattr(self, name))
        check_temperature(self._who, self.temperature)
        check_lr(self._who, self.lr)
        widths_of(self._who, self.hidden)
        if isinstance(self.radius, str):
            if self.radius != "cv":
                raise InputError(
                    f"{self._who}: radius must be a number, one per feature, or 'cv', got {self.radius!r}."
                )
            if isinstance(self.objective, Objective) or self.objective == "regular":
                raise InputError(f"{self._who}: radius='cv' needs an objective by name that has a radius.")
        else:
            self._ball(self.radius, num_features)
        check_device(self.device)
        given = self.random_state
        # A number is the seed itself; None and generators are asked for one, as everywhere in scikit-learn.
        self.seed_ = int(given if isinstance(given, Integral) else check_random_state(given).randint(2**31 - 1))

    def _ball(self, radius: Any, num_features: int, *, norm: Norm | None = None, name: str = "radius") -> Ball:
        """Return the ball of a radius given as a number or one per feature."""
        return Ball(norm or self.norm, radius_of(self._who, radius, num_features, name=name), unit=self.unit)

    def _settle_radius(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Keep the radius of the training, chosen by cross-validation if so wished."""
        radius = self.radius
        vars(self).pop("cv_results_", None)
        if isinstance(radius, str):
            radius, self.cv_results_ = choose_radius(self, x, y, sample_weight)
        self.radius_ = radius_of(self._who, radius, x.shape[1])

    def _train(self, x: np.ndarray, targets: Tensor, weights: np.ndarray | None, *, num_outputs: int) -> None:
        """Scale the features and train the network.

        Args:
            x: Rows of features as they came, float64.
            targets: Labels as integers, or targets of a regression, scaled.
            weights: Of the rows, >= 0 with mean 1; None counts all alike.
            num_outputs: Of the network.
        """
        if weights is not None and (weights == weights[0]).all():
            weights = None  # so that the draws, too, are those of a training without weights
        num = x.shape[1]
        self.features_ = describe(self._who, x, weights, self._names(num))
        split = TensorSplit(
            self._inputs(x),
            targets,
            classes=("",) * num_outputs,
            box=None,
            features=self.features_,
            weight=None if weights is None else torch.tensor(weights, dtype=torch.float32),
        )
        objective = make_objective(
            self.objective,
            who=self._who,
            ball=self._ball(self.radius_, num),
            temperature=float(self.temperature),
            num_draws=self.num_draws,
            loss=self._loss,
        )
        training = Training(
            epochs=int(self.epochs), batch_size=int(self.batch_size), optimizer=Adam(lr=float(self.lr)), clip_norm=2.0
        )
        engine = Engine.start(device=self.device)
        network = MLP(hidden=widths_of(self._who, self.hidden)).build(
            (num,), num_outputs, seed=derive_seed(self.seed_, "model")
        )
        trainer = Trainer(
            engine.place(network), split, objective=objective, training=training, seed=self.seed_, engine=engine
        )
        trainer.fit(watch=Lines(self._who, training.epochs) if self.verbose else None)
        self.module_ = network.cpu().eval()
        self.loss_curve_ = [entry["loss"] for entry in trainer.history]
        self.n_iter_ = len(self.loss_curve_)

    def _read_training(
        self, X: Any, y: Any, sample_weight: Any, **checks: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return rows, targets and weights, less the rows of weight 0."""
        # A fit that fails leaves nothing behind that predicts.
        vars(self).pop("module_", None)
        with numbers_only(self._who):
            x, y = cast(Any, validate_data(self, X, y, **READING, **checks))
        check_finite(self._who, x, self._names(x.shape[1]))
        weights = checked_weights(self._who, sample_weight, x)
        if weights is not None:
            x, y, weights = x[weights > 0], y[weights > 0], weights[weights > 0]
        warn_of_constant_columns(self._who, x, self._names(x.shape[1]))
        return x, y, weights

    def _read(self, X: Any) -> np.ndarray:
        """Return the rows of a table that was not trained on, checked against the one that was."""
        check_is_fitted(self)
        with numbers_only(self._who):
            x = cast(Any, validate_data(self, X, reset=False, **READING))
        check_finite(self._who, x, self._names(x.shape[1]))
        return x

    def _names(self, num_features: int) -> list[str]:
        names = getattr(self, "feature_names_in_", [f"x{number}" for number in range(num_features)])
        return [str(name) for name in names]

    def _inputs(self, x: np.ndarray) -> Tensor:
        """Return rows of features as the network takes them in training."""
        return torch.tensor(scaled(x, self.features_), dtype=torch.float32)

    def _space(self) -> Space:
        """Return where inputs of the network live."""
        return Space(shape=(self.n_features_in_,), features=self.features_)

    @torch.no_grad()
    def _outputs(self, inputs: Tensor) -> Tensor:
        """Return the network's outputs in float64, so that they do not depend on the rows beside."""
        network = copy.deepcopy(self.module_).double()
        return torch.cat([network(rows) for rows in inputs.double().split(ROWS_AT_ONCE)])

    def _outputs_of(self, x: np.ndarray) -> Tensor:
        return self._outputs(torch.from_numpy(scaled(x, self.features_)))

    def _noise(self, num_features: int) -> Perturbation:
        """Return the noise of deployment as a perturbation."""
        noise = self.deployment_noise
        if noise is None:
            raise InputError(
                f"{self._who}: radius='cv' needs deployment_noise, the noise that features will have in use: a radius "
                "of uniform noise, or a Perturbation."
            )
        return (
            noise
            if isinstance(noise, Perturbation)
            else Uniform(ball=self._ball(noise, num_features, name="deployment_noise"))
        )

    def _noisy_score(
        self, x: np.ndarray, y: np.ndarray, noise: Perturbation, *, rows: np.ndarray, num_draws: int
    ) -> float:
        """Return the mean score over draws of a noise, which is the same for the same numbers of rows."""
        space, rng = self._space(), row_streams(0, "estimator/noise", index=torch.from_numpy(rows))
        noise.check(space)
        with torch.no_grad():
            draws = noise.draw(
                self._inputs(x), self._targets(y), self.module_, space=space, num_draws=num_draws, rng=rng
            )
        if draws.log_weights is not None:
            raise InputError(f"{self._who}: noise must be draws that are equally likely, got {noise.condition}.")
        outputs = self._outputs(draws.inputs.flatten(0, 1)).view(num_draws, len(x), -1)
        return float(np.mean([self._score_of(y, self._decide(each)) for each in outputs]))
