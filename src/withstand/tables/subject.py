"""Subject: any fitted classifier as a module that maps rows of a table's matrix to logits."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from withstand.errors import InputError, brief, told
from withstand.models.wrappers.black_box import BlackBox
from withstand.tables.columns import Columns
from withstand.tables.through import through

LEAST = 1e-6  # rounding error that may make a probability negative
TIE = 1e-9  # relative increase of the highest probability of a row
CUT = "turn numbers into classes by a function, such as lambda rows: model.predict(rows) > 0.5"


class Subject(NamedTuple):
    """A model of the columns of a table.

    Attributes:
        module: Maps rows of the matrix to logits.
        classes: Its classes.
        searched: The module that attacks use: differentiable if the model ends in an estimator of withstand.
    """

    module: nn.Module
    classes: tuple[Any, ...]
    searched: nn.Module

    def numbers(self, y: Any, num_rows: int, *, who: str) -> Tensor:
        """Return labels as class numbers (row,).

        Raises:
            InputError: If there is not one label per row, or one is no class of the model.
        """
        labels = _labels(y, who)
        if len(labels) != num_rows:
            raise InputError(f"{who}: y must hold one label per row ({num_rows:,}), got {len(labels):,}.")
        number = {name: place for place, name in enumerate(self.classes)}
        for each in labels:
            if each not in number:
                raise InputError(f"{who}: y must hold classes of the model {list(self.classes)!r}, got {each!r}.")
        return torch.tensor([number[each] for each in labels])


def subject_of(model: Any, columns: Columns, y: Any, moves: Sequence[bool], *, who: str) -> Subject:
    """Return a model as a module of the matrix of a table.

    Args:
        model: Anything with `predict_proba` or `predict`, or a function of tables.
        columns: The columns of its table.
        y: Labels, from which the classes are read if the model has no `classes_`.
        moves: Which inputs are numbers that may move.
        who: Name at the beginning of errors.

    Raises:
        InputError: If the model is not a fitted classifier, or fails on the table.
    """
    predict, classes = _predictor(model, columns, y, who)

    def probabilities(rows: np.ndarray) -> np.ndarray:
        found = np.array(_called(predict, columns, who, rows), dtype=np.float64)
        wanted = (len(rows), len(classes) or 1)
        if found.shape != wanted:
            raise InputError(f"{who}: the model must return probabilities of shape {wanted}, got {found.shape}.")
        if not (found >= -LEAST).all():
            wrong = found[~(found >= -LEAST)][0]
            raise InputError(f"{who}: the model must return probabilities (at least 0), got {wrong:g}.")
        # Ties go to the first class, as in `predict`; attacks count a tie as misclassified.
        found[np.arange(len(found)), found.argmax(1)] *= 1 + TIE
        return found

    probabilities.__name__ = getattr(model, "__name__", type(model).__name__)
    module = BlackBox(probabilities, range(len(classes)), dtype="float64")
    with torch.no_grad():
        module(torch.from_numpy(columns.matrix()[:1]))
    return Subject(module, classes, through(model, columns, moves) or module)


def _predictor(model: Any, columns: Columns, y: Any, who: str) -> tuple[Any, tuple[Any, ...]]:
    """Return a function from tables to probabilities, and the classes."""
    named, by_name = getattr(model, "classes_", None), cast(Any, model)
    is_function = not hasattr(model, "predict") and not hasattr(model, "predict_proba")
    if isinstance(model, type) or (is_function and not callable(model)):
        came = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise InputError(f"{who}: model must be a fitted classifier, a pipeline or a function of tables, got {came}.")
    if _is_regressor(model):
        raise InputError(f"{who}: model must be a classifier, got the regressor {type(model).__name__}; {CUT}.")
    if hasattr(model, "predict_proba") or is_function:
        predict = by_name.predict_proba if hasattr(model, "predict_proba") else model
        found = np.asarray(_called(predict, columns, who, columns.matrix()))
        if found.ndim == 2:
            classes = range(found.shape[1]) if named is None else _labels(named, who, what="classes_")
            return lambda table: np.asarray(predict(table), dtype=np.float64), tuple(classes)
    else:
        predict = by_name.predict
        found = np.asarray(_called(predict, columns, who, columns.matrix()))
    if named is None:
        classes = tuple(sorted({*_labels(y, who), *_labels(found, who, what="predictions")}, key=str))
    else:
        classes = tuple(_labels(named, who, what="classes_"))
    number = {name: place for place, name in enumerate(classes)}
    rows = np.eye(len(classes))

    def votes(table: Any) -> np.ndarray:
        labels = np.asarray(predict(table)).ravel().tolist()
        for each in labels:
            if each not in number:
                if isinstance(each, float) and not each.is_integer():
                    wanted = "a class per row, or probabilities with a column per class"
                    raise InputError(f"{who}: the model must return {wanted}, got {each:.4g}; {CUT}.")
                known = brief(list(classes))
                raise InputError(f"{who}: the model predicts {each!r}, expected one of {known}; set its classes_.")
        return rows[[number[each] for each in labels]]

    return votes, classes


def _is_regressor(model: Any) -> bool:
    from sklearn.base import is_regressor

    return hasattr(model, "__sklearn_tags__") and is_regressor(model)


def _labels(y: Any, who: str, *, what: str = "y") -> list[Any]:
    try:
        labels = np.asarray(y).ravel().tolist()
        hash(tuple(labels))
    except (TypeError, ValueError):
        wanted = "numbers, text or booleans" + (", one per row" if what == "y" else "")
        raise InputError(f"{who}: {what} must be {wanted}, got {brief(y)}.") from None
    return labels


def _called(predict: Any, columns: Columns, who: str, rows: np.ndarray) -> Any:
    try:
        return predict(columns.table(rows))
    except InputError:
        raise
    except Exception as problem:  # the model is code of the user
        raise InputError(f"{who}: the model fails on rows like those of X ({told(problem)}).") from problem
