"""A number with doubts is marked and warned about, and no model is preferred because of it."""

import re

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.measuring.ask import read_results
from withstand.rendering.terminal import render
from withstand.reports.doubts import doubts
from withstand.reports.findings import findings
from withstand.reports.headline import headline, ranked, ranking_group
from withstand.reports.pairs import SamplePairs
from withstand.reports.report_folder import write_report
from withstand.reports.scores import Scores
from withstand.reports.sheets import differences_sheet, main_sheet
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study

WORST = "worst_case_top1"
FEATURES, ATTACK = 30, "linf 0.15, quick"


class Rounded(nn.Module):
    """A network whose inputs are rounded: its gradient is 0."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network((x / 0.05).round() * 0.05)


def table(seed: int, num: int) -> TensorSplit:
    x = torch.randn(num, FEATURES, generator=torch.Generator().manual_seed(seed))
    return TensorSplit(x, (x.sum(1) > 0).long(), classes=("a", "b"), box=None)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A sound network and the same one behind rounding, measured with the quick budget, and what was kept of them."""
    network, split = ws.MLP(hidden=(32,)).build((FEATURES,), 2, seed=0), table(1, 300)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(split.x), split.y).backward()
        optimizer.step()
    models = {"plain": network.eval(), "rounded": Rounded(network).eval()}
    attack = ws.WorstCase(balls=(ws.Ball("linf", 0.15),), budget="quick", num_mean=4)
    folder = tmp_path_factory.mktemp("kept")
    return ws.evaluate(models, table(2, 100), on=["clean", attack], keep=folder, device="cpu"), folder


def value_of(results, model, measure=WORST):
    return next(row for row in results.rows[model] if row.measure == measure)


def test_rows_of_attacks_on_a_masked_model_have_a_doubt_and_no_others(measured):
    results, folder = measured
    assert value_of(results, "rounded").value > value_of(results, "plain").value + 0.2  # else it is no trap
    found = {(model, row.measure) for model, rows in results.rows.items() for row in rows if row.doubt}
    assert found == {("rounded", WORST), ("rounded", "adversarial_top1")}
    assert "Gradient masking" in value_of(results, "rounded").doubt
    kept = [read_results(each) for each in folder.iterdir()]
    again = {row.measure for each in kept for rows in each.rows.values() for row in rows if row.doubt}
    assert again == {WORST, "adversarial_top1"}
    compared = results.compare().select("condition", "doubt").rows()
    assert {bool(doubt) for condition, doubt in compared if condition == ATTACK} == {True, False}  # the mean is sound
    assert not any(doubt for condition, doubt in compared if condition == "clean")


def test_a_masked_model_is_never_preferred_and_the_page_warns_first(measured, tmp_path):
    results, _ = measured
    digest = Digest.of(Study.of_results(results))
    scores = Scores.gather(digest)
    shown = f"{100 * value_of(results, 'rounded').value:.1f} %"
    (warning,) = doubts(digest)
    assert warning.startswith("rounded: ")
    for word in ("worst-case accuracy", ATTACK, shown, "Gradient masking", "--budget standard", "surrogate="):
        assert word in warning
    said = headline(scores)
    assert not any(lead.startswith("Prefer") for lead, _ in said)
    assert said[-1][0] == "No model is preferred"
    assert shown not in " ".join(text for _, text in said)
    for what, text in findings(digest, scores):
        assert not ("under attack" in what.lower() or "worst" in what.lower()) or "rounded has" not in text
    page = results.report(tmp_path / "report").read_text()
    assert page.index("not trustworthy") < page.index('class="headline')
    assert (tmp_path / "report/report.md").read_text().index("rounded: do not trust") < page.index("Summary")


