"""CSV for spreadsheets: no text of anybody is a formula."""

import csv as standard
import io

import polars
import pytest

from withstand.rendering.csv import csv

WIDE = str.maketrans("=+-@", "\uff1d\uff0b\uff0d\uff20")
STARTS = [start + sign for start in ("", " ", "\u00a0", "\n", "\r\n", "\t") for sign in "=+-@"]


@pytest.mark.parametrize(
    "text", [*(f"{each}cmd" for each in STARTS), *(each.translate(WIDE) for each in STARTS), "\nx"]
)
def test_a_text_that_a_spreadsheet_may_run_has_a_mark_in_front(text):
    lines = list(standard.reader(io.StringIO(csv(polars.DataFrame({text: [text]})).decode(), newline="")))
    assert lines == [[f"'{text}"]] * 2


@pytest.mark.parametrize("text", ["-5", "+.5e-3", "a=b", "x - y", " a", "1", ""])
def test_other_texts_stay(text):
    lines = list(standard.reader(io.StringIO(csv(polars.DataFrame({"a": [text, "x"]})).decode(), newline="")))
    assert lines == [["a"], [text], ["x"]]
