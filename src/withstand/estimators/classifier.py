"""RobustClassifier: a classifier for tables that keeps its answer when features are a little wrong."""

import copy
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from withstand.data.base import TensorSplit, cut
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.estimators.base import RobustEstimator
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.balls import Norm
from withstand.functional.calibration import best_temperature
from withstand.functional.losses import Loss
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball, Unit


class RobustClassifier(ClassifierMixin, RobustEstimator):
    """A network for tables, trained so that its answer holds in a ball around every row.

    Features are scaled inside: to mean 0 and standard deviation 1 over the rows of the training. Every feature moves,
    up to its radius; give integers and categories a radius of 0 where they cannot be wrong. A column with one value is
    ignored.

    Weights of rows multiply their losses, those of the worst or of many draws included; rows of weight 0 are as if they
    were not there. Losses that are reported are unweighted.

    Attributes:
        classes_: The labels, sorted; the columns of `predict_proba`.
        radius_: The radius of the training: as given, or as chosen.
        cv_results_: With `radius="cv"`, what was measured: one entry per radius, ascending.
        module_: The network, from scaled features to logits; on the CPU.
        features_: Offset, scale and interquartile range of every feature.
        calibration_temperature_: What logits are divided by before they become probabilities; 1 without `calibrate`.
        loss_curve_: Mean loss of each epoch, in nats.
        n_iter_: Number of epochs.
        seed_: The seed that was used.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = RobustClassifier("noise", radius=0.3, epochs=20, device="cpu").fit(X, y)
        >>> classifier.score(X, y) > 0.9
        True
    """

    _loss: Loss = "cross_entropy"

    def __init__(
        self,
        objective: Literal["regular", "noise", "adversarial", "smoothed", "langevin"] | Objective = "smoothed",
        radius: Any = 0.1,
        *,
        unit: Unit = "std",
        norm: Norm = "linf",
        hidden: Sequence[int] = (100, 100),
        epochs: int = 50,
        batch_size: int = 128,
        lr: float = 3e-3,
        temperature: float = 0.01,
        num_draws: int | None = None,
        class_weight: Any = None,
        calibrate: float | None = None,
        radii: Sequence = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5),
        deployment_noise: Any = None,
        cv: Any = 5,
        device: str = "auto",
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        """Keep the parameters; `fit` checks them.

        Args:
            objective: What training minimises: `regular`, the plain loss; `noise`, the loss at uniform points of the
                ball; `adversarial`, at the worst point that gradient ascent finds; `smoothed`, a soft maximum over
                points tilted towards the worst; `langevin`, one over the states of a chain; or an objective, whose own
                radii count then.
            radius: How far features may move: a number >= 0, one per feature, or `cv` to choose among `radii`.
            unit: Of every radius: `std`, standard deviations of the feature; `raw`, its own units; `iqr`, interquartile
                ranges.
            norm: Of the ball: `linf`, each feature up to its radius; `l2` or `l1`, all together up to the radius.
            hidden: Widths of the hidden layers.
            epochs: Passes over the rows, at least 1.
            batch_size: Rows per step.
            lr: First learning rate of Adam, > 0; it falls to 0 along a cosine. Gradients are cut to a norm of 2.
            temperature: Of the soft maximum in `smoothed` and `langevin`, in nats, >= 0: to 0 the worst draw counts, to
                infinity all alike. Higher ones trade worst-case accuracy for clean accuracy.
            num_draws: Copies of each row per step; None takes 1 for `noise` and `adversarial`, 16 for `smoothed`, 8 for
                `langevin`.
            class_weight: A dictionary from class to weight, `balanced`, or None.
            calibrate: Share of the rows, above 0 and at most 0.5, that is held out class by class, always the same
                rows, to fit one temperature that makes probabilities believable. None holds out none.
            radii: The grid of `radius="cv"`.
            deployment_noise: What the features will meet in use, for `radius="cv"`: a radius of uniform noise (in the
                same unit and norm), or a perturbation.
            cv: Folds of `radius="cv"`: a number, shuffled and with equal shares of the classes, or a splitter.
            device: auto, cpu, cuda, cuda:1 or mps, for training and attacks; predictions are made on the CPU.
            random_state: Decides everything random. A number gives the same model each time; None takes a seed from
                NumPy's global generator.
            verbose: Whether a line is written after every tenth of the epochs.
        """
        self.objective = objective
        self.radius = radius
        self.unit: Unit = unit
        self.norm: Norm = norm
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.temperature = temperature
        self.num_draws = num_draws
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.radii = radii
        self.deployment_noise = deployment_noise
        self.cv = cv
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RobustClassifier":
        """Train on a table.

        Args:
            X: Rows of numbers: an array, or a data frame of pandas or polars.
            y: One label per row, of at least two classes.
            sample_weight: One number >= 0 per row; None counts all alike.

        Raises:
            ValueError: If the data or a parameter cannot be used; one sentence.
        """
        x, y, given = self._read_training(X, y, sample_weight)
        check_classification_targets(y)
        self._check(x.shape[1])
        self._check_own()
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_.tolist()[0]
            raise InputError(f"{self._who}: y must have at least two classes, got one class: {only!r}.")
        self._settle_radius(x, y, given)
        weights = given
        if self.class_weight is not None:
            weights = compute_sample_weight(self.class_weight, y) * (1.0 if given is None else given)
            if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
                raise InputError(
                    f"{self._who}: class_weight must be >= 0 and not 0 for all, got {self.class_weight!r}."
                )
        targets = torch.from_numpy(labels)
        parts = cut(targets, validation=self.calibrate or 0.0)
        rows, held_out = parts["train"].numpy(), parts["validation"].numpy()
        if self.calibrate and len(held_out) == 0:
            raise InputError(f"{self._who}: calibrate={self.calibrate} of {len(x)} rows holds out none; give more.")
        own = None if weights is None else weights[rows] / weights[rows].mean()
        self._train(x[rows], targets[rows], own, num_outputs=len(self.classes_))
        self.calibration_temperature_ = 1.0
        if len(held_out):
            some = None if weights is None else torch.from_numpy(weights[held_out])
            self.calibration_temperature_ = best_temperature(self._outputs_of(x[held_out]), targets[held_out], some)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row."""
        return self._decide(self._outputs_of(self._read(X)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, one row per row of the table; float64, with sum 1."""
        return (self._outputs_of(self._read(X)) / self.calibration_temperature_).softmax(1).numpy()

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class."""
        return (self._outputs_of(self._read(X)) / self.calibration_temperature_).log_softmax(1).numpy()

    def to_split(self, X: Any, y: Any) -> TensorSplit:
        """Return scaled rows and numbered labels, which with `module_` go into `withstand.evaluate`.

        Args:
            X: Rows.
            y: Their labels.

        Raises:
            ValueError: If the rows do not fit or a label is of no class of the training; one sentence.
        """
        x = self._read(X)
        return self._split(x, self._labels(self._read_truth(y, len(x))))

    def _check_own(self) -> None:
        share, objective = self.calibrate, self.objective
        if share is not None and not (isinstance(share, Real) and 0 < float(share) <= 0.5):
            raise InputError(f"{self._who}: calibrate must be a share above 0 and at most 0.5, got {share!r}.")
        if isinstance(objective, PerturbedRisk) and objective.loss == "squared_error":
            raise InputError(f"{self._who}: the objective's loss must be one for classes, got squared_error.")

    def _read_truth(self, y: Any, num_rows: int) -> np.ndarray:
        y = np.asarray(y).ravel()
        if len(y) != num_rows:
            raise InputError(f"{self._who}: y must hold one label per row ({num_rows}), got {len(y)}.")
        unknown = (self._labels(y) < 0).nonzero()
        if len(unknown):
            raise InputError(
                f"{self._who}: y must hold classes of the training, got {y[int(unknown[0])].item()!r}, which is none."
            )
        return y

    def _split(self, x: np.ndarray, labels: Tensor) -> TensorSplit:
        names = tuple(str(each) for each in self.classes_.tolist())
        return TensorSplit(self._inputs(x), labels, classes=names, box=None, features=self.features_)

    def _labels(self, y: Any) -> Tensor:
        """Return the numbers of labels, -1 for those of no class of the training."""
        number = {name: k for k, name in enumerate(self.classes_.tolist())}
        return torch.tensor([number.get(each, -1) for each in np.asarray(y).tolist()], dtype=torch.int64)

    def _targets(self, y: Any) -> Tensor:
        # An attack on a row of an unknown class is one on the first: the row is wrong anyway.
        return self._labels(y).clamp_min(0)

    def _decide(self, outputs: Tensor) -> np.ndarray:
        return self.classes_[outputs.argmax(1).numpy()]

    def _score_of(self, y: Any, predicted: np.ndarray) -> float:
        return float(np.mean(predicted == y))

    def _worst_score(
        self, x: np.ndarray, y: np.ndarray, ball: Ball, *, steps: int, restarts: int, vertices: bool
    ) -> float:
        labels = self._labels(y)
        known = labels >= 0
        if not known.any():
            return 0.0
        split = self._split(x[known.numpy()], labels[known])
        evaluation = WorstCase(ball=ball, steps=steps, restarts=restarts, vertices=vertices, num_mean=0)
        engine = Engine.start(device=self.device)
        model = engine.place(copy.deepcopy(self.module_))
        found = evaluation.measure(model, split, seed=self.seed_, engine=engine)
        (columns,) = found.columns.values()
        # A row of a class that training never saw, as a fold may hold, is wrong anyway.
        return int(columns["correct"].sum()) / len(x)
