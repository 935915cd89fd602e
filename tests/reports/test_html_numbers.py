"""What a report says of a study: its columns, differences, sentences, origins and model cards."""

import html
import json
import math
import re
from dataclasses import replace

import pytest

from withstand.conditions import IMAGENET_C
from withstand.reports.figures.pictures import pictures
from withstand.reports.findings import findings, tally, warnings
from withstand.reports.model_card import model_card
from withstand.reports.numbers import sentence
from withstand.reports.report_folder import write_report
from withstand.reports.scores import Scores
from withstand.reports.sheets import Sheets, differences_sheet, main_sheet, topic_sheets
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.origin import Origin
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries

KNOWN = {
    each.name: each
    for each in (
        Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True),
        Measure(
            name="worst_case_top1",
            column="worst",
            words="worst-case accuracy",
            kind="attacked",
            better="higher",
            percent=True,
        ),
        Measure(name="upper", column="upper", words="Lipschitz upper bound", kind="upper bound", better="lower"),
        Measure(name="lower", column="lower", words="Lipschitz lower bound", kind="lower bound"),
    )
}

CONFIG = """data:
  class_path: withstand.data.images.digits.Digits
  init_args: {{}}
model:
  class_path: withstand.models.small_cnn.SmallCNN
  init_args:
    width: 16
objective:
  class_path: withstand.objectives.perturbed_risk.PerturbedRisk
  init_args:
    fold:
      class_path: withstand.objectives.folds.soft_maximum.SoftMaximum
      init_args:
        temperature: {temperature}
training:
  epochs: 5
weights: null
seed: {seed}
name: {name}
"""


def sweep(folder, values, measure="top1", condition="clean"):
    """Write a sweep: by labels, the values of its seeds; None is a run that is missing."""
    entries = []
    for labels, own in values.items():
        for seed, value in enumerate(own):
            run = "-".join(map(str, (*labels, seed)))
            named = {name: each for name, each in zip(("method", "radius"), labels, strict=False) if each is not None}
            entries.append(Entry(labels=named, seed=seed, run=run))
            if value is not None:
                named = condition.format(radius=labels[-1])
                write_rows(
                    folder / run / "rows.jsonl", [Row(measure=measure, condition=named, value=value, count=100)], KNOWN
                )
    write_entries(folder, entries, command=["withstand", "sweep", "s"])
    return Study.of(folder)


def single(root, name, *, seed=0, temperature=1, rows=(), measures=KNOWN, known=None):
    """Write a run that belongs to no sweep."""
    folder = root / name
    write_rows(folder / "rows.jsonl", rows or [Row(measure="top1", condition="clean", value=0.9, count=100)], measures)
    (folder / "config.yaml").write_text(CONFIG.format(seed=seed, name=name.rpartition("-")[0], temperature=temperature))
    (folder / "provenance.json").write_text(json.dumps(known or {}))


def told(study, **options):
    digest = Digest.of(study, **options)
    return " ".join(f"{what}: {sentence}" for what, sentence in findings(digest, Scores.gather(digest)))


def test_a_lead_is_claimed_only_where_the_interval_excludes_0(tmp_path):
    sure = sweep(tmp_path / "sure", {("regular",): [0.8, 0.81, 0.79], ("smoothed",): [0.9, 0.92, 0.9]})
    assert "smoothed has the highest median, 90.0 % (10-90 %: 90.0 to 91.6, 3 seeds); +10.7 points" in told(sure)
    assert "not significant" not in told(sure)
    unsure = sweep(tmp_path / "unsure", {("regular",): [0.8, 0.9, 0.7], ("smoothed",): [0.9, 0.7, 0.9]})
    assert "includes 0: not significant" in told(unsure)
    two = sweep(tmp_path / "two", {("regular",): [0.8, 0.8], ("smoothed",): [0.9, 0.9]})
    assert "2 pairs, too few pairs for a conclusion" in told(two)
    one = sweep(tmp_path / "one", {("regular",): [0.8], ("smoothed",): [0.9]})
    assert "from one pair of runs, without an interval" in told(one)


def test_the_lowest_is_the_best_where_less_is_better_and_bounds_from_below_have_no_best(tmp_path):
    values = {("regular",): [9.0, 9.5], ("smoothed",): [3.0, 3.5]}
    upper = sweep(tmp_path / "upper", values, "upper", "l2 to l2")
    assert "smoothed has the lowest median, 3.250" in told(upper)
    assert told(sweep(tmp_path / "lower", values, "lower", "l2 to l2")) == ""


