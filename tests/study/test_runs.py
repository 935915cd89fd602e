"""Reading runs: every planned one is in the frame, whatever became of it."""

import json
import math
import os
from dataclasses import replace
from math import inf
from types import SimpleNamespace

import polars
import pytest

from withstand.errors import InputError
from withstand.reports.findings import warnings
from withstand.study.aggregate import aggregate, paired
from withstand.study.contents import read_histories
from withstand.study.digest import Digest
from withstand.study.measures.cells import with_comparable_means
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.origin import Origin
from withstand.study.runs import axes_of, gather, read
from withstand.study.study import Study
from withstand.study.sweep import Entry, read_entries, write_entries, write_failure

KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    )
}

VALUES = {("a", 0.1): [0.5, 0.7, 0.9], ("a", 0.2): [0.4, 0.4], ("b", 0.1): [0.6, 0.6, 0.8], ("b", 0.2): []}


@pytest.fixture
def folder(tmp_path):
    """A sweep of two methods, two radii and three seeds; some runs failed or were never begun."""
    entries = []
    for (method, radius), values in VALUES.items():
        for seed in range(3):
            run = f"{method}-{radius}-{seed}"
            entries.append(Entry(labels={"method": method, "radius": radius}, seed=seed, run=run))
            if seed < len(values):
                rows = [Row(measure="top1", condition="clean", value=values[seed], count=10)]
                write_rows(tmp_path / run / "rows.jsonl", rows, KNOWN)
    write_failure(tmp_path / "a-0.2-2", "The loss is not finite.", "trace")
    write_entries(tmp_path, entries, command=["withstand", "sweep", "x"])
    return tmp_path


def line_of(frame, **labels):
    """Return the only line with these values."""
    found = frame.filter(polars.all_horizontal(*(polars.col(name) == value for name, value in labels.items())))
    assert len(found) == 1
    return found.row(0, named=True)


def test_every_planned_run_is_in_the_frame(folder):
    frame = read(folder)
    assert axes_of(frame) == ["method", "radius"]
    assert set(frame["run"]) == {each.run for each in read_entries(folder)}
    counts = dict(frame["status"].value_counts().iter_rows())
    assert counts == {"done": 8, "failed": 1, "missing": 3}
    failed = line_of(frame, run="a-0.2-2")
    assert (failed["problem"], failed["value"]) == ("The loss is not finite.", None)
    assert line_of(frame, run="a-0.1-1")["value"] == pytest.approx(0.7)


def test_missing_seeds_are_named_and_counted(folder):
    found = aggregate(read(folder))
    assert len(found) == 4
    whole = line_of(found, method="a", radius=0.1)
    assert (whole["done"], whole["planned"], whole["missing"]) == (3, 3, "")
    some = line_of(found, method="a", radius=0.2)
    assert (some["done"], some["planned"], some["missing"]) == (2, 3, "2")
    none = line_of(found, method="b", radius=0.2)
    assert (none["done"], none["planned"], none["missing"], none["mean"]) == (0, 3, "0, 1, 2", None)


def test_quantiles_and_intervals_are_those_of_numpy_and_scipy(folder):
    import numpy as np
    from scipy import stats

    found = line_of(aggregate(read(folder)), method="a", radius=0.1)
    values = VALUES["a", 0.1]
    for name, share in (("q10", 0.1), ("q50", 0.5), ("q90", 0.9)):
        assert found[name] == pytest.approx(np.quantile(values, share))
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_differences_are_taken_seed_by_seed(folder):
    found = paired(read(folder), {"method": "a"})
    (line,) = found.iter_rows(named=True)
    assert (line["method"], line["radius"], line["pairs"]) == ("b", 0.1, 3)
    assert line["difference"] == pytest.approx((0.1 - 0.1 - 0.1) / 3)
    assert line["better"] == pytest.approx(1 / 3)
    assert line["low"] < line["difference"] < line["high"]
    with pytest.raises(InputError, match="no run has the baseline's values, method c"):
        paired(read(folder), {"method": "c"})
    with pytest.raises(InputError, match=r"baseline must name axes \(method, radius\), got way"):
        paired(read(folder), {"way": "c"})


