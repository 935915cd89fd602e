"""Results of several models: forms, tables, samples, comparisons, groups."""

import csv
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars
import pytest

from withstand.errors import InputError
from withstand.measuring.results import Results
from withstand.study.measures.intervals import wilson
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", better="higher", percent=True, topic=ACCURACY)
RECALL = Measure(name="recall", column="correct", reduction="by_class", percent=True, topic="By class")
WORST = Measure(name="worst", column="worst_case", percent=True, better="higher", kind="attacked", topic="Balls")
MEDIAN = Measure(name="far", column="distance", reduction="median", words="median distance", topic="Noise")
IDENTIFIERS = [f"{number}.png" for number in range(8)]
LABEL = [0, 0, 0, 0, 1, 1, 1, 1]


def columns(skill):
    """Outcomes that are right for the first samples, fewer the harder the condition."""

    def right(lost):
        return np.arange(8) < skill - lost

    prediction = [label if good else 1 - label for label, good in zip(LABEL, right(0), strict=True)]
    clean = {"prediction": prediction, "confidence": np.linspace(0.5, 1, 8), "correct": right(0)}
    fog = {f"fog/{severity}": {"correct": right(severity)} for severity in range(1, 6)}
    balls = {f"linf {radius}, PGD-2 x 1": {"worst_case": right(lost)} for radius, lost in ((0.05, 2), (0.1, 5))}
    return {"clean": clean, **fog, **balls, "noise": {"distance": [1.0, 2, 3, 4, 5, 6, 7, math.inf]}}


ASKED = {"noise": [MEDIAN], "linf 0.05, PGD-2 x 1": [WORST], "linf 0.1, PGD-2 x 1": [WORST]}


@pytest.fixture
def table(made_up_outcomes):
    def make(skill, **others):
        about = {"label": LABEL, "identifier": IDENTIFIERS} | others
        own = columns(skill)
        return made_up_outcomes(own, {name: ASKED.get(name, [TOP1, RECALL]) for name in own}, **about)

    return make


@pytest.fixture
def results(table):
    return Results({"good": table(7), "bad": table(4)}, notes=("Noted.",))


def test_rows_are_reduced_and_those_of_suites_are_added(results):
    values = {(model, row.measure, row.condition): row.value for model, own in results.rows.items() for row in own}
    assert values["good", "top1", "clean"] == 7 / 8
    assert values["bad", "recall yes", "clean"] == 0
    assert values["good", "top1", "corruptions"] == pytest.approx(np.mean([6, 5, 4, 3, 2]) / 8)
    assert values["good", "corruption_error", "fog"] == pytest.approx(1 - 4 / 8)
    assert values["bad", "worst", "linf 0.1, PGD-2 x 1"] == 0
    assert {row.measure for own in results.rows.values() for row in own} == set(results.measures)


def test_rows_that_are_known_are_not_made_again(table):
    rows = [Row(measure="top1", condition="clean", value=0.125, count=8)]
    results = Results({"one": table(7)}, rows={"one": rows}, measures={"top1": TOP1})
    assert results.rows == {"one": rows}
    with pytest.raises(InputError, match="at least one model"):
        Results({})