def test_missing_runs_are_counted(tmp_path):
    study = sweep(tmp_path, {("regular",): [0.8, 0.8], ("smoothed",): [0.9, None]})
    assert tally(Digest.of(study)) == "4 runs of 2 combinations: 3 finished, 1 missing."
    assert "1 of 2 seeds" in told(study) or "(one run)" in told(study)


def test_without_any_result_there_is_a_report_all_the_same(tmp_path):
    digest = Digest.of(sweep(tmp_path, {("regular",): [None, None], ("smoothed",): [None]}))
    assert findings(digest, Scores.gather(digest)) == []
    assert [line[1].plain for line in main_sheet(digest).lines] == ["0/2 [!]", "0/1 [!]"]
    assert Sheets.of(digest).in_order == (main_sheet(digest),)


def test_each_is_compared_with_the_baseline_that_agrees_in_the_rest(tmp_path):
    values = {
        ("regular", 0.1): [0.8, 0.8],
        ("regular", 0.2): [0.6, 0.6],
        ("pgd", 0.1): [0.9, 0.9],
        ("pgd", 0.2): [0.5, 0.5],
    }
    study = sweep(tmp_path, values, "worst_case_top1", "linf {radius}, worst of 9 draws")
    digest = Digest.of(study)
    (column,) = digest.columns
    assert column.condition is None
    found = {each.index: digest.pair(each.index, column) for each in digest.combinations}
    assert [found[index] and round(found[index]["difference"], 6) for index in range(4)] == [None, None, 0.1, -0.1]
    assert [digest.baseline_of(each) for each in digest.combinations] == [0, 1, 0, 1]
    assert "pgd, radius 0.1 gains most" in told(study)
    assert told(study, baseline=["method=regular", "radius=0.10"]) == told(
        study, baseline=["radius=0.1", "method=regular"]
    )


def test_one_baseline_without_a_radius_serves_all(tmp_path):
    study = sweep(tmp_path, {("regular", None): [0.8, 0.9], ("pgd", 0.1): [0.9, 1.0], ("pgd", 0.2): [0.7, 0.8]})
    digest = Digest.of(study)
    (column,) = digest.columns
    found = [digest.pair(each.index, column) for each in digest.combinations[1:]]
    assert [round(each["difference"], 6) for each in found] == [0.1, -0.1]


def squeezed(path):
    """Return a file without the blanks that align its tables."""
    return re.sub(" +", " ", path.read_text())


def test_a_topic_has_a_table_of_what_the_main_one_leaves_out_and_images_saved_as_jpeg_another(tmp_path):
    errors = Measure(
        name="error", column="correct", words="error", better="lower", percent=True, topic="Errors", primary=False
    )
    overall = replace(errors, name="mean_error", words="mean error")
    rows = [
        Row(measure="error", condition=f"{kind}{saved}", value=0.01 * (k + 1), count=1000)
        for saved in ("", "+jpeg")
        for k, kind in enumerate(reversed(IMAGENET_C[2:]))
    ]
    rows += [Row(measure="mean_error", condition="13 corruptions+jpeg", value=0.5, count=10000)]
    rows += [Row(measure="top1", condition="clean", value=0.9, count=1000)]
    single(tmp_path, "net-1", rows=rows, measures=KNOWN | {each.name: each for each in (errors, overall)})
    single(tmp_path, "other-1")
    digest = Digest.of(Study.of(tmp_path))
    assert [each.measure for each in digest.columns] == ["top1"]
    plain, saved = topic_sheets(digest)
    assert (plain.name, saved.name, saved.title) == ("errors", "errors-jpeg", "Errors, images saved as JPEG")
    assert [head.text for head in plain.heads[2:]] == [each.replace("_", " ") for each in IMAGENET_C[2:]]
    assert list(saved.texts.columns[2:4]) == ["Mean error, 13 corruptions+jpeg", "impulse noise, Error"]
    assert [cell.text for cell in saved.lines[0][2:5]] == ["50.00", "13.0", "12.0"]
    assert {cell.plain for cell in saved.lines[1][2:]} == {"\N{EN DASH} [not measured]"}
    assert "Not measured at all severities: gaussian noise, shot noise." in plain.notes
    assert plain.caption == "Single runs; shares in percent."
    assert "Lower is better." in plain.notes


