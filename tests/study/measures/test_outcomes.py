"""Tables of outcomes: files there and back, samples beside outcomes, rows."""

import json
import math

import polars
import pytest

from withstand.errors import InputError
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.measures.row import Row, read_rows, write_rows

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", better="higher", percent=True, topic=ACCURACY)
TOP5 = Measure(name="top5", column="top5", percent=True)
MEDIAN = Measure(name="noise_distance", column="distance", reduction="median")
BALANCED = Measure(name="balanced", column="correct", reduction="balanced")
RECALL = Measure(name="recall", column="correct", reduction="by_class")


@pytest.fixture
def folder(tmp_path):
    """Five samples of two classes: clean ones and, from files of their own in another order, foggy ones."""
    clean = polars.DataFrame({"number": [0, 1, 2, 3, 4], "label": [0, 0, 0, 1, 1], "identifier": list("abcde")})
    foggy = polars.DataFrame({"number": [0, 1, 2, 3], "label": [1, 1, 0, 0], "identifier": list("edcb")})
    samples = polars.concat(
        [own.with_columns(source=polars.lit(name)) for name, own in (("", clean), ("fog/1", foggy))]
    )
    samples = samples.cast({"number": polars.UInt32, "label": polars.Int32})
    samples.write_parquet(tmp_path / "samples.parquet")
    files = {
        "clean": {"number": range(5), "prediction": [0, 0, None, 1, 0], "correct": [True, True, False, True, False]},
        "fog/1": {"number": range(4), "prediction": [1, 0, 0, 1], "correct": [True, False, True, False]},
        "gaussian noise": {"number": range(5), "distance": [1.0, 2.0, math.inf, math.inf, math.inf]},
        "norms": {"number": []},
    }
    number = Measure(name="bound", column="bound", reduction="number")
    asked = {"gaussian noise": [MEDIAN], "norms": [number]}
    about = []
    for name, own in files.items():
        file = name.replace("/", "-") + ".parquet"
        polars.DataFrame(own, schema_overrides={"number": polars.UInt32}).write_parquet(tmp_path / file)
        entry = {"condition": name, "file": file, "source": name if name == "fog/1" else "", "evaluation": {"a": 1}}
        measures = [each.plain() for each in asked.get(name, [TOP1, TOP5, BALANCED, RECALL])]
        about.append(entry | {"measures": measures, "numbers": {"bound": 2.5} if name == "norms" else {}, "notes": []})
    content = {"format": 3, "data": "Digits", "seed": 3, "classes": ["no", "yes"], "shape": [2], "conditions": about}
    (tmp_path / "outcomes.json").write_text(json.dumps(content))
    return tmp_path


def test_a_folder_is_read_and_reduced(folder, tmp_path):
    table = OutcomeTable.read(folder)
    assert (table.classes, table.shape, table.data, table.seed) == (("no", "yes"), (2,), "Digits", 3)
    rows, measures = table.reduce()
    values = {(row.measure, row.condition): (row.value, row.count) for row in rows}
    assert values == {
        ("top1", "clean"): (0.6, 5),
        ("balanced", "clean"): (pytest.approx((2 / 3 + 1 / 2) / 2), 5),
        ("recall no", "clean"): (2 / 3, 3),
        ("recall yes", "clean"): (0.5, 2),
        ("top1", "fog/1"): (0.5, 4),
        ("balanced", "fog/1"): (0.5, 4),
        ("recall no", "fog/1"): (0.5, 2),
        ("recall yes", "fog/1"): (0.5, 2),
        ("noise_distance", "gaussian noise"): (math.inf, 5),
        ("bound", "norms"): (2.5, 1),
    }
    assert measures["top1"] == TOP1
    write_rows(tmp_path / "rows.jsonl", rows, measures)
    assert read_rows(tmp_path / "rows.jsonl") == (rows, measures)