def test_frames_and_files_have_a_line_per_row(results, tmp_path):
    records = results.records()
    fields = ["measure", "condition", "value", "count", "low", "high", "budget", "doubt"]
    assert list(records[0]) == ["model", *fields]
    assert results.to_polars().rows(named=True) == records
    assert results.to_pandas().to_dict("records")[0] == records[0]
    results.to_csv(tmp_path / "new" / "rows.csv")
    with (tmp_path / "new" / "rows.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [float(each["value"]) for each in found] == [each["value"] for each in records]
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["rows.csv"]


def test_every_measure_is_in_the_markdown_and_every_table_has_the_notes(results):
    text = results.to_markdown()
    for words in ("Top-1 accuracy", "Balls", "median distance", "By class", "Differences to good on the same samples"):
        assert words in text
    assert results.tables()[0].notes[-1] == "Noted."
    assert "Noted." in text
    with pytest.raises(InputError, match="measure must be one of top1, got top5"):
        results.tables("top5")


def test_outputs_that_are_not_finite_are_noted(table):
    own = table(7)
    frame = own.of("clean").frame.with_columns(prediction=polars.Series([None, None, *[0] * 6], dtype=polars.Int32))
    clean = replace(own.of("clean"), columns=frame)
    results = Results({"a": replace(own, conditions=(clean,))})
    assert results.notes == ("a under clean: 2 of 8 outputs are not finite (NaN or infinity) and count as wrong.",)


def test_outcomes_are_one_long_frame(results):
    frame = results.outcomes()
    assert frame.columns[:5] == ["model", "condition", "number", "identifier", "label"]
    assert len(frame) == 2 * 9 * 8
    own = frame.filter(model="bad", condition="fog/2")
    assert own["identifier"].to_list() == IDENTIFIERS
    assert own["correct"].sum() == 2
    assert own["distance"].null_count() == 8


def test_outcomes_of_truth_values_and_of_shares_are_one_frame(made_up_outcomes):
    shares = made_up_outcomes({"clean": {"correct": [True, False]}, "noise": {"correct": [0.25, 1.0]}}, [TOP1])
    whole = made_up_outcomes({"clean": {"correct": [0.5, 0.5]}}, [TOP1])
    results = Results({"a": shares, "b": whole})
    assert results.outcomes()["correct"].to_list() == [1.0, 0.0, 0.25, 1.0, 0.5, 0.5]
    assert sorted(results.samples()["clean: correct"].to_list()) == [0.0, 0.5, 0.5, 1.0]


def test_a_budget_that_models_do_not_share_is_not_that_of_the_measure(made_up_outcomes):
    tables = {
        f"PGD-{steps}": made_up_outcomes({"linf 0.1": {"worst_case": [True]}}, [replace(WORST, budget=f"PGD-{steps}")])
        for steps in (2, 40)
    }
    results = Results(tables)
    assert results.measures["worst"].budget == ""
    assert [row.budget for own in results.rows.values() for row in own] == ["PGD-2", "PGD-40"]
    (shown, *_) = results.tables()
    assert len(shown.lines) == 2


def test_samples_say_what_breaks_them_first(results):
    frame = results.samples()
    good = frame.filter(model="good")
    # The later a sample, the earlier it breaks; the last is wrong without any fog, and of two that never break the one
    # that less noise makes wrong comes first.
    assert good["number"].to_list() == [7, 6, 5, 4, 3, 2, 0, 1]
    assert good["breaks: fog"].to_list() == [1, 1, 2, 3, 4, 5, None, None]
    assert good["breaks: linf, PGD-2 x 1"].to_list() == [0.05, 0.05, 0.05, 0.1, 0.1, 0.1, None, None]
    assert good["label"].to_list() == ["yes"] * 4 + ["no"] * 4
    assert good["clean: prediction"].to_list() == ["no", *["yes"] * 3, *["no"] * 4]
    assert good["noise: distance"][0] == math.inf
    assert frame.columns[:9] == [
        *("model", "number", "identifier", "label"),
        *("breaks: fog", "breaks: linf, PGD-2 x 1"),
        *("clean: prediction", "clean: confidence", "clean: correct"),
    ]
    assert frame["model"].to_list() == ["good"] * 8 + ["bad"] * 8


def test_samples_are_written_to_a_file(results, tmp_path):
    results.to_samples(tmp_path / "samples.csv")
    frame = polars.read_csv(tmp_path / "samples.csv")
    assert frame["breaks: fog"].to_list() == results.samples()["breaks: fog"].to_list()


def test_models_are_compared_pairwise(results):
    frame = results.compare()
    lines = {line["condition"]: line for line in frame.iter_rows(named=True)}
    assert set(frame["model"]) == {"bad"}
    assert lines["clean"]["difference"] == -3 / 8
    assert lines["clean"]["p"] == 0.25  # three samples of three
    assert (lines["clean"]["only_model"], lines["clean"]["only_baseline"]) == (0, 3)
    assert lines["linf 0.05, PGD-2 x 1"]["difference"] == -3 / 8
    assert lines["corruptions"]["difference"] == pytest.approx(
        np.mean([lines[f"fog/{severity}"]["difference"] for severity in range(1, 6)])
    )
    back = {line["condition"]: line for line in results.compare("bad").iter_rows(named=True)}
    assert {name: -line["difference"] for name, line in back.items()} == {n: e["difference"] for n, e in lines.items()}
    with pytest.raises(InputError, match="one of good, bad, got worse"):
        results.compare("worse")


def test_other_samples_are_not_compared(table):
    results = Results({"a": table(7), "b": table(4, identifier=IDENTIFIERS[::-1])})
    with pytest.raises(InputError, match="expected the same samples"):
        results.compare()
    assert not any("Differences" in each.title for each in results.tables())


def test_the_table_of_differences_has_no_single_cells(results):
    table = results.tables()[-1]
    assert [line[0] for line in table.lines if line] == [
        "clean",
        "linf 0.05, worst",
        "linf 0.1, worst",
        "mean of corruptions",
    ]
    assert table.lines[0][2] == "-37.5"


def test_the_mean_has_the_same_cells_and_name_in_all_tables(made_up_outcomes):
    rng = np.random.default_rng(1)
    kinds = {"frost": 0.5, "frost-procedural": 0.9, "rain": 0.1}
    for saved in ("", "+jpeg"):
        columns = {f"{kind}{saved}/1": {"correct": rng.random(200) < level} for kind, level in kinds.items()}
        other = {name: {"correct": ~own["correct"]} for name, own in columns.items()}
        results = Results({"a": made_up_outcomes(columns, [TOP1]), "b": made_up_outcomes(other, [TOP1])})
        main, *_, differences = results.tables()
        name = "mean of corruptions"
        assert name in [line[0] for line in main.lines if line]
        shares = [own[f"frost{saved}/1"]["correct"].mean() for own in (other, columns)]
        (line,) = (line for line in differences.lines if line and line[0] == name)
        assert float(line[2]) == pytest.approx(100 * (shares[0] - shares[1]), abs=0.06)


def test_what_cannot_be_compared_is_noted_beside_what_can(table):
    clean, *others = table(4).conditions
    holed = clean.frame.with_columns(correct=polars.Series([None, *[True] * 7]))
    bad = replace(table(4), conditions=(replace(clean, columns=holed), *others))
    found = Results({"good": table(7), "bad": bad}).tables()[-1]
    assert found.title.startswith("Differences to good")
    assert "clean" not in [line[0] for line in found.lines if line]
    assert "linf 0.1, worst" in [line[0] for line in found.lines if line]
    assert any("bad (clean)" in each for each in found.notes)


def test_groups_by_class_and_by_any_column(results):
    frame = results.by(condition="clean")
    assert frame.columns == ["model", "condition", "label", "value", "count", "low", "high"]
    assert frame.row(1) == ("good", "clean", "yes", 0.75, 4, *wilson(0.75, 4))
    sites = polars.DataFrame({"identifier": IDENTIFIERS, "site": ["b", "a"] * 4})
    frame = results.by("site", "top1", frame=sites)
    assert set(frame["condition"]) == {"clean", *(f"fog/{severity}" for severity in range(1, 6))}
    assert frame.filter(model="good", condition="clean")["value"].to_list() == [0.75, 1.0]
    assert results.by(measure="far")["value"].to_list() == [2.0, 6.0] * 2
    for arguments in ({"measure": "recall"}, {"measure": "mine"}, {"condition": "rain"}, {"column": "site"}):
        with pytest.raises(InputError):
            results.by(**arguments)


def test_the_report_has_every_model(results, tmp_path):
    page = results.report(tmp_path / "report")
    assert page.is_relative_to(tmp_path / "report")
    text = page.read_text()
    assert "good" in text
    assert "bad" in text


def test_results_do_not_need_torch():
    code = (
        "import sys, withstand.measuring.results; assert 'torch' not in sys.modules; assert 'polars' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_csv_files_hold_no_formula(made_up_outcomes, tmp_path):
    top1 = Measure(name="top1", column="correct", topic="Accuracy", percent=True)
    names = ["=1+1.png", "@b.png", "-5", "\tc.png"]
    columns = {"clean": {"correct": [True, False, True, True]}}
    table = made_up_outcomes(columns, (top1,), identifier=names, classes=("-cmd", "yes"))
    results = Results({"+model": table})
    results.to_csv(tmp_path / "rows.csv")
    results.to_samples(tmp_path / "samples.csv")
    assert (tmp_path / "rows.csv").read_text().splitlines()[1].startswith("'+model,top1,clean,0.75")
    samples = polars.read_csv(tmp_path / "samples.csv", infer_schema=False)
    assert set(samples["identifier"]) == {"'=1+1.png", "'@b.png", "-5", "'\tc.png"}
    assert set(results.samples()["identifier"]) == set(names)
    assert set(samples["label"]) == {"'-cmd"}