def test_a_long_topic_keeps_a_column_of_every_measure(tmp_path):
    every = [Measure(name=f"m{k}", column="c", topic="Many", primary=False) for k in range(9)]
    rows = [Row(measure=each.name, condition=f"c{k}", value=k, count=1) for each in every for k in range(9)]
    single(tmp_path, "net-1", rows=rows, measures={each.name: each for each in every})
    (sheet,) = topic_sheets(Digest.of(Study.of(tmp_path)))
    heads = [head.text for head in sheet.heads[2:]]
    assert len(heads) == 40
    assert set(heads) == {f"M{k}" for k in range(9)}
    assert sheet.notes == ("41 more columns in All numbers.",)


def test_of_a_single_run_the_interval_over_the_samples_is_shown_and_said(tmp_path):
    rows = [Row(measure="top1", condition="clean", value=0.9, count=100, low=0.82, high=0.95)]
    single(tmp_path, "net-1", rows=rows)
    digest = Digest.of(Study.of(tmp_path))
    for spread in ("quantiles", "interval"):
        sheet = main_sheet(digest, spread=spread)
        assert sheet.lines[0][2].plain == "90.0 (82.0-95.0)"
        assert "with 95 % intervals over the test samples" in sheet.caption
    assert "90.0 % (one run, 95 % interval over the samples 82.0 to 95.0)" in told(digest.study)
    single(tmp_path, "net-2", seed=1)
    single(tmp_path, "other-1", rows=rows)
    sheet = main_sheet(Digest.of(Study.of(tmp_path)))
    assert [line[2].plain for line in sheet.lines] == ["90.0 (90.0-90.0)", "90.0 (82.0-95.0)"]
    assert "; of a single run its value, and the 95 % interval over the test samples" in sheet.caption


def test_what_never_happens_is_said_and_needs_no_number(tmp_path):
    distance = Measure(name="distance", column="distance", words="median distance", unit="l2", better="higher")
    for seed, value in enumerate((3.0, 3.0, math.inf)):
        rows = [Row(measure="distance", condition="noise", value=value, count=100, low=2.5)]
        single(tmp_path, f"net-{seed}", seed=seed, rows=rows, measures={"distance": distance})
    path = write_report(Study.of(tmp_path), tmp_path / "report", pictures=lambda _: []).page
    values = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', path.read_text(), re.DOTALL).group(1)
    assert json.loads(values)["values"]["distance\tnoise"]["0"] == [3.0, 3.0, "never"]
    assert 'data-v="Infinity"' in path.read_text()
    assert "| net | 3/3 | 3.000 (3.000-never) |" in squeezed(tmp_path / "report" / "tables" / "main.md")


def test_notes_of_the_measurement_stand_under_the_tables_and_at_the_runs(tmp_path):
    single(tmp_path, "net-1")
    (tmp_path / "net-1" / "notes.json").write_text('["Corrupted by <us>."]')
    write_report(Study.of(tmp_path), tmp_path / "report", pictures=lambda _: [])
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("Corrupted by &lt;us&gt;.") == 2
    card = next((tmp_path / "report" / "cards").iterdir()).read_text()
    for text in (card, (tmp_path / "report" / "report.md").read_text()):
        assert r"- Corrupted by &lt;us\>." in text


UNKNOWN = Measure(name="expected_calibration_error", column="confidence", words="calibration error", better="lower")


@pytest.mark.parametrize(
    "measure",
    [
        UNKNOWN,
        replace(UNKNOWN, percent=True, primary=False),
        replace(UNKNOWN, name="radius_90", words="radius_90", unit="l2", kind="certified", topic="Certificates"),
        replace(UNKNOWN, kind="upper bound", better="", primary=False, topic="main"),
    ],
)
@pytest.mark.parametrize("conditions", [("clean",), ("fog/1", "fog/2"), ("linf 0.1, x", "linf 0.2, x"), ("fog",)])
def test_every_measure_of_every_evaluation_is_in_the_page_in_markdown_and_in_latex(tmp_path, measure, conditions):
    rows = [Row(measure="top1", condition="clean", value=0.9, count=100)]
    rows += [Row(measure=measure.name, condition=each, value=0.123, count=100) for each in conditions]
    single(tmp_path, "a-1", rows=rows, measures=KNOWN | {measure.name: measure})
    single(tmp_path, "b-1", rows=rows, measures=KNOWN | {measure.name: measure})
    folder = tmp_path / "report"
    write_report(Study.of(tmp_path), folder, pictures=pictures)
    shown = "12.3" if measure.percent else "0.1230"
    words = sentence(measure.words)
    latex = "".join(map(squeezed, (folder / "tables").glob("*.tex"))).replace(r"\_", "_")
    markdown = squeezed(folder / "report.md").replace(r"\_", "_")
    for text in (html.unescape((folder / "index.html").read_text()), markdown, latex):
        assert words in text or measure.words in text
        assert shown in text
    for condition in conditions:
        assert f"{measure.label} | {condition} | {shown}" in markdown
        assert f"{measure.label} & {condition} & {shown}".replace("%", r"\%") in latex


