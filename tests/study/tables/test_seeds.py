"""What several seeds have in common."""

import math

from withstand.study.measures.measure import Measure
from withstand.study.measures.row import Row
from withstand.study.tables.seeds import seeds_table


def test_distances_without_end_have_no_mean():
    values = {"0": 1.0, "1": math.inf}
    rows = {seed: [Row(measure="far", condition="noise", value=value, count=4)] for seed, value in values.items()}
    far = Measure(name="far", column="far", words="median distance", unit="l2", better="higher")
    assert seeds_table(rows, {"far": far}).lines == (("median distance, l2", "noise", "never", "-", "1.00", "never"),)


def test_the_spread_of_a_bound_is_no_bound():
    bound = Measure(name="bound", column="bound", kind="upper bound", percent=True)
    rows = {str(value): [Row(measure="bound", condition="linf 0.1", value=value, count=4)] for value in (0.5, 0.50141)}
    (line,) = seeds_table(rows, {"bound": bound}).lines
    assert line[2:] == ("50.1", "0.1", "50.0", "50.2")
