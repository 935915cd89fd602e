import pytest

from withstand.study.corruption_error import ALEXNET_ERRORS
from withstand.study.row import Row
from withstand.study.table import accuracy_rows, accuracy_table, noise_rows, noise_table


def rows(values, measure="top1", count=200):
    return [Row(measure=measure, condition=name, total=value * count, count=count) for name, value in values.items()]


PLAIN = {
    "clean": 0.9,
    **{f"contrast/{severity}": 0.8 - 0.1 * severity for severity in range(1, 6)},
    **{f"fog/{severity}": 0.7 - 0.1 * severity for severity in range(1, 6)},
}
NOISY = {name: value + 0.05 for name, value in PLAIN.items()}


def cells(table):
    return {line[0]: line[1:] for line in table.lines if line}


def test_one_model_has_its_severities_side_by_side_and_their_means():
    table = accuracy_table({"plain": rows(PLAIN)})
    assert table.columns == ("plain", "s1", "s2", "s3", "s4", "s5", "mean", "error")
    assert cells(table) == {
        "clean": ("", "", "", "", "", "90.0", ""),
        "contrast": ("70.0", "60.0", "50.0", "40.0", "30.0", "50.0", "50.0"),
        "fog": ("60.0", "50.0", "40.0", "30.0", "20.0", "40.0", "60.0"),
        "mean of corruptions": ("65.0", "55.0", "45.0", "35.0", "25.0", "45.0", "55.0"),
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


def test_with_a_reference_images_saved_as_jpeg_have_ce_and_mce():
    saved = {
        f"{name}+jpeg/{severity}": 1 - 0.5 * error
        for name, errors in ALEXNET_ERRORS.items()
        for severity, error in enumerate(errors, start=1)
    }
    both = saved | {f"fog/{severity}": 0.5 for severity in range(1, 6)}
    one = accuracy_table({"model": rows(both)}, reference=True)
    assert one.columns[-3:] == ("mean", "error", "CE")
    assert cells(one)["fog+jpeg"][-1] == "50.0"
    assert cells(one)["fog"][-2:] == ("50.0", "-")
    assert cells(one)["mCE (AlexNet = 100)"][-1] == "50.0"
    several = accuracy_table({"half": rows(saved), "holed": rows({"fog+jpeg/1": 0.5})}, reference=True)
    assert cells(several)["mCE (AlexNet = 100)"][-2:] == ("50.0", "-")
    assert "CE" not in accuracy_table({"model": rows(both)}).columns
    assert "CE" not in accuracy_table({"model": rows(both, measure="top5")}, reference=True).columns


def test_the_title_says_what_was_measured_and_of_how_many():
    assert accuracy_table({"a": rows(PLAIN, count=10000)}).title == "Top-1 accuracy in percent, n = 10,000"
    mixed = rows({"clean": 0.5}) + rows({"fog/1": 0.5}, count=50)
    assert accuracy_table({"a": mixed}).title == "Top-1 accuracy in percent, n = 50 or 200"
    assert accuracy_table({"a": rows(PLAIN)}, title="Mine", notes=("note",)).title == "Mine"


def test_the_first_measure_is_shown_unless_another_is_asked_for():
    both = rows({"clean": 0.5}) + rows({"clean": 0.75}, measure="top5")
    assert accuracy_table({"a": both}).lines == (("clean", "50.0"),)
    table = accuracy_table({"a": both}, measure="top5")
    assert table.lines == (("clean", "75.0"),)
    assert table.title.startswith("Top-5 accuracy")


@pytest.mark.parametrize("name", ["contrast/6", "contrast/x", "3", "a/b"])
def test_only_a_severity_behind_a_stroke_makes_a_condition_graded(name):
    assert accuracy_table({"a": rows({name: 0.5})}).lines == ((name, "50.0"),)


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


def noise(values, count=100):
    return [
        Row(measure=measure, condition=condition, total=value * count, count=count)
        for (condition, measure), value in values.items()
    ]


def test_noise_distances_have_a_table_of_their_own():
    near = noise({("gaussian noise", "never_fooled"): 0.1, ("gaussian noise", "noise_distance"): 9.5})
    far = noise({("gaussian noise", "never_fooled"): 0.6})
    results = {"near": rows({"clean": 0.5}) + near, "far": rows({"clean": 0.5}) + far}
    assert {row.measure for each in accuracy_rows(results).values() for row in each} == {"top1"}
    table = noise_table(noise_rows(results))
    assert table.lines == (
        ("gaussian noise", "median distance", "9.50", "never"),
        ("gaussian noise", "never fooled, %", "10.0", "60.0"),
    )
    assert accuracy_rows({"near": near}) == {}
    assert noise_rows({"a": rows({"clean": 0.5})}) == {}
