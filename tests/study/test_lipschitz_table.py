from withstand.study.lipschitz_table import lipschitz_rows, lipschitz_table
from withstand.study.row import Row
from withstand.study.table import accuracy_rows


def row(measure, value, condition="l2 to l2"):
    return Row(measure=measure, condition=condition, total=value, count=1)


def test_bounds_are_rounded_to_the_side_on_which_they_hold():
    rows = [
        row("lipschitz_upper_product", 12345.2),
        row("lipschitz_upper_lipsdp", 80.531),
        row("lipschitz_lower", 69.579),
        row("lipschitz_local_median", 38.814),
    ]
    table = lipschitz_table({"a": rows, "b": rows[:1]})
    assert [line[2:] for line in table.lines if line] == [
        ("12,346", "12,346"),
        ("80.54", "-"),
        ("69.57", "-"),
        ("38.81", "-"),
    ]


def test_a_lower_bound_of_nothing_is_shown_as_nothing():
    assert lipschitz_table({"a": [row("lipschitz_lower", 0.0)]}).lines[0] == ("l2 to l2", "lower bound, search", "0.00")


def test_bounds_and_accuracies_go_into_tables_of_their_own():
    rows = [Row(measure="top1", condition="clean", total=1.0, count=2), row("lipschitz_lower", 1.0)]
    assert accuracy_rows({"a": rows}) == {"a": rows[:1]}
    assert lipschitz_rows({"a": rows}) == {"a": rows[1:]}
    assert lipschitz_rows({"a": rows[:1]}) == {}
