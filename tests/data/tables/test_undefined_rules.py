"""Rules whose sides are no numbers, and quotes in rules."""

import pytest
import torch

from withstand.data.tables.relations import read_relation

NAMES = ["a", "b", "k"]


@pytest.mark.parametrize(
    "text", ["a >= 10 ** 400", "a ** 0.5 >= -1", "b == 10 ** 400 - 10 ** 400", "a <= 0 * 10 ** 400"]
)
def test_what_is_undefined_breaks_a_rule_and_a_hole_does_not(text):
    x = {"a": torch.tensor([-1.0, torch.nan]).double(), "b": torch.tensor([1.0, torch.nan]).double()}
    assert (read_relation(text, NAMES).violation(x) > 0).tolist() == [True, False]


@pytest.mark.parametrize("level", ["a `b` c", "it's `so`"])
def test_levels_hold_backquotes(level):
    rule = read_relation(f"k == {level!r}", NAMES, {"k": ("other", level)})
    assert rule.violation({"k": torch.tensor([0.0, 1.0])}).tolist() == [1, 0]
