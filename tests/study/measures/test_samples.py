"""Samples that break first are those of the outcomes, and a CSV has a line for each."""

import json
from dataclasses import replace

import polars

from withstand.reports.report_folder import write_report
from withstand.study.measures.measure import Measure
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.measures.row import Row, write_rows
from withstand.study.measures.samples import Break, first_to_break, sample_table
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", percent=True)
ATTACKED = Measure(name="worst", column="worst", kind="attacked", percent=True)
LABELS = [0, 0, 1, 1, 2]
# By condition what each sample is taken for; None is an output that is not finite.
TAKEN = {
    "clean": [0, 2, 1, 1, 2],
    "fog/3": [1, 1, 1, 1, 2],
    "fog/1": [0, 1, 1, 0, 2],
    "fog/2": [0, 1, 1, 1, 2],
    "snow/5": [0, 0, 1, None, 2],
}


def number(values):
    return polars.Series(values, dtype=polars.UInt32)


def table():
    samples = {"source": "", "number": number(range(5)), "label": polars.Series(LABELS, dtype=polars.Int32)}
    samples = polars.DataFrame(samples | {"identifier": [f"{k}<.png" for k in range(5)]})
    conditions = [
        ConditionOutcomes(
            condition=name,
            measures=(TOP1,),
            columns=polars.DataFrame(
                {
                    "number": number(range(5)),
                    "prediction": polars.Series(taken, dtype=polars.Int16),
                    "correct": [one == other for one, other in zip(taken, LABELS, strict=True)],
                }
            ),
        )
        for name, taken in TAKEN.items()
    ]
    ball = polars.DataFrame({"number": number(range(5)), "worst": [1.0, 1.0, 0.0, 1.0, 1.0]})
    conditions.append(ConditionOutcomes(condition="linf 0.1, PGD-40 x 3", measures=(ATTACKED,), columns=ball))
    return OutcomeTable(samples=samples, classes=("a", "b", "c"), conditions=tuple(conditions), data="Tiny", seed=5)


def test_samples_that_break_at_the_first_step_and_under_the_most_conditions_come_first():
    found = first_to_break(table(), 20)
    # Sample 1 is wrong on clean inputs, and sample 4 never.
    assert [(each.number, each.identifier, each.label) for each in found] == [
        (3, "3<.png", "b"),
        (2, "2<.png", "b"),
        (0, "0<.png", "a"),
    ]
    assert found[0].breaks == (Break("fog", 1, "a"), Break("snow", 5, "output not finite"))
    # One radius is no series.
    assert found[1].breaks == (Break("linf 0.1, PGD-40 x 3", None, ""),)
    assert found[2].breaks == (Break("fog", 3, "b"),)
    assert [each.number for each in first_to_break(table(), 1)] == [3]


def test_a_table_has_a_line_per_sample():
    found = sample_table(table(), model="two")
    assert found["model"].to_list() == ["two"] * 5
    line = found.filter(polars.col("number") == 3).row(0, named=True)
    assert (line["breaks: fog"], line["fog/1: prediction"], line["identifier"]) == (1, "a", "3<.png")


def test_a_sample_without_a_clean_outcome_does_not_count_as_right():
    clean, *others = table().conditions
    without = replace(clean, columns=clean.frame.filter(polars.col("number") != 3))
    found = first_to_break(replace(table(), conditions=(without, *others)), 20)
    assert [each.number for each in found] == [2, 0]


def test_a_report_shows_them_from_a_folder_and_from_memory(tmp_path):
    run = tmp_path / "runs" / "net-1"
    place = run / "evaluations" / "e" / "outcomes"
    place.mkdir(parents=True)
    rows = [Row(measure="top1", condition="clean", value=0.8, count=5)]
    for folder in (run, place.parent):
        write_rows(folder / "rows.jsonl", rows, {"top1": TOP1})
        (folder / "config.yaml").write_text("name: net\nseed: 0\n")
    known, about = table(), []
    known.samples.write_parquet(place / "samples.parquet")
    for k, own in enumerate(known.conditions):
        own.frame.write_parquet(place / f"{k}.parquet")
        fields = {
            "condition": own.condition,
            "file": f"{k}.parquet",
            "source": "",
            "evaluation": {},
            "numbers": {},
            "notes": [],
        }
        about.append(fields | {"measures": [each.plain() for each in own.measures]})
    content = {"format": 3, "data": "Tiny", "seed": 5, "classes": known.classes, "shape": [2], "conditions": about}
    (place / "outcomes.json").write_text(json.dumps(content))

    class Results:
        def __init__(self):
            self.rows, self.measures, self.notes = {"net": rows}, {"top1": TOP1}, ()
            self.tables_of_outcomes = {"net": known}

    for study in (Study.of(tmp_path / "runs"), Study.of_results(Results())):
        write_report(study, tmp_path / "report", pictures=lambda _: [])
        page = (tmp_path / "report" / "index.html").read_text()
        part = page[page.index('<section id="samples"') : page.index('<section id="numbers"')]
        assert part.count("<tr data-c") == 3
        assert "3&lt;.png" in part
        assert "5: output not finite" in part
        assert "test samples of Tiny, draws of seed 5" in part
        text = " ".join((tmp_path / "report" / "report.md").read_text().split())
        assert r"| 3<.png | b | 1: a | 5: output not finite | |" in text
        assert 'href="/' not in page
        assert "empty if it is never wrong" in text


def test_a_condition_of_which_samples_show_nothing_is_left_out():
    jacobian = polars.DataFrame({"number": number(range(5)), "jacobian": [1.0] * 5})
    measure = Measure(name="jacobian", column="jacobian", reduction="median")
    further = ConditionOutcomes(condition="l2 to l2", measures=(measure,), columns=jacobian)
    whole = replace(table(), conditions=(*table().conditions, further))
    assert sample_table(whole, model="a").equals(sample_table(table(), model="a"))


def test_under_a_certificate_alone_a_sample_breaks_where_it_is_not_certified():
    def condition(radius, certified):
        columns = {"number": number(range(5)), "correct": [True] * 5, "certified": certified}
        certifies = Measure(name="certified_top1", column="certified", kind="certified", percent=True)
        estimates = Measure(name="smoothed_top1", column="correct", kind="estimated", percent=True)
        name = f"l2 {radius}, smoothing std 0.5"
        return ConditionOutcomes(condition=name, measures=(estimates, certifies), columns=polars.DataFrame(columns))

    both = condition(0.2, [True] * 4 + [False]), condition(0.4, [True, False, True, True, False])
    found = sample_table(replace(table(), conditions=both), model="two").sort("number")
    assert found["breaks: l2, smoothing std 0.5"].to_list() == [None, 0.4, None, None, 0.2]
    assert found["l2 0.4, smoothing std 0.5: certified"].to_list() == [True, False, True, True, False]


def test_under_a_threshold_alone_a_sample_breaks_at_the_lowest_severity_at_which_it_is_wrong():
    tried = {"correct at 3.5": [True, False, True, False, True], "correct at 1": [True, False, True, True, True]}
    columns = polars.DataFrame({"number": number(range(5)), **tried, "finite": [True] * 5})
    measure = Measure(name="threshold", column="threshold", reduction="number")
    own = ConditionOutcomes(condition="fog below 50 %", measures=(measure,), columns=columns)
    found = sample_table(replace(table(), conditions=(own,)), model="one")
    assert found["number"].to_list() == [1, 3, 0, 2, 4]
    assert found["fog below 50 %: breaks"].to_list() == [1.0, 3.5, None, None, None]
