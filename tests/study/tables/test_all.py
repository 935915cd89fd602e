"""Every measure is in a table, whoever declared it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from withstand.study.measures.measure import ACCURACY, FURTHER, Measure
from withstand.study.measures.row import Row
from withstand.study.tables.all import tables

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", percent=True, topic=ACCURACY)
TOP5 = Measure(name="top5", column="top5", words="top-5 accuracy", percent=True, topic=ACCURACY, primary=False)
RECALL = Measure(
    name="recall A", column="c", reduction="by_class", parameters={"class": "A"}, percent=True, topic="By class"
)
OTHERS = {
    "worst": Measure(name="worst", column="w", words="worst case", percent=True, kind="attacked", topic="Balls"),
    "recall A": RECALL,
    "balanced": Measure(name="balanced", column="c", percent=True, topic="By class"),
    "far": Measure(name="far", column="d", topic="Noise"),
    "mine": Measure(name="mine", column="m"),
}
MEASURES = {"top1": TOP1, "top5": TOP5, **OTHERS}
CELLS = [f"{kind}/{severity}" for kind in ("fog", "snow") for severity in range(1, 6)]


def row(measure, condition, value=0.5):
    return Row(measure=measure, condition=condition, value=value, count=100)


ROWS = [
    *(row(name, condition) for name in ("top1", "top5") for condition in ("clean", *CELLS, "corruptions")),
    row("worst", "linf 0.1, vertices", 0.4),
    row("recall A", "clean", 0.8),
    row("balanced", "clean", 0.7),
    row("far", "gaussian noise", 9.5),
    row("mine", "somewhere", 0.25),
    row("undeclared", "somewhere", 0.75),
]


def lines(table):
    return [line for line in table.lines if line]


def test_every_topic_has_its_table_and_what_is_left_comes_last():
    found = tables({"one": ROWS, "other": ROWS[:1]}, MEASURES, notes=("Noted.",), everywhere=("Always.",))
    assert [each.title for each in found] == [
        "Top-1 accuracy in percent, n = 100",
        "Top-5 accuracy in percent, n = 100",
        "Balls: worst case in percent, n = 100",
        "By class in percent",
        "Noise: far, n = 100",
        f"{FURTHER}, n = 100",
    ]
    assert lines(found[0])[0] == ("clean", "50.0", "50.0")
    assert lines(found[1]) == [("clean", "50.0", "-"), ("mean of corruptions", "50.0", "-")]
    assert lines(found[-1]) == [("somewhere", "mine", "0.25", "-"), ("somewhere", "undeclared", "0.75", "-")]
    assert ["Noted." in each.notes for each in found] == [True, True, False, False, False, False]
    assert all(each.notes[-1] == "Always." for each in found)


def test_another_accuracy_may_be_shown_in_full():
    first, second, *_ = tables({"one": ROWS}, MEASURES, measure="top5")
    assert first.title.startswith("Top-5")
    assert first.columns == ("one", "s1", "s2", "s3", "s4", "s5", "mean")
    assert lines(second) == [("clean", "50.0"), ("mean of corruptions", "50.0")]


@given(st.sets(st.sampled_from(sorted(OTHERS)), min_size=1), st.sampled_from(["Balls", "Own", FURTHER, ACCURACY]))
def test_no_measure_gets_lost(names, topic):
    measures = {name: replace(MEASURES[name], topic=topic) for name in names}
    values = {name: 0.111 * (place + 1) for place, name in enumerate(sorted(names))}
    rows = [row(name, "somewhere", value) for name, value in values.items()]
    found = tables({"one": rows}, measures)
    shown = [each for table in found for line in lines(table) for each in line]
    for name, value in values.items():
        assert measures[name].written(value) in shown


def test_a_condition_has_its_own_table_by_class():
    rows = [row("recall A", condition) for condition in ("clean by class", "fog/3 by class")]
    assert [each.title for each in tables({"one": rows}, {"recall A": RECALL})] == [
        "By class in percent",
        "By class under fog/3 in percent",
    ]