def test_tables_mark_the_number_and_call_no_difference_better(measured):
    results, _ = measured
    digest = Digest.of(Study.of_results(results), baseline=["name=plain"])
    pairs = SamplePairs(digest=digest, scores=Scores.gather(digest))
    for sheet in (main_sheet(digest), differences_sheet(digest, pairs=pairs)):
        cells = {cell.measure: cell for cell in sheet.cells[-1] if cell.condition == ATTACK}
        assert cells[WORST].doubt
        assert cells[WORST].plain.split(" ")[0].endswith("†")
        assert cells[WORST].tone == ""
        assert not cells["mean_top1"].doubt
        assert any(note.startswith("†") for note in sheet.notes)
    sound, tables = re.escape(f"{100 * value_of(results, 'plain').value:.1f}"), results.tables()
    for text in (*map(render, tables[-2:]), results.to_markdown()):
        assert re.search(r"\d\.\d†", text)
        assert not re.search(rf"\b{sound}†", text)
    assert "†" not in render(tables[0])


KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    ),
    "worst": Measure(name="worst", column="worst", kind="attacked", better="higher", percent=True),
}


def study(folder, models, *, top1="clean", doubtful=()):
    """Write three runs of each model: `top1` and the accuracy under attack."""
    for name, (share, worst) in models.items():
        for seed in range(3):
            doubt = "Masked." if name in doubtful else ""
            rows = [Row(measure="top1", condition="clean", value=0.9, count=100)]
            rows += [Row(measure="top1", condition=top1, value=share + seed / 100, count=100)] * (top1 != "clean")
            rows += [Row(measure="worst", condition="linf 0.1, x", value=worst + seed / 200, count=100, doubt=doubt)]
            run = folder / f"{name}-{seed}"
            write_rows(run / "rows.jsonl", rows, KNOWN)
            (run / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")
    return Scores.gather(Digest.of(Study.of(folder)))


@pytest.mark.parametrize(
    ("worst", "doubtful", "lead", "order"),
    [
        ((0.8, 0.5), "", "Prefer a", "ab"),
        ((0.8, 0.5), "a", "No model is preferred", "b"),
        ((0.8, 0.5), "b", "Prefer a", "ab"),  # even what may be too high is less
        ((0.8, 0.8), "b", "No model is preferred", "a"),
        ((0.8, 0.5, 0.3), "a", "Prefer b", "bc"),
        ((0.8, 0.5), "ab", "Robustness is unknown", ""),
    ],
)
def test_a_doubtful_accuracy_can_lose_but_not_win(worst, doubtful, lead, order, tmp_path):
    models = {name: (0.9, each) for name, each in zip("abc", worst, strict=False)}
    scores = study(tmp_path, models, doubtful=doubtful)
    group = ranking_group(scores)
    assert [scores.digest.combinations[each].name for each in ranked(scores, group)] == list(order)
    found = headline(scores)
    assert found[-1][0] == lead
    for name in set(models) & set(doubtful) - set(order) if order else ():
        assert f"{name} under attack" in found[-1][1]
    assert ("at least 30.0 points more than b" in found[-1][1]) == (doubtful == "b" and worst[1] == 0.5)


def test_a_model_with_doubts_is_not_preferred_for_what_is_sound_either(tmp_path):
    scores = study(tmp_path, {"a": (0.8, 0.9), "b": (0.6, 0.2)}, top1="fog/3", doubtful="a")
    assert ranking_group(scores).kind == "mean"
    lead, text = headline(scores)[-1]
    assert lead == "No model is preferred"
    assert "Under attack (linf 0.1) its accuracy is not trustworthy" in text
    sound = study(tmp_path / "sound", {"a": (0.8, 0.9), "b": (0.6, 0.2)}, top1="fog/3")
    assert headline(sound)[-1][0] == "Prefer a"


def test_one_doubtful_seed_makes_the_median_doubtful(tmp_path):
    study(tmp_path, {"a": (0.9, 0.8), "b": (0.9, 0.5)})
    rows = [Row(measure="worst", condition="linf 0.1, x", value=0.8, count=100, doubt="Masked.")]
    write_rows(tmp_path / "a-1" / "rows.jsonl", rows, KNOWN)
    digest = Digest.of(Study.of(tmp_path))
    assert {key: line["doubt"] for key, line in digest.lines.items() if line["doubt"]} == {
        (0, "worst", "linf 0.1, x"): "Masked."
    }
    report = write_report(digest.study, tmp_path / "report", pictures=lambda _: [])
    assert "Masked." in report.page.read_text()
