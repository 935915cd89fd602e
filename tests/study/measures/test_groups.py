"""Measures by subgroup, against the same reduction of each group alone."""

import numpy as np
import polars
import pytest

from withstand.errors import InputError
from withstand.study.measures.groups import by_group
from withstand.study.measures.intervals import wilson
from withstand.study.measures.measure import Measure

RNG = np.random.default_rng(0)
TOP1 = Measure(name="top1", column="correct")
OUTCOMES = polars.DataFrame(
    {
        "number": polars.Series(range(90), dtype=polars.UInt32),
        "identifier": [f"{number}.png" for number in range(90)],
        "label": RNG.integers(3, size=90),
        "correct": RNG.random(90) < 0.6,
        "distance": RNG.exponential(size=90),
    }
)


def test_groups_by_class_have_wilsons_intervals():
    found = by_group(OUTCOMES, TOP1, "label")
    assert found.columns == ["label", "value", "count", "low", "high"]
    for label, value, count, low, high in found.iter_rows():
        own = OUTCOMES.filter(label=label)["correct"]
        assert (value, count, low, high) == (own.mean(), len(own), *wilson(own.mean(), len(own)))
    assert found["label"].to_list() == [0, 1, 2]


@pytest.mark.parametrize("key", ["identifier", "number"])
def test_further_columns_are_joined(key):
    about = OUTCOMES.select(key).with_columns(hospital=polars.Series(["b", "a", "a"] * 30))
    about = about.with_columns(polars.col(key).cast(polars.Int64 if key == "number" else polars.String))
    found = by_group(OUTCOMES, TOP1, "hospital", about=about.reverse()[:80])
    own = OUTCOMES[10:].with_columns(hospital=about["hospital"][10:])
    expected = own.group_by("hospital").agg(polars.col("correct").mean(), polars.len()).sort("hospital")
    assert found.select("hospital", "value", "count").rows() == expected.rows()


def test_any_reduction_is_taken_of_every_group():
    median = Measure(name="d", column="distance", reduction="median")
    found = by_group(OUTCOMES, median, "label")
    expected = [np.quantile(OUTCOMES.filter(label=k)["distance"], 0.5, method="lower") for k in range(3)]
    assert found["value"].to_list() == expected


def test_what_makes_no_groups_is_refused():
    about = OUTCOMES.select("number").with_columns(site=1)
    for asked, column, further, match in (
        (TOP1, "site", None, "column site is not one of the samples"),
        (TOP1, "site", about.drop("number"), "identifier or number"),
        (TOP1, "site", about.drop("site"), "frame must have the column site"),
        (TOP1, "site", polars.concat([about, about]), "one line per number"),
        (Measure(name="n", column="correct", reduction="number"), "label", None, "of groups of samples"),
    ):
        with pytest.raises(InputError, match=match):
            by_group(OUTCOMES, asked, column, about=further)
