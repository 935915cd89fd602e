"""Groups of conditions have names that tell them apart."""

from textwrap import shorten

import pytest

from withstand.reports.all_sheet import all_sheet
from withstand.reports.figures.bars import LONGEST, bars_picture
from withstand.reports.figures.pictures import pictures
from withstand.reports.scores import Scores
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study

LOOK = {"better": "higher", "percent": True}
KNOWN = {
    "top1": Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, **LOOK),
    "worst": Measure(name="worst", column="correct", kind="attacked", **LOOK),
    "certified": Measure(name="certified", column="certified", kind="certified", **LOOK),
}


@pytest.fixture
def write(tmp_path):
    def write(budgets, radii):
        rows = [Row(measure="top1", condition="clean", value=0.9, count=100)]
        for budget in budgets:
            for radius in radii:
                kinds = ("worst", "certified") if " + " in budget else ("worst",)
                condition = f"linf {radius:g}, {budget}"
                rows += [Row(measure=each, condition=condition, value=0.5 - radius, count=100) for each in kinds]
        write_rows(tmp_path / "net" / "rows.jsonl", rows, KNOWN)
        (tmp_path / "net" / "config.yaml").write_text("name: net\nseed: 0\n")
        return Digest.of(Study.of(tmp_path))

    return write


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        (["quick"], ["attack (linf 0.1)"]),
        (["quick + branch and bound"], ["attack (linf 0.1)"]),
        (
            ["quick", "standard", "quick + branch and bound"],
            ["linf 0.1, quick", "linf 0.1, standard", "linf 0.1, sandwich"],
        ),
        (["quick + CROWN", "standard + CROWN"], ["linf 0.1, quick + CROWN", "linf 0.1, standard + CROWN"]),
    ],
)
def test_attacks_in_one_ball_are_told_apart_by_their_budgets(budgets, expected, write):
    scores = Scores.gather(write(budgets, [0.1]))
    assert len({each.words for each in scores.groups}) == len(scores.groups)
    texts = [each for each in bars_picture(scores).values.values() if "clean" not in each]
    assert [each.partition(": ")[0] for each in texts] == [f"net, {each}" for each in expected]
    assert len({shorten(each, LONGEST, placeholder="...") for each in expected}) == len(expected)


def test_columns_run_along_the_radius_and_figures_have_titles_of_their_own(write):
    budgets = ["quick", "standard", "quick + CROWN", "standard + CROWN"]
    digest = write(budgets, [0.1, 0.01, 0.05])
    conditions = [each.condition for each in digest.columns if each.measure == "worst"]
    ordered = [f"linf {radius}, {budget}" for budget in budgets for radius in (0.01, 0.05, 0.1)]
    assert conditions == ordered[: len(conditions)]
    shown = [line[2].text for line in all_sheet(digest).cells if line[1].text.startswith("worst")]
    assert shown == ordered
    titles = [each.title for each in pictures(digest.study)]
    assert len(titles) == len(set(titles)) >= 4
