"""Reading the trees of scikit-learn's classifiers."""

from typing import Any

import numpy as np

from withstand.certificates.trees.ensemble import Ensemble, joined, last_float64
from withstand.errors import InputError

KNOWN = (
    "DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier, "
    "GradientBoostingClassifier or HistGradientBoostingClassifier of scikit-learn"
)


def read_ensemble(model: Any, *, who: str) -> Ensemble:
    """Return the trees of a fitted classifier; its outputs put the classes in the order of the model's.

    Args:
        model: The classifier.
        who: Name at the beginning of errors.

    Raises:
        InputError: If the model is of another kind, or not fitted.
    """
    name = type(model).__name__
    if name in ("DecisionTreeClassifier", "ExtraTreeClassifier") and hasattr(model, "tree_"):
        return _votes([model], model)
    if name in ("RandomForestClassifier", "ExtraTreesClassifier") and hasattr(model, "estimators_"):
        return _votes(model.estimators_, model)
    if name == "GradientBoostingClassifier" and hasattr(model, "estimators_"):
        return _boosted(model)
    if name == "HistGradientBoostingClassifier" and hasattr(model, "_predictors"):
        return _by_histograms(model, who)
    raise InputError(f"{who}: exact needs a fitted {KNOWN}, got {name}; leave exact out.")


def _votes(trees: list[Any], model: Any) -> Ensemble:
    """Return trees whose probabilities are averaged; here they add up."""
    found = []
    for each in trees:
        value = each.tree_.value[:, 0, :]
        found.append(_plain(each.tree_, value / value.sum(1, keepdims=True)))
    return joined(found, np.zeros(len(model.classes_)))


def _boosted(model: Any) -> Ensemble:
    """Return trees of gradient boosting: one output, of the second of two classes, or one per class."""
    num_classes, num_outputs = len(model.classes_), model.estimators_.shape[1]
    base = _placed(np.asarray(model._raw_predict_init(np.zeros((1, model.n_features_in_))))[0], num_classes)
    found = []
    for stage in model.estimators_:
        for number, each in enumerate(stage):
            value = np.zeros((each.tree_.node_count, num_outputs))
            value[:, number] = model.learning_rate * each.tree_.value[:, 0, 0]
            found.append(_plain(each.tree_, _placed(value, num_classes)))
    return joined(found, base)


def _by_histograms(model: Any, who: str) -> Ensemble:
    num_classes, found = len(model.classes_), []
    base = _placed(np.asarray(model._baseline_prediction, dtype=np.float64).ravel(), num_classes)
    for stage in model._predictors:
        for number, each in enumerate(stage):
            nodes = each.nodes
            is_leaf = nodes["is_leaf"].astype(bool)
            if nodes["is_categorical"].astype(bool).any() or getattr(model, "_preprocessor", None) is not None:
                raise InputError(f"{who}: exact needs trees that split numbers, got categories; leave exact out.")
            value = np.zeros((len(nodes), len(stage)))
            value[:, number] = nodes["value"]
            found.append(
                Ensemble(
                    feature=np.where(is_leaf, -1, nodes["feature_idx"].astype(np.int64)),
                    threshold=nodes["num_threshold"].astype(np.float64),
                    left=nodes["left"].astype(np.int64),
                    right=nodes["right"].astype(np.int64),
                    empty_left=nodes["missing_go_to_left"].astype(bool),
                    value=_placed(value, num_classes),
                    roots=np.zeros(1, dtype=np.int64),
                    base=base,
                )
            )
    return joined(found, base)


def _plain(tree: Any, value: np.ndarray) -> Ensemble:
    """Return a tree of scikit-learn, which compares 32 bits of a value with a threshold."""
    is_leaf = tree.children_left < 0
    return Ensemble(
        feature=np.where(is_leaf, -1, tree.feature).astype(np.int64),
        threshold=last_float64(np.where(is_leaf, 0.0, tree.threshold)),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        empty_left=np.asarray(tree.missing_go_to_left).astype(bool),
        value=value,
        roots=np.zeros(1, dtype=np.int64),
        base=np.zeros(value.shape[1]),
    )


def _placed(outputs: np.ndarray, num_classes: int) -> np.ndarray:
    """Return one output per class: binary models have an output of the second class only, and the first gets 0."""
    if outputs.shape[-1] == num_classes:
        return outputs
    return np.concatenate([np.zeros_like(outputs), outputs], -1)