def test_runs_that_should_not_be_taken_together_are_pointed_out(tmp_path):
    single(tmp_path, "net-1", seed=0)
    single(tmp_path, "net-2", seed=0, temperature=2)
    single(tmp_path, "net-3", seed=1)
    digest = Digest.of(Study.of(tmp_path))
    (sentence,) = warnings(digest)
    assert sentence.startswith("net: several runs have seed 0;")
    origin = Origin.of(Study.of(tmp_path), digest.combinations[0])
    assert origin.differing == ("- temperature: 1", "+ temperature: 2")


def test_origins_are_read_from_what_the_runs_left(tmp_path):
    known = {
        "command": ["/v/bin/withstand", "train", "--name", "a b"],
        "started": "2026-01-02T10:00:00+00:00",
        "identity": "12ab",
    }
    single(tmp_path, "net-1", known=known | {"python": "3.12.1", "versions": {"torch": "2.11"}})
    single(
        tmp_path, "net-2", seed=1, known=known | {"started": "2026-01-03T10:00:00+00:00", "command": ["/v/bin/pytest"]}
    )
    origin = Origin.of(Study.of(tmp_path), Digest.of(Study.of(tmp_path)).combinations[0])
    assert origin.commands == ("withstand train --name 'a b'",)
    assert origin.again == f"withstand train --config {tmp_path}/net-1/config.yaml --output again"
    assert origin.started == "2026-01-02 to 2026-01-03"
    assert origin.identities == {"net-1": "12ab", "net-2": "12ab"}
    assert "Python 3.12.1, torch 2.11" in origin.versions
    assert origin.differing == ()
    assert origin.settings["model"]["init_args"] == {"width": 16}


@pytest.mark.parametrize("spoilt", ["", "{", "[1]"])
def test_a_spoilt_provenance_takes_nothing_but_itself_away(tmp_path, spoilt):
    single(tmp_path, "net-1")
    (tmp_path / "net-1" / "provenance.json").write_text(spoilt)
    digest = Digest.of(Study.of(tmp_path))
    assert Origin.of(Study.of(tmp_path), digest.combinations[0]).versions == ()


def test_a_model_card_says_what_it_is_and_what_is_not_known(tmp_path):
    rows = [
        Row(measure="top1", condition="clean", value=0.9, count=100),
        Row(measure="worst_case_top1", condition="linf 0.1, worst of 9 draws", value=0.7, count=100),
        Row(measure="top1", condition="fog/1", value=0.6, count=100),
    ]
    single(tmp_path, "my_net-1", rows=rows)
    digest = Digest.of(Study.of(tmp_path))
    card = model_card(digest, digest.combinations[0], Origin.of(Study.of(tmp_path), digest.combinations[0]))
    for text in (
        r"# my\_net",
        "- Network: SmallCNN\n  - width: 16",
        "- Read by: Digits",
        "- fold: SoftMaximum (temperature 1)",
        "| top-1 accuracy, % | clean | 90.0 |",
        "Searched with: linf 0.1, worst of 9 draws.",
        "Corrupted images without being saved as JPEG.",
        "One seed: the spread over seeds is unknown.",
        "Accuracies under attack are upper bounds",
        "No certified bounds.",
    ):
        assert text in re.sub(r"(?<=\S) +", " ", card)
    assert "Not measured under the corruptions" not in card


