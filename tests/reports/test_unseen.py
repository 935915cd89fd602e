"""The column of unseen corruptions counts what shares no operation with training."""

import json

import pytest

from withstand.conditions import IMAGENET_C, SUITES
from withstand.reports.sheets import Sheets
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)
C_BAR = SUITES["imagenet-c-bar"]


@pytest.fixture
def unseen(tmp_path):
    def unseen(**runs):
        """Return the cells of the column by run; `runs` holds the operations and the measured corruptions of each."""
        for name, (operations, corruptions) in runs.items():
            names = ["clean", *(f"{each}/3" for each in corruptions)]
            rows = [Row(measure="top1", condition=each, value=0.5, count=100) for each in names]
            write_rows(tmp_path / name / "rows.jsonl", rows, {"top1": TOP1})
            (tmp_path / name / "config.yaml").write_text(f"name: {name}\nseed: 0\n")
            if operations != "no file":
                (tmp_path / name / "provenance.json").write_text(json.dumps({"operations": operations}))
        main = Sheets.of(Digest.of(Study.of(tmp_path))).main
        if "unseen" not in main.columns:
            assert not any("Unseen" in each for each in main.notes)
            return None
        assert any(each.startswith("Unseen") for each in main.notes)
        place = main.columns.index("unseen")
        return {line[0].text: line[place].text for line in main.lines}

    return unseen


def test_corruptions_count_by_suite(unseen):
    both = (*IMAGENET_C, *C_BAR)
    found = unseen(
        plain=([], both),
        noisy=(["noise"], both),
        waves=(["waves"], C_BAR),
        every=(["overlay", "tone"], ["snow", "fog"]),
    )
    assert found == {
        "plain": "C 15/15, C-bar 10/10",
        "noisy": "C 11/15, C-bar 9/10",
        "waves": "C-bar 8/10",
        "every": "C 1/2",
    }


def test_a_training_that_declares_nothing_is_not_guessed(unseen):
    found = unseen(plain=([], ["fog"]), own=(None, ["fog"]), old=("no file", ["fog"]), damaged=({"a": 1}, ["fog"]))
    assert found == {"plain": "C 1/1", "own": "?", "old": "?", "damaged": "?"}


@pytest.mark.parametrize("operations", [None, "no file"])
def test_nothing_is_shown_where_nothing_is_known(unseen, operations):
    assert unseen(one=(operations, ["fog"]), other=(operations, ["fog"])) is None


def test_nothing_is_shown_without_corruptions(unseen):
    assert unseen(one=(["noise"], [])) is None