def test_a_single_run_and_several_are_read_alike(tmp_path):
    for seed in (3, 4):
        run = tmp_path / f"plain-{seed}abcdef0"
        write_rows(run / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=2)], KNOWN)
        (run / "config.yaml").write_text(f"name: plain\nseed: {seed}\n")
        (run / "history.json").write_text(json.dumps([{"epoch": 1, "loss": 0.5}]))
    frame = read(tmp_path)
    assert axes_of(frame) == ["name"]
    assert set(frame["name"]) == {"plain"}
    assert sorted(frame["seed"]) == [3, 4]
    assert read(tmp_path / "plain-3abcdef0")["seed"].to_list() == [3]
    assert Study.of(tmp_path / "plain-3abcdef0").name == "plain"
    (tmp_path / "plain-3abcdef0").rename(tmp_path / "final-model")
    assert set(read(tmp_path)["name"]) == {"final-model", "plain"}
    (tmp_path / "final-model").rename(tmp_path / "plain-3abcdef0")
    assert [epochs[0]["loss"] for _, epochs in read_histories(tmp_path, frame["run"])] == [0.5, 0.5]


def test_sweeps_beside_each_other_are_read_together(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("both")
    folder.rename(root / "one")
    write_entries(root / "other", [Entry(labels={"lr": 0.1}, seed=0, run="x")], command=[])
    frame = read(root)
    assert axes_of(frame) == ["method", "radius", "lr"]
    assert set(frame.filter(polars.col("lr").is_not_null())["run"]) == {"other/x"}
    assert set(frame["run"].str.split("/").list.first()) == {"one", "other"}


def test_what_is_no_result_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="expected a folder with runs"):
        read(tmp_path)
    with pytest.raises(InputError, match="expected a folder of runs"):
        read(tmp_path / "nowhere")
    entry = {"labels": {}, "seed": 0, "run": "x"}
    for spoilt in ([], [1], [entry | {"labels": [1]}], [entry | {"seed": "0"}], [entry | {"run": None}]):
        (tmp_path / "sweep.json").write_text(json.dumps({"entries": spoilt} if spoilt else spoilt))
        with pytest.raises(InputError, match=r"sweep\.json is damaged"):
            read(tmp_path)
    write_entries(tmp_path, [Entry(labels={}, seed=0, run="x")], command=[])
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "rows.jsonl").write_text('{"measure": "top1"}\n')
    with pytest.raises(InputError, match=r"line 1 of .*rows.jsonl is not a row;"):
        read(tmp_path)


def test_a_sweep_without_axes_is_one_combination(tmp_path):
    write_entries(tmp_path, [Entry(labels={}, seed=seed, run=str(seed)) for seed in (0, 1)], command=[])
    write_rows(tmp_path / "0" / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=2)], KNOWN)
    (line,) = aggregate(read(tmp_path)).iter_rows(named=True)
    assert (line["done"], line["planned"], line["missing"]) == (1, 2, "1")


@pytest.mark.parametrize(
    ("values", "mean"), [((-inf, inf), None), ((2.0, inf), inf), ((-inf, 2.0), -inf), ((2.0, 3.0), 2.5)]
)
def test_a_mean_of_bounds_on_both_sides_is_not_known(tmp_path, values, mean):
    write_entries(tmp_path, [Entry(labels={}, seed=seed, run=str(seed)) for seed in (0, 1)], command=[])
    for seed, value in enumerate(values):
        row = Row(measure="top1", condition="clean", value=value, count=2)
        write_rows(tmp_path / str(seed) / "rows.jsonl", [row], KNOWN)
    (line,) = aggregate(read(tmp_path)).iter_rows(named=True)
    assert line["mean"] == mean


