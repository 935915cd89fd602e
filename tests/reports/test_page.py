"""docs/reports.md: what it shows of Python runs exactly as written."""

import re
import textwrap
from pathlib import Path

import polars
import pytest

from withstand.study.measure import ACCURACY, Measure
from withstand.study.row import Row, write_rows
from withstand.study.sweep import Entry, write_entries

KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    )
}

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
SECTION = re.findall(r"(?ms)^## From Python\n(.*?)(?=^## |\Z)", PAGE)[0]
BLOCK = textwrap.dedent(re.findall(r"(?m)^(?: {4}.*\n|\n(?= {4}))+", SECTION)[0])


@pytest.fixture
def names(tmp_path, monkeypatch, capsys):
    """What the block leaves, of a sweep of two methods, two radii and three seeds, of which one is missing."""
    entries = []
    for method, radius, seed in [(m, r, s) for m in ("regular", "smoothed") for r in (0.1, 0.2) for s in range(3)]:
        run = f"{method}-{radius}-{seed}"
        entries.append(Entry(labels={"method": method, "radius": radius}, seed=seed, run=run))
        total = 50 + 10 * (method == "smoothed") + seed
        if run != "smoothed-0.2-1":
            rows = [Row(measure="top1", condition="clean", value=total / 100, count=100)]
            write_rows(tmp_path / "runs" / "avila-paper" / run / "rows.jsonl", rows, KNOWN)
    write_entries(tmp_path / "runs" / "avila-paper", entries, command=[])
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(BLOCK, found)
    assert "smoothed" in capsys.readouterr().out
    return found


def test_the_block_runs_and_gives_what_the_page_says(names):
    assert len(names["frame"]) == 12
    assert len(names["summary"]) == 4
    assert names["summary"]["missing"].to_list() == ["", "", "", "1"]
    changes = names["changes"].select("method", "radius", "pairs").rows()
    assert changes == [("smoothed", 0.1, 3), ("smoothed", 0.2, 2)]
    assert names["changes"]["difference"].to_list() == pytest.approx([0.1, 0.1])
    columns = {column for each in ("frame", "summary", "changes") for column in names[each].columns}
    other = {"frame", "summary", "changes", "read", "aggregate", "paired"}
    said = set(re.findall(r"`(\w+)`", SECTION)) - other
    assert said <= columns
    assert names["aggregate"](names["frame"], quantiles=(0.25, 0.75)).columns[4:6] == ["q25", "q75"]


def test_frames_become_those_of_pandas(names):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = names["frame"].to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["run"]) == names["frame"]["run"].to_list()
    assert polars.from_pandas(frame)["value"].null_count() == 1
