"""The table of accuracies: layouts, means, holes."""

from dataclasses import replace

import numpy as np
import pytest

from withstand.conditions import CORRUPTIONS, IMAGENET_C
from withstand.study.measures.corruption_error import ALEXNET_ERRORS
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row
from withstand.study.measures.suites import CE, suite_rows
from withstand.study.tables.accuracy import AccuracyTable, groups_of
from withstand.study.tables.all import tables

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", better="higher", percent=True, topic=ACCURACY)
TOP5 = replace(TOP1, name="top5", column="top5", words="top-5 accuracy", primary=False)
MEASURES = {"top1": TOP1, "top5": TOP5}


def rows(values, measure="top1", count=200):
    return [Row(measure=measure, condition=name, value=value, count=count) for name, value in values.items()]


PLAIN = {
    "clean": 0.9,
    **{f"contrast/{severity}": 0.8 - 0.1 * severity for severity in range(1, 6)},
    **{f"fog/{severity}": 0.7 - 0.1 * severity for severity in range(1, 6)},
}
NOISY = {name: value + 0.05 for name, value in PLAIN.items()}


def accuracy_table(results, *, measure=TOP1, each_severity=False):
    made = {model: suite_rows(own, MEASURES) for model, own in results.items()}
    measures = MEASURES | {name: each for own in made.values() for name, each in own.measures.items()}
    results = {model: [*own, *made[model].rows] for model, own in results.items()}
    return AccuracyTable(results, measures, measure, outcomes={}, each_severity=each_severity).table()


def cells(table):
    return {line[0]: line[1:] for line in table.lines if line}


def test_one_model_has_its_severities_side_by_side_and_their_means():
    table = accuracy_table({"plain": rows(PLAIN)})
    assert table.columns == ("plain", "s1", "s2", "s3", "s4", "s5", "mean")
    assert cells(table) == {
        "clean": ("", "", "", "", "", "90.0"),
        "contrast": ("70.0", "60.0", "50.0", "40.0", "30.0", "50.0"),
        "fog": ("60.0", "50.0", "40.0", "30.0", "20.0", "40.0"),
        "mean of corruptions": ("65.0", "55.0", "45.0", "35.0", "25.0", "45.0"),
    }


def test_several_models_stand_side_by_side_with_the_mean_over_severities():
    table = accuracy_table({"plain": rows(PLAIN), "noisy": rows(NOISY)})
    assert table.columns == ("condition", "plain", "noisy")
    assert cells(table) == {
        "clean": ("90.0", "95.0"),
        "contrast": ("50.0", "55.0"),
        "fog": ("40.0", "45.0"),
        "mean of corruptions": ("45.0", "50.0"),
    }


def test_or_with_a_line_for_each_severity():
    table = accuracy_table({"plain": rows(PLAIN), "noisy": rows(NOISY)}, each_severity=True)
    assert table.columns == ("condition", "severity", "plain", "noisy")
    assert table.num_labels == 2
    lines = [line for line in table.lines if line]
    assert ("clean", "", "90.0", "95.0") in lines
    assert ("fog", "3", "40.0", "45.0") in lines
    assert lines[-1] == ("mean of corruptions", "", "45.0", "50.0")
    assert len(lines) == 12


def test_without_corruptions_there_is_one_line_per_condition():
    table = accuracy_table({"a": rows({"clean": 0.5, "Gaussian std=0.5": 0.25}), "b": rows({"clean": 1.0})})
    assert table.columns == ("condition", "a", "b")
    assert table.num_labels == 1
    assert table.lines == (("clean", "50.0", "100.0"), ("Gaussian std=0.5", "25.0", "-"))


def test_a_missing_cell_leaves_a_hole_and_no_mean():
    holed = {name: value for name, value in PLAIN.items() if name != "fog/3"}
    several = accuracy_table({"plain": rows(PLAIN), "holed": rows(holed)})
    assert cells(several)["fog"] == ("40.0", "-")
    assert cells(several)["mean of corruptions"] == ("45.0", "-")
    in_full = accuracy_table({"plain": rows(PLAIN), "holed": rows(holed)}, each_severity=True)
    assert ("fog", "3", "40.0", "-") in in_full.lines