def test_what_was_evaluated_later_is_among_the_rows(tmp_path):
    def write(place, data, **values):
        rows = [Row(measure="top1", condition=name, value=total / 10, count=10) for name, total in values.items()]
        write_rows(place / "rows.jsonl", rows, KNOWN)
        (place / "config.yaml").write_text(f"data:\n  class_path: withstand.data.x.{data}\nname: a\nseed: 0\n")

    write(tmp_path / "a-01234567", "Cifar10", clean=9)
    write(tmp_path / "a-01234567" / "evaluations" / "1", "Cifar10", clean=9, **{"fog/3": 5})
    write(
        tmp_path / "a-01234567" / "evaluations" / "2", "Cifar10C", clean=8, **{"snow/1": 4, "corruptions": 7, "fog": 6}
    )
    frame = read(tmp_path)
    found = dict(zip(frame["condition"], frame["value"], strict=True))
    assert found == {
        "clean": 0.9,
        "fog/3": 0.5,
        "clean on Cifar10C": 0.8,
        "snow/1": 0.4,
        "corruptions": 0.7,
        "fog": 0.6,
    }
    assert set(frame["run"]) == {"a-01234567"}


def write(folder, entries):
    """Write a sweep of accuracies: by run, its labels, seed and value; None is a run without a result."""
    write_entries(
        folder, [Entry(labels=labels, seed=seed, run=run) for run, (labels, seed, _) in entries.items()], command=[]
    )
    for run, (_, _, value) in entries.items():
        if value is not None:
            rows = [Row(measure="top1", condition="clean", value=value, count=1000)]
            write_rows(folder / run / "rows.jsonl", rows, KNOWN)
    return folder


def test_a_baseline_may_be_what_has_no_value_on_an_axis(tmp_path):
    entries = {
        f"{patience}-{lr}-{seed}": ({"patience": patience, "lr": lr}, seed, 0.8 + 0.1 * (patience is not None))
        for patience in (None, 5)
        for lr in (0.1, 0.2)
        for seed in range(3)
    }
    frame = read(write(tmp_path, entries))
    found = paired(frame, {"patience": None})
    assert found["patience"].null_count() == 0
    assert found.select("lr", "pairs").rows() == [(0.1, 3), (0.2, 3)]
    assert found["difference"].to_list() == pytest.approx([0.1, 0.1])


def test_runs_of_one_seed_count_as_one_seed(tmp_path):
    values = {"plain": (0.80, 0.82), "noisy": (0.83, 0.85)}
    entries = {
        f"{name}-{place}": ({"method": name}, 0, value)
        for name, own in values.items()
        for place, value in enumerate(own)
    }
    frame = read(write(tmp_path, entries))
    line = line_of(aggregate(frame), method="noisy")
    assert (line["done"], line["planned"], line["std"]) == (1, 1, None)
    assert line["mean"] == line["q10"] == pytest.approx(0.84)
    assert (line["low"], line["high"], line["sample_low"]) == (None, None, None)
    (pair,) = paired(frame, {"method": "plain"}).iter_rows(named=True)
    assert pair["pairs"] == 1
    assert pair["difference"] == pytest.approx(0.03)
    assert (pair["low"], pair["high"]) == (None, None)


AWKWARD = "std mean low high done planned missing samples seed run status problem measure condition count value sample_low sample_high"
AWKWARD += " combination seeds there difference pairs base better q50 q10 name model"


@pytest.mark.parametrize("axis", AWKWARD.split())
def test_an_axis_may_be_called_as_a_column(tmp_path, axis):
    entries = {
        f"{method}-{value}-{seed}": ({axis: value, "method": method}, seed, 0.25 + value * (method == "noisy"))
        for method in ("plain", "noisy")
        for value in (0.25, 0.5)
        for seed in range(3)
    }
    digest = Digest.of(Study.of(write(tmp_path, entries)), baseline=["method=plain"])
    column = axis if axis in ("name", "model") else f"{axis}_"
    assert digest.study.axes == [column, "method"]
    assert set(digest.study.frame["value"]) == {0.25, 0.5, 0.75}
    found = digest.differences.select(column, "method", "difference", "pairs").rows()
    assert [each[:2] for each in found] == [(0.25, "noisy"), (0.5, "noisy")]
    assert [each[2] for each in found] == pytest.approx([0.25, 0.5])
    assert [each[3] for each in found] == [3, 3]
    assert [each.name for each in digest.combinations][:2] == [
        f"{axis.replace('_', ' ')} {each}, plain" for each in (0.25, 0.5)
    ]
    assert Digest.of(digest.study, baseline=[f"{axis}=0.25", "method=plain"]).baseline == {
        column: 0.25,
        "method": "plain",
    }


