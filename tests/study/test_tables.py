from withstand.study.row import Row
from withstand.study.tables import tables


def row(measure: str, condition: str, total: float = 50.0) -> Row:
    return Row(measure=measure, condition=condition, total=total, count=100)


def test_every_kind_of_measure_has_its_table_and_no_row_is_in_two():
    rows = [
        row("top1", "clean", 90),
        row("worst_case_top1", "linf 0.1, vertices", 40),
        row("adversarial_top1", "linf 0.1, PGD-40 x 3", 45),
        row("balanced_top1", "clean by class", 70),
        row("recall A", "clean by class", 80),
        row("noise_distance", "gaussian noise", 950),
        row("lipschitz_lower", "l2 to l2", 1234),
    ]
    found = tables({"one": rows, "other": rows[:1]})
    shown = [[line for line in each.lines if line] for each in found]
    assert [len(each) for each in shown] == [1, 2, 2, 1, 1]
    assert shown[0] == [("clean", "90.0", "90.0")]
    assert shown[1] == [("linf 0.1", "worst case", "40.0", "-"), ("linf 0.1", "adversarial", "45.0", "-")]
    assert shown[2] == [("A", "100", "80.0", "-"), ("mean (balanced)", "", "70.0", "-")]
    assert found[1].notes == ("Worst case, an upper bound: vertices.", "Adversarial, an upper bound: PGD-40 x 3.")
