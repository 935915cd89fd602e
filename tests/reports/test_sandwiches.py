"""The sentence about certified and worst-case accuracy has both numbers, and ranks no model by them together."""

import pytest

from withstand.measuring.results import Results
from withstand.reports.findings import findings
from withstand.reports.sandwiches import sandwich_findings, sandwiches_of
from withstand.reports.scores import Scores
from withstand.study.digest import Digest
from withstand.study.measures.measure import Measure
from withstand.study.study import Study

LOOK = {"percent": True, "better": "higher"}
BOTH = (
    Measure(
        name="certified_top1", column="certified", words="certified accuracy", kind="certified", budget="CROWN", **LOOK
    ),
    Measure(
        name="worst_case_top1", column="correct", words="worst-case accuracy", kind="attacked", budget="quick", **LOOK
    ),
)


@pytest.fixture
def digest_of(made_up_outcomes):
    def made(models, *, ball="linf {}", shape=(3, 8, 8)):
        """Return the digest of models, from numbers of certified and of unbroken samples of ten by radius."""
        tables = {
            name: made_up_outcomes(
                {
                    f"{ball.format(radius)}, quick + CROWN": {
                        "certified": [k < low for k in range(10)],
                        "correct": [k < high for k in range(10)],
                    }
                    for radius, (low, high) in own.items()
                },
                BOTH,
                shape=shape,
            )
            for name, own in models.items()
        }
        return Digest.of(Study.of_results(Results(tables)))

    return made


def test_of_one_model_both_shares_their_budgets_and_the_size_of_the_change_are_said(digest_of):
    digest = digest_of({"net": {0.05: (1, 4)}})
    ((what, text),) = findings(digest, Scores.gather(digest))
    assert what.endswith("linf 0.05")
    assert "10.0 % and 40.0 %" in text
    assert "0.05 per pixel" in text
    assert "10.0 % (CROWN)" in text
    assert "40.0 % (quick)" in text


@pytest.mark.parametrize(
    ("ball", "shape", "words"),
    [
        ("linf {}", (5,), "0.5 per feature"),
        ("linf {} iqr", (5,), "0.5 interquartile ranges per feature"),
        ("l2 {}", (3, 8, 8), "l2 norm of up to 0.5:"),
        ("linf {}", (), "0.5 per input value"),
    ],
)
def test_the_change_has_its_norm_and_unit(ball, shape, words, digest_of):
    ((_, text),) = sandwich_findings(digest_of({"net": {0.5: (1, 4)}}, ball=ball, shape=shape))
    assert words in text


def test_of_several_models_each_has_both_shares_in_the_order_of_the_report(digest_of):
    digest = digest_of({"plain": {0.1: (0, 2)}, "strong": {0.1: (1, 3)}, "proved": {0.1: (2, 2)}})
    ((_, text),) = sandwich_findings(digest)
    shares = {"plain": "0.0 to 20.0 %", "strong": "10.0 to 30.0 %", "proved": "20.0 to 20.0 %"}
    places = [text.index(f"{shares[each.name]} with {each.name}") for each in digest.combinations]
    assert places == sorted(places)
    # Each share has a ranking of its own: the model with the highest one is not the same.
    ranked = dict(findings(digest, Scores.gather(digest)))
    assert ranked["Certified accuracy, linf 0.1 (CROWN)"].startswith("proved has the highest")
    assert ranked["Worst-case accuracy, linf 0.1 (quick)"].startswith("strong has the highest")


def test_of_many_radii_one_model_has_three_sentences_and_several_have_one(digest_of):
    radii = {radius: (1, 4) for radius in (0.1, 0.2, 0.3, 0.4, 0.5)}
    said = [what.rpartition(" ")[2] for what, _ in sandwich_findings(digest_of({"net": radii}))]
    assert said == ["0.1", "0.3", "0.5"]
    said = [what.rpartition(" ")[2] for what, _ in sandwich_findings(digest_of({"net": radii, "other": radii}))]
    assert said == ["0.3"]


def test_accuracies_under_conditions_of_their_own_are_no_sandwich(made_up_outcomes):
    columns = {
        "linf 0.1, CROWN": {"certified": [True, False], "correct": [True, True]},
        "linf 0.1, quick": {"certified": [True, False], "correct": [True, True]},
    }
    own = {condition: (measure,) for condition, measure in zip(columns, BOTH, strict=True)}
    assert sandwiches_of(Study.of_results(Results({"net": made_up_outcomes(columns, own)}))) == []
