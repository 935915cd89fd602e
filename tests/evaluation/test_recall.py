"""Recalls against counts by hand."""

import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.evaluation.recall import Recall


def test_recalls_are_the_accuracies_of_the_classes_and_their_mean_is_balanced(measured):
    # The inputs are the logits: of class a 3 of 4 are right, of b 1 of 2, of c 2 of 3.
    predicted, y = torch.tensor([0, 0, 0, 2, 1, 0, 2, 2, 1]), torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2])
    split = TensorSplit(torch.eye(3)[predicted], y, classes=("a", "b", "c"), box=None)
    found = {name: row.value for (name, _), row in measured(Recall(), nn.Identity(), split).items()}
    assert [found[f"recall {name}"] for name in "abc"] == pytest.approx([3 / 4, 1 / 2, 2 / 3])
    assert found["balanced_top1"] == pytest.approx((3 / 4 + 1 / 2 + 2 / 3) / 3)
    without = split.select((y != 1).nonzero()[:, 0])
    found = {name: row.value for (name, _), row in measured(Recall(), nn.Identity(), without).items()}
    assert "recall b" not in found
    assert found["balanced_top1"] == pytest.approx((3 / 4 + 2 / 3) / 2)
