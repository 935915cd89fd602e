"""Tables of any measure: budgets, kinds, classes, severities, intervals."""

from dataclasses import replace

from withstand.study.measures.measure import Measure
from withstand.study.measures.row import Row
from withstand.study.tables.measures import class_table, measure_table

WORST = Measure(name="worst", column="w", words="worst-case accuracy", percent=True, kind="attacked", topic="Balls")
MEAN = Measure(name="mean", column="m", words="mean over the ball", percent=True, kind="estimated", topic="Balls")
MEASURES = {"worst": WORST, "mean": MEAN}


def row(condition, value, measure="worst", **fields):
    return Row(measure=measure, condition=condition, value=value, count=100, **fields)


def test_the_budget_stands_in_a_note():
    rows = [row("linf 0.1, PGD-40 x 3 + vertices", 0.4), row("linf 0.1, mean of 256", 0.9, "mean")]
    table = measure_table({"one": rows, "two": rows[:1]}, MEASURES, name="Balls")
    assert table.lines == (
        ("linf 0.1", "worst-case accuracy", "40.0", "40.0"),
        ("linf 0.1", "mean over the ball", "90.0", "-"),
    )
    assert table.title == "Balls in percent, n = 100"
    assert table.notes == (
        "Upper bounds: worst-case accuracy.",
        "Estimates: mean over the ball.",
        "Budget of worst-case accuracy: PGD-40 x 3 + vertices.",
        "Budget of mean over the ball: mean of 256.",
    )


def test_several_budgets_of_one_ball_have_a_line_each():
    strong, weak = "PGD-40 x 3 + vertices + 64 tilted", "PGD-2 x 1"
    table = measure_table(
        {"one": [row(f"linf 0.1, {strong}", 0.8), row(f"linf 0.1, {weak}", 0.95)]}, MEASURES, name="B"
    )
    assert table.lines == (
        ("linf 0.1", f"worst-case accuracy, {strong}", "80.0"),
        ("linf 0.1", f"worst-case accuracy, {weak}", "95.0"),
    )
    assert table.notes == ("Upper bounds: worst-case accuracy.", f"Budgets: {strong}; {weak}.")


def test_the_budget_of_a_row_counts_before_that_of_the_measure_of_its_name():
    weak, strong = (replace(WORST, budget=f"PGD-{steps}") for steps in (2, 40))
    rows = [row(f"linf 0.1, {own.budget}", value, budget=own.budget) for own, value in ((weak, 1.0), (strong, 0.0))]
    table = measure_table({"one": rows}, {"worst": weak}, name="Balls")
    assert table.lines == (
        ("linf 0.1", "worst-case accuracy, PGD-2", "100.0"),
        ("linf 0.1", "worst-case accuracy, PGD-40", "0.0"),
    )
    other = replace(rows[1], condition="l2 1, PGD-40")
    notes = measure_table({"one": [rows[0], other]}, {"worst": weak}, name="Balls").notes
    assert notes[-1] == "Budgets: PGD-2 (linf 0.1); PGD-40 (l2 1)."


def test_rows_of_one_budget_at_one_place_are_not_averaged():
    rows = [row(f"linf 0.1, PGD-{steps}", steps / 100, "mean", budget="256 points") for steps in (2, 40)]
    assert measure_table({"one": rows, "two": rows[:1]}, MEASURES, name="Balls").lines == (
        ("linf 0.1", "mean over the ball, 256 points, PGD-2", "2.0", "2.0"),
        ("linf 0.1", "mean over the ball, 256 points, PGD-40", "40.0", "-"),
    )
    # One per model is no reason to tell them apart.
    assert measure_table({"one": rows[:1], "two": rows[1:]}, MEASURES, name="Balls").lines == (
        ("linf 0.1", "2.0", "40.0"),
    )


def test_measures_of_one_budget_share_a_note():
    rows = [row("linf 0.1, PGD-40 x 3", 0.4), row("linf 0.1, PGD-40 x 3", 0.9, "mean")]
    notes = measure_table({"one": rows}, MEASURES, name="Balls").notes
    assert notes == (
        "Upper bounds: worst-case accuracy.",
        "Estimates: mean over the ball.",
        "Budget: PGD-40 x 3.",
    )


def test_conditions_of_other_measures_keep_their_commas():
    plain = {"top1": Measure(name="top1", column="correct", percent=True)}
    table = measure_table({"a": [row("Gaussian std=[0.1, 0.2]", 0.5, "top1")]}, plain, name="Further")
    assert table.lines == (("Gaussian std=[0.1, 0.2]", "50.0"),)