def test_a_run_that_the_plan_has_twice_counts_once(tmp_path):
    entries = [Entry(labels={"lr": 0.1}, seed=seed, run=str(seed)) for seed in (0, 1)]
    write_entries(tmp_path, entries * 2, command=[])
    for seed in (0, 1):
        write_rows(
            tmp_path / str(seed) / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=2)], KNOWN
        )
    study = Study.of(tmp_path)
    assert study.frame["run"].to_list() == ["0", "1"]
    assert [each.share for each in Digest.of(study).combinations] == ["2/2"]


def test_an_axis_of_numbers_stays_one_where_some_have_no_value(tmp_path):
    entries = {
        f"{patience}-{seed}": ({"patience": patience}, seed, 0.5) for patience in (None, 10, 5) for seed in (0, 1)
    }
    study = Study.of(write(tmp_path / "one", entries))
    assert study.frame["patience"].unique(maintain_order=True).to_list() == [None, 10, 5]
    assert study.numeric_axes == []
    names = [each.name for each in Digest.of(study).combinations]
    assert names == ["no patience", "patience 10", "patience 5"]
    write(tmp_path / "two", {f"{lr}": ({"lr": lr}, 0, 0.5) for lr in (0.5, 1)})
    frame = read(tmp_path)
    assert frame["lr"].unique(maintain_order=True).to_list() == [None, 0.5, 1.0]
    assert frame["patience"].dtype == polars.Int64
    assert len(aggregate(frame)) == 5


def test_an_axis_without_any_value_is_read_as_well(tmp_path):
    entries = {f"{lr}": ({"lr": lr, "patience": None}, 0, 0.5) for lr in (0.5, 1)}
    digest = Digest.of(Study.of(write(tmp_path, entries)))
    assert [each.name for each in digest.combinations] == ["lr 0.5", "lr 1"]
    assert digest.baseline == {"lr": 0.5}


def test_the_baseline_is_what_is_called_plain_on_any_axis(tmp_path):
    values = {
        f"{lr}-{method}": ({"lr": lr, "method": method}, 0, 0.5) for lr in (0.1, 0.2) for method in ("noisy", "plain")
    }
    assert Digest.of(Study.of(write(tmp_path, values))).baseline == {"method": "plain"}
    same = {f"{lr}": ({"lr": lr, "method": "plain"}, 0, 0.5) for lr in (0.1, 0.2)}
    assert Digest.of(Study.of(write(tmp_path / "same", same))).baseline == {"lr": 0.1}


def test_no_value_can_be_named_as_the_baseline(tmp_path):
    entries = {f"{patience}": ({"patience": patience}, 0, 0.5) for patience in (5, None)}
    study = Study.of(write(tmp_path, entries))
    assert Digest.of(study, baseline=["patience=null"]).baseline == {"patience": None}
    assert Digest.of(study, baseline=["patience=null"]).baseline_name == "no patience"


def evaluation(folder, data, *, seed=0, **values):
    """Write what was evaluated of a model by name."""
    rows = [Row(measure="top1", condition=name, value=value, count=10) for name, value in values.items()]
    write_rows(folder / "rows.jsonl", rows, KNOWN)
    text = f"experiment:\n  seed: 7\ndata:\n  class_path: withstand.data.x.{data}\nseed: {seed}\n"
    (folder / "config.yaml").write_text(text)


