"""Means over corruptions, run by run: those of a run that stands under several combinations count under each."""

import polars
import pytest

from withstand.study.aggregate import aggregate
from withstand.study.condition import IMAGENET_C
from withstand.study.corruption_rows import with_corruption_rows
from withstand.study.digest import Digest
from withstand.study.row import Row, write_rows
from withstand.study.runs import read
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries

ERRORS = {"plain": 0.5, "noise-0.1": 0.4, "noise-0.2": 0.3}


@pytest.fixture
def folder(tmp_path):
    """Two strengths and two methods; the plain runs are the same at either strength."""
    entries = []
    for strength in (0.1, 0.2):
        for method in ("plain", "noise"):
            name = method if method == "plain" else f"{method}-{strength}"
            for seed in range(3):
                run = f"{name}-{seed}"
                entries.append(Entry(labels={"strength": strength, "method": method}, seed=seed, run=run))
                values = {f"{kind}/{severity}": 1 - ERRORS[name] for kind in IMAGENET_C for severity in range(1, 6)}
                rows = [
                    Row(measure="top1", condition=condition, total=100 * value, count=100)
                    for condition, value in ({"clean": 0.9} | values).items()
                ]
                write_rows(tmp_path / run / "rows.jsonl", rows)
    write_entries(tmp_path, entries, command=[])
    return tmp_path


def test_a_run_of_several_combinations_has_its_means_under_each(folder):
    frame = read(folder)
    found = aggregate(with_corruption_rows(frame)).filter(polars.col("measure") == "mean_corruption_error")
    lines = {
        (line["strength"], line["method"], line["condition"]): (round(line["mean"], 6), line["done"], line["planned"])
        for line in found.iter_rows(named=True)
    }
    expected = {(0.1, "plain"): 0.5, (0.2, "plain"): 0.5, (0.1, "noise"): 0.4, (0.2, "noise"): 0.3}
    where = ("15 corruptions", "12 corruptions without noise")
    assert lines == {(*labels, each): (error, 3, 3) for labels, error in expected.items() for each in where}
    digest = Digest.of(Study.of(folder), baseline=["method=plain"])
    pairs = digest.differences.filter(polars.col("measure") == "mean_corruption_error")
    assert {round(each, 6) for each in pairs["difference"]} == {-0.2, -0.1}