def test_extras_and_images_saved_as_jpeg_have_means_of_their_own():
    values = {"fog/1": 0.5, "spatter/1": 0.9, "gaussian_noise/1": 0.3, "fog+jpeg/1": 0.4, "impulse_noise+jpeg/1": 0.2}
    lines = cells(accuracy_table({"a": rows(values), "b": rows(values)}))
    means = {name: line[-1] for name, line in lines.items() if name.startswith("mean")}
    assert means == {
        "mean of extras": "90.0",
        "mean of noise": "30.0",
        "mean without noise": "50.0",
        "mean of corruptions": "40.0",
        "mean of noise+jpeg": "20.0",
        "mean without noise+jpeg": "40.0",
        "mean of corruptions+jpeg": "30.0",
    }


@pytest.fixture
def half(made_up_outcomes):
    """A model of ImageNet's classes with half of AlexNet's errors, nearly."""
    columns = {"clean": {"correct": np.arange(1000) >= 100}}
    for name, errors in ALEXNET_ERRORS.items():
        for severity, error in enumerate(errors, start=1):
            columns[f"{name}+jpeg/{severity}"] = {"correct": np.arange(1000) >= round(500 * error)}
    columns["fog/1"] = {"correct": np.arange(1000) >= 700}
    return made_up_outcomes(columns, [TOP1], classes=tuple(map(str, range(1000))), shape=(3, 224, 224))


def shown(models, **fields):
    results, measures = {}, {}
    for name, table in models.items():
        reduced = table.reduce()
        made = suite_rows(reduced.rows, reduced.measures, table)
        results[name] = [*reduced.rows, *made.rows]
        measures |= reduced.measures | made.measures
    return tables(results, measures, outcomes=models, **fields)


def test_with_a_reference_images_saved_as_jpeg_have_ce_and_mce(half):
    saved = replace(half, conditions=half.conditions[:-1])
    (one,) = shown({"model": saved})
    assert one.columns[-2:] == ("mean", "CE")
    lines = cells(one)
    assert float(lines["fog+jpeg"][-1]) == pytest.approx(50, abs=0.1)
    mce, _, spread = lines["mCE (AlexNet = 100)"][-2].split()
    assert float(mce) == pytest.approx(50, abs=0.1)
    assert 0 < float(spread) < 10
    main, ratios = shown({"half": saved, "holed": half})[:2]
    assert [each.split()[0] for each in cells(main)["mCE (AlexNet = 100)"][1:]] == [mce, mce]
    assert list(cells(ratios)) == [f"{name}+jpeg" for name in IMAGENET_C]
    (plain,) = shown({"model": replace(saved, shape=(3, 64, 64))})
    assert "CE" not in plain.columns
    assert not any("mCE" in name for name in cells(plain))


def test_the_means_have_intervals_and_a_note_says_how_wide_those_of_cells_are(made_up_outcomes):
    rng = np.random.default_rng(0)
    columns = {name: {"correct": rng.random(400) < value} for name, value in PLAIN.items()}
    (table,) = shown({"a": made_up_outcomes(columns, [TOP1])})
    mean = cells(table)["fog"][-1]
    value, low, high = map(float, mean.replace("(", "").replace(")", "").replace("-", " ").split())
    assert low < value < high
    assert table.notes[0].startswith("In brackets")
    assert table.notes[1] == "95 % intervals: single cells at most ± 4.9."
    assert table.width <= 80


def test_long_names_leave_room_for_the_farther_end_only(made_up_outcomes):
    rng = np.random.default_rng(0)
    columns = {name: {"correct": rng.random(400) < value} for name, value in PLAIN.items()}
    (table,) = shown({"quickstart-gaussian-0a1b2c3d": made_up_outcomes(columns, [TOP1])})
    assert " ± " in cells(table)["fog"][-1]
    assert table.notes[0].startswith("±")
    assert table.width <= 80


def test_the_title_says_what_was_measured_and_of_how_many():
    assert accuracy_table({"a": rows(PLAIN, count=10000)}).title == "Top-1 accuracy in percent, n = 10,000"
    mixed = rows({"clean": 0.5}) + rows({"fog/1": 0.5}, count=50)
    assert accuracy_table({"a": mixed}).title == "Top-1 accuracy in percent, n = 50 or 200"


def test_another_measure_has_the_same_table():
    both = rows({"clean": 0.5}) + rows({"clean": 0.75}, measure="top5")
    assert accuracy_table({"a": both}).lines == (("clean", "50.0"),)
    table = accuracy_table({"a": both}, measure=TOP5)
    assert table.lines == (("clean", "75.0"),)
    assert table.title.startswith("Top-5 accuracy")


@pytest.mark.parametrize("name", ["contrast/6", "contrast/x", "3", "a/b"])
def test_only_a_severity_behind_a_stroke_makes_a_condition_graded(name):
    assert accuracy_table({"a": rows({name: 0.5})}).lines == ((name, "50.0"),)