def test_models_evaluated_by_name_are_found_beside_runs_and_alone(tmp_path):
    root = tmp_path / "runs" / "evaluations"
    evaluation(root / "resnet50-aaaaaaaa", "ImageNet", clean=0.7)
    evaluation(root / "timm_vit-bbbbbbbb", "ImageNet", clean=0.8)
    for folder, run in ((root, "resnet50-aaaaaaaa"), (root.parent, "evaluations/resnet50-aaaaaaaa")):
        frame = read(folder)
        assert frame.select("name", "seed", "value").rows() == [("resnet50", 0, 0.7), ("timm_vit", 0, 0.8)]
        assert frame["run"][0] == run
    write_rows(
        tmp_path / "runs" / "net-1" / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.9, count=2)], KNOWN
    )
    (tmp_path / "runs" / "net-1" / "config.yaml").write_text("name: net\nseed: 3\n")
    digest = Digest.of(Study.of(tmp_path / "runs"))
    assert [each.name for each in digest.combinations] == ["net", "resnet50", "timm_vit"]
    assert [Origin.of(digest.study, each).again is None for each in digest.combinations] == [False, True, True]
    settings = Origin.of(digest.study, digest.combinations[1]).settings
    assert settings == {"model": None, "data": {"class_path": "withstand.data.x.ImageNet"}}


def test_a_model_evaluated_on_several_data_is_told_apart_by_them(tmp_path):
    root = tmp_path / "evaluations"
    evaluation(root / "net-aaaaaaaa", "ImageNet", clean=0.7)
    evaluation(root / "net-bbbbbbbb", "Places", clean=0.5)
    evaluation(root / "net-cccccccc", "Places", seed=1, clean=0.4)
    evaluation(root / "other-dddddddd", "Places", clean=0.1)
    evaluation(root / "other-eeeeeeee", "Places", clean=0.2)
    found = dict(read(tmp_path).select("name", "value").rows())
    assert found == {
        "net on ImageNet": 0.7,
        "net on Places": 0.5,
        "net": 0.4,
        "other on Places (dddddddd)": 0.1,
        "other on Places (eeeeeeee)": 0.2,
    }


def test_declarations_that_differ_in_labels_or_intervals_alone_are_no_conflict(tmp_path):
    for place, own in enumerate(({"topic": "Balls", "parameters": {"interval": "exact"}}, {"words": "accuracy"})):
        run = tmp_path / f"net-{place}"
        row = Row(measure="top1", condition="clean", value=0.5, count=2)
        write_rows(run / "rows.jsonl", [row], {"top1": replace(KNOWN["top1"], **own)})
        (run / "config.yaml").write_text(f"name: net\nseed: {place}\n")
    assert gather(tmp_path).conflicts == ()


def test_the_newest_declaration_counts_and_differing_ones_are_named(tmp_path):
    top1 = KNOWN["top1"]
    for place, words in enumerate(("accuracy", "top-1 accuracy", "accuracy")):
        run = tmp_path / f"net-{place}"
        write_rows(
            run / "rows.jsonl",
            [Row(measure="top1", condition="clean", value=0.5, count=2)],
            {"top1": replace(top1, words=words, column=words)},
        )
        (run / "config.yaml").write_text(f"name: net\nseed: {place}\n")
        os.utime(run / "rows.jsonl", ns=(10 + place % 2, 10 + place % 2))
    found = gather(tmp_path)
    assert found.measures["top1"].words == "top-1 accuracy"
    assert found.conflicts == ("top1",)
    (sentence,) = warnings(Digest.of(Study.of(tmp_path)))
    assert sentence.startswith("Top-1 accuracy (top1): runs declare this measure differently")


def test_notes_are_those_of_all_combinations_or_name_theirs(tmp_path):
    for name, own in (("a", ["Both.", "First."]), ("b", ["Both."])):
        run = tmp_path / f"{name}-1"
        write_rows(run / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=2)], KNOWN)
        evaluation(run / "evaluations" / "e", "Digits", clean=0.5)
        (run / "config.yaml").write_text(f"name: {name}\nseed: 0\n")
        (run / "evaluations" / "e" / "notes.json").write_text(json.dumps(own))
    assert Digest.of(Study.of(tmp_path)).notes == ["Both.", "a: First."]
    (run / "evaluations" / "e" / "notes.json").write_text("{}")
    study = Study.of(tmp_path)
    assert study.notes == {"a-1": ("Both.", "First.")}
    assert [str(run / "evaluations" / "e" / "notes.json") in each for each in study.damaged] == [True]


