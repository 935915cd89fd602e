"""Base class of the estimators: scaling, training, and scores under noise."""

import copy
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from withstand.console import EpochLines
from withstand.data.base import TensorSplit
from withstand.data.memory import check_memory
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.estimators.freedom import read_freedom
from withstand.estimators.frontier import Measure, draw_frontier
from withstand.estimators.objectives import Name, make_objective
from withstand.estimators.parameters import ball_of, check_parameters, radius_of, seed_of, widths_of
from withstand.estimators.radius import choose_radius
from withstand.estimators.reading import check_places, radii_by_column, read_rows, read_training
from withstand.estimators.rows import ROWS_AT_ONCE, one_hot_groups, warn, warn_of_illegal_rows
from withstand.estimators.scaling import describe, scaled
from withstand.functional.balls import Norm
from withstand.functional.losses import Loss
from withstand.functional.random import derive_seed
from withstand.limits import checked
from withstand.models.mlp import MLP
from withstand.objectives.base import Objective
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball, Unit
from withstand.training.optimizers import Adam
from withstand.training.settings import Training
from withstand.training.trainer import Trainer


@dataclass(eq=False, repr=False)
class RobustEstimator(BaseEstimator, ABC):
    """Scaling and a network for tables, trained with a robust objective; `RobustClassifier` documents the parameters.

    As a dataclass, so that subclasses share the explicit parameters of the constructor. `fit` checks them.
    """

    objective: Name | Objective = "smoothed"
    radius: Any = 0.1
    _: KW_ONLY
    unit: Unit = "std"
    norm: Norm = "linf"
    hidden: Sequence[int] = (100, 100)
    epochs: int = 50
    batch_size: int = 128
    lr: float = 3e-3
    temperature: float = 0.01
    num_draws: int | None = None
    radii: Sequence = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
    deployment_noise: Any = None
    cv: Any = 5
    categorical: Any = None
    changes: Any = None
    integer: Any = None
    limits: Any = None
    rules: Any = None
    missing: Any = "refuse"
    device: str = "auto"
    random_state: Any = 0
    verbose: bool = False
    _loss: ClassVar[Loss]

    @abstractmethod
    def _read_truth(self, y: Any, num_rows: int) -> np.ndarray:
        """Return the checked labels or targets that predictions are compared with, one per row."""

    @abstractmethod
    def _targets(self, y: Any) -> Tensor:
        """Return the targets of training and attacks: labels as integers, or scaled targets."""

    @abstractmethod
    def _decide(self, outputs: Tensor) -> np.ndarray:
        """Return predictions from outputs."""

    @abstractmethod
    def _score_of(self, y: Any, predicted: np.ndarray) -> float:
        """Return the score of predictions."""

    @abstractmethod
    def _fit(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        """Train on rows, targets and weights that are read."""

    @abstractmethod
    def _worst_score(self, x: np.ndarray, y: np.ndarray, ball: Ball, space: Space, *, budget: Budget) -> float:
        """Return the score with every row at the worst point of the ball that attacks find."""

    @checked
    def robust_score(
        self, X: Any, y: Any, radius: Any = None, *, norm: Norm | None = None, budget: Budget = "standard"
    ) -> float:
        """Return the score with every row at the worst point of a ball that attacks find.

        For a classifier, it is the share of rows that no attack gets misclassified; for a regressor, R squared with the
        largest error found around each row. The value is an upper bound of the score at the true worst point. A
        classifier warns if its gradients are masked, which makes the value too high.

        Args:
            X: Rows.
            y: A label or target per row.
            radius: A number >= 0, one per column, or a dictionary by column, in `unit`; None takes `radius_`.
            norm: Norm of the ball; None takes the parameter `norm`.
            budget: Which attacks: `quick`, `standard` or `thorough`; see `WorstCase`.

        Returns:
            At most the value of `score`.

        Raises:
            ValueError: If rows, labels or an argument are invalid.
        """
        x = read_rows(self, X)
        check_places(self._who, X, radii_by_column(radius))
        y = self._read_truth(y, len(x))
        given = ball_of(self, self.radius_ if radius is None else radius, self._encoding.names, norm=norm)
        ball, space = self._around(given)
        # Attacks use float32, predictions float64. Near a decision boundary the two may differ; both are bounds.
        clean = self._score_of(y, self._decide(self._outputs_of(x)))
        if not space.changes and len(space.fixed) == space.shape[0]:
            return clean
        return min(clean, self._worst_score(x, y, ball, space, budget=budget))

    @checked
    def plot_frontier(self, ax: Any = None, *, measure: Measure = "noisy") -> Any:
        """Plot clean scores against scores of perturbed rows, one point per radius; the chosen one is marked.

        Args:
            ax: Matplotlib axes; None makes a figure.
            measure: `noisy`, the score under the deployment noise, with the standard error of its shortfall from the
                best; or `worst_case`, the score at the worst point, if that noise was given as a radius.

        Returns:
            The axes.

        Raises:
            InputError: If the radius was not chosen by cross-validation, or the measure is unknown.
        """
        check_is_fitted(self)
        if not hasattr(self, "cv_results_"):
            raise InputError(f"{self._who}: plot_frontier needs a fit with radius='cv'.")
        return draw_frontier(self._who, self.cv_results_, measure=measure, ax=ax)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit has finished."""
        return hasattr(self, "module_")

    @property
    def _who(self) -> str:
        return type(self).__name__

    def _say(self, line: str) -> None:
        sys.stderr.write(f"{self._who}: {line.strip()}\n")

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: whether empty cells and categories are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "impute"
        tags.input_tags.categorical = self.categorical is not None
        return tags

    def _check(self) -> None:
        """Check the parameters, and resolve the seed."""
        check_parameters(self)
        if not isinstance(self.radius, str):
            ball_of(self, self.radius, self._encoding.names)
        self.seed_ = seed_of(self._who, self.random_state)

    def _settle_radius(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Set the training radius, chosen by cross-validation if requested."""
        radius = self.radius
        vars(self).pop("cv_results_", None)
        if isinstance(radius, str):
            radius, self.cv_results_ = choose_radius(self, x, y, sample_weight)
        self.radius_ = radius_of(self._who, radius, self._encoding.names)

    def _train(
        self,
        x: np.ndarray,
        targets: Tensor,
        weights: np.ndarray | None,
        *,
        num_outputs: int,
        rows: np.ndarray | None = None,
    ) -> None:
        """Scale the features and train the network.

        Args:
            x: Rows (row, column), not encoded.
            targets: Labels as integers, or scaled regression targets.
            weights: Weights of the rows, >= 0 with mean 1; None weighs all equally.
            num_outputs: Outputs of the network.
            rows: Numbers of the rows that have these targets and weights; None takes all.
        """
        if weights is not None and (weights == weights[0]).all():
            weights = None  # the same draws as without weights
        described = describe(self._who, x, weights, self._encoding.names, rows=rows)
        self._freedom = read_freedom(self, self._encoding, described, one_hot=one_hot_groups(x))
        self.features_ = self._freedom.features
        objective, space = self._objective()
        split = TensorSplit(
            self._inputs(x, rows),
            targets,
            classes=("",) * num_outputs,
            box=None,
            features=space.features,
            rules=space.rules,
            weight=None if weights is None else torch.tensor(weights, dtype=torch.float32),
        )
        warn_of_illegal_rows(self._who, split.x, space.rules)
        training = Training(
            epochs=int(self.epochs), batch_size=int(self.batch_size), optimizer=Adam(lr=float(self.lr)), clip_norm=2.0
        )
        engine = Engine.start(device=self.device)
        mlp = MLP(hidden=widths_of(self._who, self.hidden))
        network = mlp.build(space.shape, num_outputs, seed=derive_seed(self.seed_, "model")).to(engine.device)
        trainer = Trainer(network, split, objective=objective, training=training, seed=self.seed_, engine=engine)
        trainer.fit(watch=EpochLines(self._say, training.epochs) if self.verbose else None)
        self.module_ = network.cpu().eval()
        self.loss_curve_ = [entry["loss"] for entry in trainer.history]
        self.n_iter_ = len(self.loss_curve_)

    def _objective(self) -> tuple[Objective, Space]:
        """Return the objective, and the space of its draws."""
        given = ball_of(self, self.radius_, self._encoding.names)
        has_ball = isinstance(self.objective, str) and self.objective != "regular"
        ball, space = self._around(given) if has_ball else (given, self._freedom.space)
        objective = make_objective(
            self.objective,
            who=self._who,
            ball=ball,
            space=space,
            temperature=float(self.temperature),
            num_draws=self.num_draws,
            loss=self._loss,
        )
        return objective, space

    def _around(self, given: Ball) -> tuple[Ball, Space]:
        """Return a ball given by column as one of the inputs, with their space; warns of radii that look wrong."""
        ball, space = self._freedom.around(given)
        for text in self._freedom.doubts(given, ball, space):
            warn(f"{self._who}: {text}")
        return ball, space

    def _read_training(
        self, X: Any, y: Any, sample_weight: Any, **checks: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Learn the encoding; return rows (row, column), targets and weights, without rows of weight 0."""
        # A failed fit leaves no model behind.
        vars(self).pop("module_", None)
        self._encoding, x, y, weights = read_training(self, X, y, sample_weight, **checks)
        return x, y, weights

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs of rows (row, column), in float64."""
        return scaled(self._encoding.one_hot(x), self.features_)

    def _inputs(self, x: np.ndarray, rows: np.ndarray | None = None) -> Tensor:
        """Return the inputs of rows (row, column) in float32, as in training."""
        num_rows, num = len(x) if rows is None else len(rows), len(self.features_.names)
        check_memory(self._who, f"training on {num_rows:,} rows x {num:,} features", 4 * num_rows * num)
        inputs = torch.empty(num_rows, num)
        for start in range(0, num_rows, ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            inputs[some] = torch.from_numpy(self._scaled(x[some if rows is None else rows[some]]))
        return inputs

    @torch.no_grad()
    def _outputs(self, parts: Iterable[Tensor]) -> Tensor:
        """Return the network's outputs, in float64 so that they do not depend on the batch."""
        network = copy.deepcopy(self.module_).double()
        return torch.cat([network(rows.double()) for rows in parts])

    def _outputs_of(self, x: np.ndarray) -> Tensor:
        parts = (x[start : start + ROWS_AT_ONCE] for start in range(0, len(x), ROWS_AT_ONCE))
        return self._outputs(torch.from_numpy(self._scaled(part)) for part in parts)