def test_outcomes_stand_beside_the_identifiers_of_their_own_source(folder):
    table = OutcomeTable.read(folder)
    foggy = table.frame("fog/1")
    assert foggy.columns == ["number", "identifier", "label", "prediction", "correct"]
    assert foggy["identifier"].to_list() == list("edcb")
    assert table.frame("clean")["identifier"].to_list() == list("abcde")
    with pytest.raises(InputError, match=r"such as clean, fog/1, .*got rain"):
        table.frame("rain")


def test_a_sample_has_one_place_under_all_sources(folder):
    table = OutcomeTable.read(folder)
    letters = dict(zip(table.places(table.of("clean")), table.frame("clean")["identifier"], strict=True))
    assert [letters[each] for each in table.places(table.of("fog/1"))] == list("edcb")
    assert len(table.empty()) == 5


def test_outputs_that_are_not_finite_are_counted(folder):
    assert OutcomeTable.read(folder).unfinished() == {"clean": (1, 5)}


def test_a_file_is_read_when_it_is_needed(folder):
    (folder / "fog-1.parquet").unlink()
    table = OutcomeTable.read(folder)
    assert len(table.frame("clean")) == 5
    with pytest.raises(InputError, match=r"fog-1.parquet is missing"):
        table.reduce()


@pytest.mark.parametrize("name", ["outcomes.json", "samples.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"PAR1", b"{"])
def test_a_damaged_table_is_refused(folder, name, content):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} is (missing|damaged)"):
        OutcomeTable.read(folder)


def test_another_format_is_named(folder):
    about = json.loads((folder / "outcomes.json").read_text())
    (folder / "outcomes.json").write_text(json.dumps(about | {"format": 4}))
    with pytest.raises(InputError, match="expected format 3, got 4"):
        OutcomeTable.read(folder)


def test_of_two_rows_of_one_name_the_first_counts(made_up_outcomes):
    table = made_up_outcomes({"clean": {"correct": [True, False]}}, [TOP1, TOP1])
    assert [type(row) for row in table.reduce().rows] == [Row]


def test_rows_have_the_budget_of_their_own_condition(made_up_outcomes, tmp_path):
    weak, strong = (Measure(name="worst", column="worst", kind="attacked", budget=f"PGD-{k}") for k in (2, 40))
    columns = {"linf 0.1, PGD-2": {"worst": [True]}, "linf 0.1, PGD-40": {"worst": [False]}}
    table = made_up_outcomes(columns, dict(zip(columns, ([weak], [strong]), strict=True)))
    rows, measures = table.reduce()
    assert [(row.budget, row.value) for row in rows] == [("PGD-2", 1.0), ("PGD-40", 0.0)]
    assert measures["worst"].budget == ""
    write_rows(tmp_path / "rows.jsonl", rows, measures)
    assert read_rows(tmp_path / "rows.jsonl").rows == rows
    assert table.only(["linf 0.1, PGD-40"]).reduce().measures["worst"].budget == "PGD-40"


def sources(first, second):
    """Return two conditions with files of their own, whose samples are called so."""
    names = {"": first, "fog/1": second}
    number = polars.Series("number", range(len(first)), dtype=polars.UInt32)
    samples = [
        polars.DataFrame([number]).with_columns(
            source=polars.lit(source), label=polars.lit(0), identifier=polars.Series(own)
        )
        for source, own in names.items()
    ]
    conditions = tuple(
        ConditionOutcomes(
            condition=source or "clean", measures=(TOP1,), columns=polars.DataFrame([number]), source=source
        )
        for source in names
    )
    table = OutcomeTable(samples=polars.concat(samples), classes=("a",), conditions=conditions)
    return [table.places(each).tolist() for each in conditions]


def test_a_copy_in_another_format_is_the_same_sample():
    assert sources(["n1/a.png", "n1/b.png"], ["n1/b.JPEG", "n1/a.JPEG"]) == [[0, 1], [1, 0]]
    # Files that differ in their suffix alone are samples of their own.
    assert sources(["a.png", "a.jpg"], ["a.jpg", "a.png"]) == [[0, 1], [1, 0]]
    assert sources(["row.1", "row.2"], ["row.2", "row.1"]) == [[0, 1], [1, 0]]