def test_a_run_of_an_earlier_version_is_one_sentence_that_names_the_file(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "rows.jsonl").write_text('{"measure": "top1", "condition": "clean", "total": 9.0, "count": 10}\n')
    with pytest.raises(InputError, match=rf"line 1 of {tmp_path}/rows.jsonl is not a row; .* measured again\.$"):
        read(tmp_path)


def run_of(folder, name, rows, *, seed=0):
    """Write a run that belongs to no sweep."""
    write_rows(folder / f"{name}-{seed}" / "rows.jsonl", rows, KNOWN)
    (folder / f"{name}-{seed}" / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")


def test_a_single_run_has_the_interval_of_its_row_and_several_have_that_over_seeds(tmp_path):
    for name, seed, value in (("one", 0, 0.5), ("two", 0, 0.5), ("two", 1, 0.6)):
        row = Row(measure="top1", condition="clean", value=value, count=10, low=value - 0.2, high=value + 0.1)
        run_of(tmp_path, name, [row], seed=seed)
    found = aggregate(read(tmp_path))
    one, two = (line_of(found, name=name) for name in ("one", "two"))
    assert (one["low"], one["high"], one["std"]) == (None, None, None)
    assert (one["sample_low"], one["sample_high"]) == pytest.approx((0.3, 0.6))
    assert two["low"] < 0.5 < 0.6 < two["high"]
    assert (two["sample_low"], two["sample_high"]) == (None, None)


def test_infinite_values_leave_quantiles_that_are_numbers_and_make_no_pair(tmp_path):
    values = {"plain": (1.0, 2.0, 3.0), "never": (4.0, math.inf, math.inf)}
    for name, own in values.items():
        for seed, value in enumerate(own):
            run_of(tmp_path, name, [Row(measure="top1", condition="clean", value=value, count=10)], seed=seed)
    frame = read(tmp_path)
    line = line_of(aggregate(frame), name="never")
    assert [line[each] for each in ("q50", "q90", "mean")] == [math.inf] * 3
    assert (line["low"], line["high"], line["std"]) == (None, None, None)
    assert aggregate(frame, quantiles=(0.0,))["q0"].to_list() == [4.0, 1.0]
    (pair,) = paired(frame, {"name": "plain"}).iter_rows(named=True)
    assert (pair["pairs"], pair["difference"]) == (1, 3.0)


def test_a_mean_over_other_corruptions_is_not_compared(tmp_path):
    def row(condition):
        return Row(measure="top1", condition=condition, value=0.5, count=10)

    run_of(tmp_path, "all", [row(each) for each in ("fog/1", "snow/1", "spatter/1", "corruptions")])
    run_of(tmp_path, "same", [row(each) for each in ("fog/1", "snow/1", "corruptions")])
    run_of(tmp_path, "some", [row(each) for each in ("fog/1", "corruptions", "corruptions+jpeg", "fog+jpeg/1")])
    found = with_comparable_means(read(tmp_path)).filter(polars.col("condition").str.starts_with("corruptions"))
    assert found.select("name", "condition").rows() == [
        ("all", "corruptions"),
        ("same", "corruptions"),
        ("some", "corruptions+jpeg"),
    ]


def test_results_in_memory_are_a_study(tmp_path):
    rows = {"a": [Row(measure="top1", condition="clean", value=0.5, count=10)], "b": []}
    study = Study.of_results(SimpleNamespace(rows=rows, measures=KNOWN, notes=("Said.",), tables_of_outcomes={}))
    assert study.frame.select("name", "status", "value").rows() == [("a", "done", 0.5), ("b", "missing", None)]
    assert (study.folder, study.measures, study.notes["a"], study.unplanned) == (None, KNOWN, ("Said.",), [])