def test_every_number_of_the_table_of_all_is_sorted_as_what_it_shows(tmp_path):
    study = sweep(tmp_path, {("a",): [0.0, 0.2], ("b",): [0.1, 0.9], ("c",): [0.5]})
    path = write_report(study, tmp_path / "report", pictures=lambda _: []).page
    table = re.search(r'id="table-all".*?</table>', path.read_text(), re.DOTALL).group().split("<tbody>")[1]
    cells = re.findall(r'<td class="n[^"]*"(?: data-v="([^"]+)")?>([^<]+)', table)
    numbers = [(value, text) for value, text in cells if "/" not in text and text != "\N{EN DASH}"]
    assert any(text.startswith("\N{MINUS SIGN}") for _, text in numbers)
    assert len(numbers) == 2 * 8 + 3
    assert [float(value) for value, _ in numbers] == pytest.approx(
        [float(text.replace("\N{MINUS SIGN}", "-")) for _, text in numbers], abs=0.051
    )


def test_runs_that_no_plan_has_are_named(tmp_path):
    study = sweep(tmp_path / "s", {("a",): [0.5, 0.6], ("b",): [0.7, 0.8]})
    assert Digest.of(study).holes == []
    single(tmp_path / "s", "old-1")
    for folder, name in ((tmp_path / "s", "old-1"), (tmp_path, "s/old-1")):
        report = write_report(Study.of(folder), tmp_path / "report", pictures=lambda _: [])
        sentence = f"Left out: 1 run that is in the sweep's folder, but not in its plan: {name}"
        assert report.holes == (sentence,)
        assert sentence in html.unescape(report.page.read_text())
        assert "Missing results" in (tmp_path / "report" / "report.md").read_text()
    for number in range(2, 9):
        single(tmp_path / "s", f"old-{number}")
    (sentence,) = Digest.of(study).holes
    assert sentence.endswith(
        "8 runs that are in the sweep's folder, but not in its plan: old-1, old-2, old-3, old-4, old-5 and 3 more"
    )


def test_what_has_no_better_direction_is_said_to_have_no_star(tmp_path):
    values = {("a",): [0.5, 0.5, 0.5], ("b",): [0.7, 0.7, 0.8]}
    note = "No preferred direction, never marked: Lipschitz lower bound."
    sheet = differences_sheet(Digest.of(sweep(tmp_path / "lower", values, "lower", "l2 to l2")))
    assert note in sheet.notes
    assert sheet.lines[0][-1].tone == ""
    sheet = differences_sheet(Digest.of(sweep(tmp_path / "upper", values)))
    assert not [note for note in sheet.notes if "direction" in note]
    assert sheet.lines[0][-1].tone == "better"


def test_two_budgets_of_one_ball_have_columns_that_can_be_told_apart(tmp_path):
    budgets = ("PGD-2 x 1", "PGD-40 x 3")
    rows = [
        Row(measure="worst_case_top1", condition=f"linf 0.1, {each}", value=k, count=9, budget=each)
        for k, each in enumerate(budgets)
    ]
    single(tmp_path, "net-1", rows=rows, measures=KNOWN)
    single(tmp_path, "other-1", rows=rows, measures=KNOWN)
    heads = [head.aside for head in main_sheet(Digest.of(Study.of(tmp_path))).heads]
    assert heads[-2:] == [f"linf 0.1, {each}" for each in budgets]


def test_runs_of_different_budgets_are_noted_with_none(tmp_path):
    for name, budget in (("one-1", "PGD-2 x 1"), ("two-1", "PGD-40 x 3")):
        worst = replace(KNOWN["worst_case_top1"], budget=budget)
        rows = [Row(measure=worst.name, condition="linf 0.1", value=0.5, count=9, budget=budget)]
        single(tmp_path, name, rows=rows, measures={worst.name: worst})
    study = Study.of(tmp_path)
    assert study.conflicts == ()
    assert not any("PGD" in each for each in main_sheet(Digest.of(study)).notes)


def test_the_notes_of_every_run_are_in_the_report_once(tmp_path):
    for name, notes in (("one-1", ["Shared."]), ("two-1", ["Shared.", "Not finite."])):
        single(tmp_path, name)
        (tmp_path / name / "notes.json").write_text(json.dumps(notes))
    write_report(Study.of(tmp_path), tmp_path / "report", pictures=lambda _: [])
    notes = main_sheet(Digest.of(Study.of(tmp_path))).notes
    assert [each for each in notes if "Shared." in each] == ["Shared."]
    assert [each for each in notes if "Not finite." in each] == ["two: Not finite."]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<li>Shared.</li>" in page
    assert "<li>two: Not finite.</li>" in page
