"""Rules whose sides are no numbers, and quotes in rules."""

import pytest
import torch

from withstand.data.tables.relations import read_relation
from withstand.errors import InputError

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


@pytest.mark.parametrize("name", ["a`b", "`", "``", "a``", "`a b`", "class"])
def test_any_name_of_a_column_stands_in_backquotes(name):
    rule = read_relation(f"`{name.replace('`', '``')}` > 0 and `b` > 0", [name, "b"])
    assert rule.columns == (name, "b")


@pytest.mark.parametrize("text", ["class > 0", "monthly fee > 0", "if class == 'a': b > 0", "price$ > 0"])
def test_names_that_lack_backquotes_are_told_so(text):
    with pytest.raises(InputError, match="backquotes"):
        read_relation(text, ["class", "monthly fee", "price$", "b"])


@pytest.mark.parametrize(
    ("text", "is_legal"),
    [
        ("b == a / k", False),
        ("b <= a / k", True),
        ("a % k <= 0.001", True),
        ("log(k) < -27", True),
        ("sqrt(k - 1) == 0", True),
    ],
)
def test_division_by_zero_and_functions_outside_of_their_domain(text, is_legal):
    x = {"a": torch.tensor([1.0]).double(), "b": torch.tensor([3.0]).double(), "k": torch.tensor([0.0]).double()}
    assert (read_relation(text, NAMES).violation(x) == 0).tolist() == [is_legal]
