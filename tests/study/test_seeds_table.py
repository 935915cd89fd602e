"""What several seeds have in common."""

import math

from withstand.study.row import Row
from withstand.study.seeds_table import seeds_table


def test_distances_without_end_have_no_mean():
    values = {"0": 1.0, "1": math.inf}
    rows = {seed: [Row(measure="far", condition="noise", value=value, count=4)] for seed, value in values.items()}
    assert seeds_table(rows).lines == (("far", "noise", "never", "-", "1.0000", "never"),)
