from withstand.study.ball_table import ball_table
from withstand.study.row import Row


def row(condition, total, measure="worst_case_top1"):
    return Row(measure=measure, condition=condition, total=total, count=100)


def test_several_budgets_of_one_ball_have_a_line_each():
    strong, weak = "PGD-40 x 3 + vertices + 64 tilted", "PGD-2 x 1"
    table = ball_table({"one": [row(f"linf 0.1, {strong}", 80.0), row(f"linf 0.1, {weak}", 95.0)]})
    assert table.lines == (("linf 0.1", f"worst case, {strong}", "80.0"), ("linf 0.1", f"worst case, {weak}", "95.0"))
    assert table.notes == tuple(f"Worst case, an upper bound: {each}." for each in (strong, weak))


def test_a_ball_with_changes_is_another_one():
    rows = {
        "one": [row("linf 0.1, PGD-2 x 1", 80.0), row("linf 0.1, with changes, PGD-2 x 1", 60.0)],
        "two": [row("linf 0.1, with changes, PGD-2 x 1", 70.0)],
    }
    assert ball_table(rows).lines == (
        ("linf 0.1", "worst case", "80.0", "-"),
        None,
        ("linf 0.1, with changes", "worst case", "60.0", "70.0"),
    )
