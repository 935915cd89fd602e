"""Subject: any fitted classifier as a module of a table's matrix."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from withstand.errors import InputError, brief, told
from withstand.models.black_box import BlackBox
from withstand.tables.columns import Columns
from withstand.tables.through import through

LEAST = 1e-6  # by which rounding may make a probability negative
CUT = "turn numbers into classes by a function, such as lambda rows: model.predict(rows) > 0.5"
TIE = 1e-9  # share that the highest of a row's probabilities gains


class Subject(NamedTuple):
    """A model of the columns of a table.

    Attributes:
        module: Maps rows of the matrix to logits.
        classes: Its classes.
        searched: The module that attacks use: with gradients if the model has some.
    """

    module: nn.Module
    classes: tuple[Any, ...]
    searched: nn.Module

    def numbers(self, y: Any, num_rows: int, *, who: str) -> Tensor:
        """Return the numbers of labels.

        Raises:
            InputError: If they do not fit the rows or the classes.
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
        y: Labels, whose values are the classes of a model that names none.
        moves: Which inputs are numbers that may move.
        who: Name at the beginning of errors.

    Raises:
        InputError: If the model does not answer for the table.
    """
    predict, classes = _answers_of(model, columns, y, who)

    def probabilities(rows: np.ndarray) -> np.ndarray:
        found = np.array(_called(predict, columns, who, rows), dtype=np.float64)
        if not (found >= -LEAST).all():
            wrong = found[~(found >= -LEAST)][0]
            raise InputError(f"{who}: the model must answer with probabilities (at least 0), got {wrong:g}.")
        # Of equal probabilities the first wins, as in `predict`; attacks would take a tie for a wrong answer.
        found[np.arange(len(found)), found.argmax(1)] *= 1 + TIE
        return found

    probabilities.__name__ = getattr(model, "__name__", type(model).__name__)
    module = BlackBox(probabilities, range(len(classes)), dtype="float64")
    with torch.no_grad():
        module(torch.from_numpy(columns.matrix()[:1]))
    return Subject(module, classes, through(model, columns, moves) or module)


def _answers_of(model: Any, columns: Columns, y: Any, who: str) -> tuple[Any, tuple[Any, ...]]:
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
        named = sorted({*_labels(y, who), *_labels(found, who, what="answers")}, key=str)
    classes = tuple(_labels(named, who, what="classes_"))
    number = {name: place for place, name in enumerate(classes)}
    rows = np.eye(len(classes))

    def votes(table: Any) -> np.ndarray:
        labels = np.asarray(predict(table)).ravel().tolist()
        for each in labels:
            if each not in number:
                if isinstance(each, float) and not each.is_integer():
                    wanted = "a class per row, or probabilities with a column per class"
                    raise InputError(f"{who}: the model must answer with {wanted}, got {each:.4g}; {CUT}.")
                known = brief(list(classes))
                raise InputError(f"{who}: the model answers {each!r}, expected one of {known}; set its classes_.")
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
        wanted = "numbers, text or truth values, one per row" if what == "y" else "numbers, text or truth values"
        raise InputError(f"{who}: {what} must be {wanted}, got {brief(y)}.") from None
    return labels


def _called(predict: Any, columns: Columns, who: str, rows: np.ndarray) -> Any:
    try:
        return predict(columns.table(rows))
    except InputError:
        raise
    except Exception as problem:  # the model is code of the user
        raise InputError(f"{who}: the model does not answer for rows like those of X ({told(problem)}).") from problem