def test_bounds_are_rounded_to_the_side_on_which_they_hold():
    bounds = {
        "upper": Measure(name="upper", column="u", kind="upper bound"),
        "lower": Measure(name="lower", column="l", kind="lower bound"),
    }
    rows = [row("l2 to l2", 12345.2, "upper"), row("l2 to l2", 69.579, "lower")]
    table = measure_table({"a": rows, "b": rows[:1]}, bounds, name="Lipschitz constants")
    assert [line[2:] for line in table.lines] == [("12,346", "12,346"), ("69.57", "-")]
    assert table.notes == ()


def test_units_stand_with_the_words_where_measures_differ():
    mixed = {
        "far": Measure(name="far", column="d", words="median distance", unit="l2", better="higher"),
        "never": Measure(name="never", column="d", words="never fooled", percent=True),
    }
    rows = [row("noise", float("inf"), "far"), row("noise", 0.6, "never")]
    assert measure_table({"a": rows}, mixed, name="Noise").lines == (
        ("noise", "median distance, l2", "never"),
        ("noise", "never fooled, %", "60.0"),
    )
    (far,) = measure_table({"a": rows[:1]}, mixed, name="Noise").lines
    assert far == ("noise", "never")
    assert measure_table({"a": rows[:1]}, mixed, name="Noise").title == "Noise: median distance, l2, n = 100"


def test_severities_are_averaged_unless_each_is_asked_for():
    plain = {"ece": Measure(name="ece", column="confidence", percent=True)}
    rows = [row(f"fog/{severity}", 0.1 * severity, "ece", low=0.0, high=1.0) for severity in range(1, 6)]
    table = measure_table({"a": rows}, plain, name="Calibration")
    assert table.lines == (("fog", "30.0"),)
    assert table.notes == ("Corruptions: means over the severities.",)
    assert len(measure_table({"a": rows}, plain, name="Calibration", each_severity=True).lines) == 5


def test_intervals_stand_in_brackets_as_far_as_they_fit():
    own = row("linf 0.1, PGD-2 x 1", 0.8, low=0.7, high=0.85)
    few = measure_table({"one": [own]}, MEASURES, name="Balls")
    assert few.lines == (("linf 0.1", "80.0 (70.0-85.0)"),)
    assert few.notes[0] == "In brackets: 95 % confidence intervals."
    many = measure_table({f"model-number-{k}": [own] for k in range(5)}, MEASURES, name="Balls")
    assert many.lines[0][1:] == ("80.0",) * 5
    assert many.notes[0] == "95 % intervals: at most ± 10.0."
    assert few.width <= 80


RECALLS = {
    f"recall {name}": Measure(
        name=f"recall {name}", column="c", reduction="by_class", parameters={"class": name}, percent=True
    )
    for name in "AB"
}
BALANCED = Measure(name="balanced", column="c", words="balanced accuracy", reduction="balanced", percent=True)


def test_classes_go_down_with_their_sizes_and_other_measures_below():
    rows = [row("clean", 0.8, "recall A"), row("clean", 0.7, "recall B"), row("clean", 0.75, "balanced")]
    table = class_table({"one": rows, "two": rows[:1]}, RECALLS | {"balanced": BALANCED}, name="By class")
    assert table.columns == ("class", "samples", "one", "two")
    assert table.lines == (
        ("A", "100", "80.0", "80.0"),
        ("B", "100", "70.0", "-"),
        None,
        ("balanced accuracy", "100", "75.0", "-"),
    )


def test_certified_accuracies_near_0_are_explained():
    proved = Measure(name="proved", column="c", words="certified accuracy", percent=True, kind="certified")
    depth = Measure(name="depth", column="d", words="certified radius", kind="certified")
    known = MEASURES | {"proved": proved, "depth": depth}

    def explained(*rows):
        notes = measure_table({"one": rows}, {each.measure: known[each.measure] for each in rows}, name="Balls").notes
        return any("near 0" in each for each in notes)

    assert explained(row("linf 0.1, CROWN", 0.0, "proved"), row("linf 0.1, quick", 0.4))
    assert not explained(row("linf 0.1, CROWN", 0.3, "proved"), row("linf 0.1, quick", 0.0))
    assert not explained(row("linf 0.1, CROWN", 0.0, "depth"))
