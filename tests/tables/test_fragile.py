"""Fragile rows: checked by the model, few columns first, and on a page that anybody can open."""

import numpy as np
import pytest

from withstand.errors import InputError
from withstand.tables import fragility

FREE = {
    "radius": {"tenure": 3, "calls": 8.0, "data": 8.0},
    "changes": {"plan": ["basic", "plus"]},
    "rules": ["total == calls + data"],
    "limits": {"tenure": (0, 72), "calls": (0, None), "data": (0, None)},
    "budget": "quick",
}


@pytest.fixture(scope="module")
def frame(customers):
    return customers(40, seed=1)


@pytest.fixture(scope="module")
def found(fitted, frame):
    return fragility(fitted, *frame, **FREE)


def test_the_changed_rows_have_the_answers_that_are_told(fitted, frame, found):
    before, after = fitted.predict(frame[0]), fitted.predict(found.changed)
    rows = found.rows["row"].to_numpy()
    assert sorted(rows) == np.flatnonzero(before != after).tolist()
    assert found.rows["prediction"].to_list() == before[rows].tolist()
    assert found.rows["new_prediction"].to_list() == after[rows].tolist()
    assert found.rows["correct"].to_list() == (before == frame[1])[rows].tolist()


def test_few_columns_come_first_and_then_small_changes(found):
    keys = found.rows.select("num_columns", "size").rows()
    assert keys == sorted(keys)
    assert all(0 < size <= 1 + 1e-6 for _, size in keys)


def test_a_column_flips_what_its_rows_say(found):
    columns = {each["column"]: each for each in found.columns.to_dicts()}
    assert set(columns) == {"tenure", "calls", "data", "plan"}
    alone = found.rows.filter(found.rows["num_columns"] == 1)["columns"].to_list()
    for name, own in columns.items():
        assert own["at 25 %"] <= own["at 50 %"] <= own["at 75 %"] <= own["flips"]
        assert sum(name in each.split(", ") for each in alone) <= own["flips"]
    assert max(own["flips"] for own in columns.values()) <= len(alone)


def test_a_row_that_one_column_flips_needs_no_second(fitted, frame, found):
    one = fragility(fitted, frame[0], **{**FREE, "changes": None, "radius": {"calls": 8.0}})
    flipped = set(one.rows["row"])
    singles = set(found.rows.filter(found.rows["num_columns"] == 1)["row"])
    assert flipped & singles
    assert len(flipped - singles) <= 0.1 * len(flipped)  # where only values between those that are tried first flip it


def test_the_page_shows_the_rows_and_no_markup_of_theirs(fitted, frame, tmp_path):
    named = frame[0].rename(columns={"calls": "calls<script>alert(1)</script>"})

    def model(table):
        return fitted.predict_proba(table.rename(columns={"calls<script>alert(1)</script>": "calls"}))

    found = fragility(model, named, radius={"calls<script>alert(1)</script>": 8.0}, budget="quick")
    text = found.write(tmp_path / "page.html").read_text(encoding="utf-8")
    assert found.headline in text
    assert "<script" not in text
    assert "calls&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_page_in_a_place_that_cannot_be_written_is_refused(found, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder"):
        found.write(tmp_path)
    with pytest.raises(OSError, match="file"):
        found.write(tmp_path / "file" / "page.html")


def test_a_model_that_never_changes_its_mind_has_no_fragile_rows(frame, tmp_path):
    found = fragility(lambda table: np.tile([0.9, 0.1], (len(table), 1)), frame[0], **FREE)
    assert len(found.rows) == 0
    assert "no proof" in found.write(tmp_path / "page.html").read_text(encoding="utf-8")