def test_a_corruption_of_ones_own_has_severities_too():
    assert "rain" not in CORRUPTIONS
    table = accuracy_table({"a": rows({f"rain/{severity}": 0.5 for severity in range(1, 6)})})
    assert cells(table)["rain"] == ("50.0",) * 6


def test_one_model_under_some_cells_only_has_a_line_for_each():
    some = {name: value for name, value in PLAIN.items() if name in ("clean", "contrast/1", "fog/3")}
    table = accuracy_table({"plain": rows(some)})
    assert table.columns == ("condition", "severity", "plain")
    assert [line for line in table.lines if line] == [
        ("clean", "", "90.0"),
        ("contrast", "1", "70.0"),
        ("fog", "3", "40.0"),
        ("mean of corruptions", "", "55.0"),
    ]


def test_ce_is_a_column_of_one_model_only(half):
    found = shown({"model": replace(half, conditions=half.conditions[:-1])})
    assert len(found) == 1  # CE is in it
    assert CE not in MEASURES


def mean_line(table):
    return cells(table)["mean of corruptions"][-1].split()[0]


@pytest.mark.parametrize(
    "kinds", [("frost", "frost-procedural"), ("fog", "rain"), ("fog", "spatter"), ("frost-procedural", "fog")]
)
def test_the_mean_of_corruptions_is_that_of_the_rows(made_up_outcomes, kinds):
    rng = np.random.default_rng(0)
    columns = {
        f"{kind}/{severity}": {"correct": rng.random(400) < 0.9 - 0.2 * place - 0.02 * severity}
        for place, kind in enumerate(kinds)
        for severity in range(1, 6)
    }
    table = made_up_outcomes(columns, [TOP1])
    (row,) = (row for row in suite_rows(*table.reduce(), table).rows if row.condition == "corruptions")
    for models in ({"a": table}, {"a": table, "b": table}):
        main = shown(models)[0]
        assert mean_line(main) == TOP1.written(row.value)
        assert mean_line(main) == TOP1.written(
            np.mean([columns[f"{kinds[0]}/{k}"]["correct"] for k in range(1, 6)])
        ) or (kinds == ("frost-procedural", "fog"))


def test_a_cell_of_which_few_samples_could_be_read_is_in_no_mean():
    few = [replace(row, count=100) if row.condition == "fog/3" else row for row in rows(PLAIN)]
    (row,) = (row for row in suite_rows(few, MEASURES).rows if row.condition.startswith("corruptions"))
    assert row.condition == "corruptions (9 cells)"
    assert cells(accuracy_table({"a": few}))["mean of corruptions"][-1] == TOP1.written(row.value)
    both = cells(accuracy_table({"a": few, "b": rows(PLAIN)}))["mean of corruptions"]
    assert both == ("-", "45.0")


def test_cells_with_parameters_of_different_sizes_have_no_mean(made_up_outcomes):
    table = made_up_outcomes({name: {"correct": [True, False]} for name in PLAIN}, [TOP1], shape=(3, 64, 64))

    def sized(fog, contrast):
        sizes = {"fog": fog, "contrast": contrast}
        return replace(
            table,
            conditions=tuple(
                replace(each, evaluation={"init_args": {"pixels": sizes[each.condition.partition("/")[0]]}})
                if each.condition != "clean"
                else each
                for each in table.conditions
            ),
        )

    def conditions(own):
        return {row.condition for row in suite_rows(*own.reduce(), own).rows}

    assert "corruptions" in conditions(sized(32, 32))
    assert "corruptions" in conditions(sized(64, None))  # None takes the size of the images
    assert conditions(sized(32, 64)) == set()
    assert "mean of corruptions" not in cells(shown({"a": sized(32, 64)})[0])
    main = shown({"a": sized(32, 64), "b": sized(32, 32)})[0]
    assert cells(main)["mean of corruptions"][0] == "-"


def test_each_suite_outside_imagenet_c_has_a_mean_of_its_own():
    kinds = ["fog", "spatter", "ripple", "vertical_lines", "iso_noise", "mnist_fog", "mnist_scale"]
    assert groups_of(kinds) == [
        ("mean of extras", ["spatter"]),
        ("mean of C-bar", ["ripple"]),
        ("mean of LAION-C", ["vertical_lines"]),
        ("mean of 3DCC", ["iso_noise"]),
        ("mean of MNIST-C", ["mnist_fog", "mnist_scale"]),
        ("mean of corruptions", ["fog"]),
    ]
