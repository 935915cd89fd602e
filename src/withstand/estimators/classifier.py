"""RobustClassifier: a classifier for tables, robust to noise in the features."""

import copy
import itertools
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from withstand.data.base import TensorSplit, cut
from withstand.data.checks import check_plain
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError, brief, told
from withstand.estimators.base import RobustEstimator
from withstand.estimators.reading import read_rows
from withstand.estimators.rows import warn
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.calibration import best_temperature
from withstand.functional.losses import Loss
from withstand.models.frozen import with_gradients
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball


@dataclass(eq=False, repr=False, kw_only=True)
class RobustClassifier(ClassifierMixin, RobustEstimator):
    """A classifier for tables, trained so that its prediction is the same everywhere in a ball around each row.

    Numbers are scaled internally, to mean 0 and standard deviation 1 over the training rows, and categories are one-hot
    encoded. In training, each number changes by up to its radius, and categories as `changes` allows. Constant columns
    are ignored. Columns are given by name or place.

    Sample weights multiply the loss of a row after its draws are combined; rows with weight 0 are ignored. Reported
    losses are unweighted.

    Args:
        objective: The loss that training minimises: `regular`, at the rows themselves; `noise`, at uniform points of
            the ball; `adversarial`, at the worst point that gradient ascent finds; `smoothed`, the soft maximum over
            points tilted towards the worst one; `langevin`, the soft maximum over the states of a Langevin chain; or an
            objective of the package, which has its own radii.
        radius: How far each column may change in training: a number >= 0, one number per column, a dictionary by column
            (others stay), or `cv` to choose from `radii`. Categories and columns with `changes` have none.
        unit: Unit of every radius: `std`, standard deviations of the feature; `raw`, its own units; `iqr`,
            interquartile ranges.
        norm: Norm of the ball: `linf` limits each feature separately; `l2` and `l1` limit all features together.
        hidden: Widths of the hidden layers.
        epochs: Passes over the rows, at least 1.
        batch_size: Rows per step.
        lr: Initial learning rate of Adam, > 0, with a cosine schedule to 0. Gradients are clipped to a norm of 2.
        temperature: Temperature of the soft maximum in `smoothed` and `langevin`, in nats, >= 0. Towards 0, only the
            worst draw counts; towards infinity, all draws count equally. Higher temperatures trade worst-case accuracy
            for clean accuracy.
        num_draws: Number of perturbed copies of each row per step; None takes 1 for `noise` and `adversarial`, 16 for
            `smoothed` and 8 for `langevin`.
        class_weight: A dictionary from class to weight, `balanced`, or None.
        calibrate: Share of the rows, above 0 and at most 0.5, held out (stratified, always the same rows) to calibrate
            probabilities by temperature scaling. None disables calibration.
        radii: Candidates for `radius="cv"`.
        deployment_noise: The noise that you expect in deployment, for `radius="cv"`: the radius of uniform noise (in
            the same unit and norm), or a perturbation.
        cv: Folds for `radius="cv"`: a number (the folds are shuffled and stratified), or a splitter.
        categorical: Columns that are categories, or a mask; `from_dtype` takes the columns of a data frame that hold
            text, categories or booleans. A level that is unseen in training has only zeros, with a warning.
        changes: Dictionary from column to the levels of a category that may replace each other, or to the amounts that
            may be added to a number.
        integer: Columns of whole numbers, or a mask: they stay whole when they move.
        limits: Dictionary from column to its lowest and highest legal value, None for no limit.
        rules: Relations between columns that hold in every legal row, such as `total == part_a + part_b`; see
            `read_relation`. Changed rows are legal by rules, limits and whole numbers; illegal rows do not change.
        missing: `refuse` empty cells, or `impute` them: the median of a column of numbers, a level of its own for a
            category. An imputed cell moves like others.
        device: auto, cpu, cuda, cuda:1 or mps, for training and attacks; predictions run on the CPU.
        random_state: Seed of all random numbers. The same number gives the same model; None draws a seed from NumPy's
            global generator.
        verbose: Whether to print progress, one line after each tenth of the epochs.

    Attributes:
        classes_: The labels, sorted, in the order of the columns of `predict_proba`.
        radius_: The training radius, given or chosen.
        cv_results_: With `radius="cv"`, the scores: one entry per radius, ascending.
        module_: The network, from scaled features to logits; on the CPU.
        features_: Offset, scale and interquartile range of every input: one per number, one per level of a category.
        calibration_temperature_: Number by which logits are divided before the softmax; 1 without `calibrate`.
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

    class_weight: Any = None
    calibrate: float | None = None
    _loss: ClassVar[Loss] = "cross_entropy"

    @with_gradients()
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RobustClassifier":
        """Train on a table.

        Args:
            X: Rows: an array, or a data frame of pandas or polars.
            y: One label per row, of at least two classes.
            sample_weight: One number >= 0 per row; None weights all rows equally.

        Raises:
            ValueError: If the data or a parameter is invalid.
        """
        x, y, given = self._read_training(X, y, sample_weight)
        try:
            check_classification_targets(y)
        except TypeError as problem:
            raise InputError(f"{self._who}: y must hold labels of one type ({told(problem)}).") from problem
        self._fit(x, y, given)
        return self

    def _fit(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        self._check()
        self._check_own()
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_.tolist()[0]
            raise InputError(f"{self._who}: y must have at least two classes, got one class: {only!r}.")
        self._settle_radius(x, y, weights)
        weights = self._weighted(y, weights)
        targets = torch.from_numpy(labels)
        parts = cut(targets, validation=self.calibrate or 0.0)
        rows, held_out = parts["train"].numpy(), parts["validation"].numpy()
        if self.calibrate and len(held_out) == 0:
            raise InputError(f"{self._who}: calibrate={self.calibrate} of {len(x)} rows holds out none; give more.")
        own = None if weights is None else weights[rows] / weights[rows].mean()
        self._train(x, targets[rows], own, num_outputs=len(self.classes_), rows=rows if len(rows) < len(x) else None)
        self.calibration_temperature_ = 1.0
        if len(held_out):
            some = None if weights is None else torch.from_numpy(weights[held_out])
            self.calibration_temperature_ = best_temperature(self._outputs_of(x[held_out]), targets[held_out], some)

    def _weighted(self, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Return weights of rows that include those of the classes."""
        if self.class_weight is None:
            return weights
        try:
            found = compute_sample_weight(self.class_weight, y) * (1.0 if weights is None else weights)
        except (TypeError, ValueError) as problem:
            raise InputError(
                f"{self._who}: class_weight must be None, 'balanced', or a number for each class by its label, "
                f"got {brief(self.class_weight)} ({told(problem)})."
            ) from problem
        if not (np.isfinite(found) & (found >= 0)).all() or not found.any():
            raise InputError(f"{self._who}: class_weight must be >= 0 and not 0 for all, got {self.class_weight!r}.")
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row."""
        return self._decide(self._outputs_of(read_rows(self, X)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, one row per row of the table; float64, with sum 1."""
        return (self._outputs_of(read_rows(self, X)) / self.calibration_temperature_).softmax(1).numpy()

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class."""
        return (self._outputs_of(read_rows(self, X)) / self.calibration_temperature_).log_softmax(1).numpy()

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is right, weighted.

        Raises:
            ValueError: If rows or labels are invalid.
        """
        predicted = self.predict(X)
        try:
            return float(accuracy_score(y, predicted, sample_weight=sample_weight))
        except TypeError as problem:  # labels that cannot be compared with those of the training
            raise InputError(
                f"{self._who}: y must hold labels like those of the training ({told(problem)})."
            ) from problem

    def to_split(self, X: Any, y: Any) -> TensorSplit:
        """Return scaled rows and numbered labels, to evaluate `module_` with `withstand.evaluate`.

        Args:
            X: Rows.
            y: Their labels.

        Raises:
            ValueError: If the rows are invalid, or a label is not a class of the training data.
        """
        x = read_rows(self, X)
        return self._split(x, self._labels(self._read_truth(y, len(x))), self._freedom.space)

    def _check_own(self) -> None:
        share, objective = self.calibrate, self.objective
        if share is not None and not (isinstance(share, Real) and 0 < share <= 0.5):
            raise InputError(f"{self._who}: calibrate must be a share above 0 and at most 0.5, got {share!r}.")
        if isinstance(objective, PerturbedRisk) and objective.loss == "squared_error":
            raise InputError(f"{self._who}: the objective's loss must be one for classes, got squared_error.")

    def _read_truth(self, y: Any, num_rows: int) -> np.ndarray:
        check_plain(f"{self._who}: y", y)
        y = np.asarray(y).ravel()
        if len(y) != num_rows:
            raise InputError(f"{self._who}: y must hold one label per row ({num_rows}), got {len(y)}.")
        unknown = (self._labels(y) < 0).nonzero()
        if len(unknown):
            raise InputError(f"{self._who}: y must hold classes of the training, got {y[int(unknown[0])].item()!r}.")
        return y

    def _split(self, x: np.ndarray, labels: Tensor, space: Space) -> TensorSplit:
        names = tuple(str(each) for each in self.classes_.tolist())
        inputs = self._inputs(x)
        return TensorSplit(inputs, labels, classes=names, box=None, features=space.features, rules=space.rules)

    def _labels(self, y: Any) -> Tensor:
        """Return the numbers of labels, -1 for unknown ones."""
        number = {name: k for k, name in enumerate(self.classes_.tolist())}
        return torch.tensor([number.get(each, -1) for each in np.asarray(y).tolist()], dtype=torch.int64)

    def _targets(self, y: Any) -> Tensor:
        # Rows of an unknown class are attacked as the first class: they are wrong anyway.
        return self._labels(y).clamp_min(0)

    def _decide(self, outputs: Tensor) -> np.ndarray:
        return self.classes_[outputs.argmax(1).numpy()]

    def _score_of(self, y: Any, predicted: np.ndarray) -> float:
        return float(np.mean(predicted == y))

    @with_gradients()
    def _worst_score(self, x: np.ndarray, y: np.ndarray, ball: Ball, space: Space, *, budget: Budget) -> float:
        labels = self._labels(y)
        known = labels >= 0
        if not known.any():
            return 0.0
        split = self._split(x[known.numpy()], labels[known], space)
        evaluation = WorstCase(balls=(ball,), budget=budget, num_mean=0)
        engine = Engine.start(device=self.device)
        model = copy.deepcopy(self.module_).to(engine.device)
        found = evaluation.measure(model, split, seed=self.seed_, engine=engine)
        (columns,) = found.columns.values()
        for note in itertools.chain.from_iterable(found.notes.values()):
            warn(f"{self._who}: {note.text}")
        # Rows of classes missing from the training fold count as wrong.
        return int(columns["correct"].sum()) / len(x)
