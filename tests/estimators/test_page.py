"""docs/how-to/estimators.md: what it says of checks and parameters is so; tests/test_docs.py runs its blocks."""

import re
from pathlib import Path

import pytest

from withstand.estimators.objectives import Name

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "estimators.md").read_text(encoding="utf-8")


def test_every_objective_with_a_name_is_explained():
    assert re.findall(r"(?m)^\| `(\w+)` \| (?:at|as a \[?soft maximum)", PAGE) == list(Name.__args__)


def test_the_checks_that_are_expected_to_fail_are_those_of_the_tests():
    source = Path(__file__).with_name("test_checks.py").read_text(encoding="utf-8")
    expected = re.findall(r'"(check_\w+)": "(.+)"', source)
    assert expected == re.findall(r"(?m)^\| `(check_\w+)` \| (.+) \|$", PAGE)
    assert expected


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(mean_\w+|standard_error_\w+|is_chosen)`", PAGE))))
def test_results_that_are_named_exist(name):
    estimators = Path(__file__).parents[2] / "src" / "withstand" / "estimators"
    source = "".join((estimators / each).read_text(encoding="utf-8") for each in ("radius.py", "base.py"))
    found = set(re.findall(r'"(mean_shortfall|standard_error_of_shortfall|is_chosen)"', source))
    found |= {f"mean_{each}_score" for each in re.findall(r'"(clean|noisy|worst_case)"', source)}
    assert name in found
