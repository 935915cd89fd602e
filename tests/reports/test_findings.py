from withstand.measuring.results import Results
from withstand.reports.findings import findings, warnings
from withstand.reports.report_folder import write_report
from withstand.reports.scores import Scores
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)


def test_models_on_data_with_other_classes_are_named(made_up_outcomes, tmp_path):
    clean = {"clean": {"correct": [True, False, True]}}
    animals = made_up_outcomes(clean, (TOP1,), classes=("cat", "dog"), data="Animals")
    plants = made_up_outcomes(clean, (TOP1,), classes=("oak", "elm"), data="Plants")

    def warned(**tables):
        return warnings(Digest.of(Study.of_results(Results(tables))))

    assert warned(one=animals, other=animals) == []
    (sentence,) = warned(one=animals, other=animals, third=plants)
    assert "Animals: one, other; Plants: third" in sentence
    study = Study.of_results(Results({"one": animals, "third": plants}))
    report = write_report(study, tmp_path / "report", pictures=lambda _: [])
    assert any("Animals: one; Plants: third" in each for each in report.sheets.main.notes)  # in the terminal, too


def test_two_single_runs_are_told_apart_on_their_samples(made_up_outcomes):
    good, bad = [True] * 40, [True] * 25 + [False] * 15
    tables = {
        "plain": made_up_outcomes({"clean": {"correct": bad}}, (TOP1,)),
        "robust": made_up_outcomes({"clean": {"correct": good}}, (TOP1,)),
    }
    digest = Digest.of(Study.of_results(Results(tables)))
    found = dict(findings(digest, Scores.gather(digest)))
    (told,) = [each for each in found.values() if "robust" in each]
    assert "+37.5 points against plain, on the same samples (95 % interval " in told
    assert "McNemar p < 0.001" in told


def test_a_measure_is_named_with_its_own_budget(made_up_outcomes):
    words = {"better": "higher", "percent": True, "kind": "attacked"}
    worst = Measure(name="worst", column="correct", words="worst case", budget="PGD-40 x 3 + vertices", **words)
    ascent = Measure(name="ascent", column="ascent", words="adversarial", budget="PGD-40 x 3", **words)
    columns = {"linf 0.1, PGD-40 x 3 + vertices": {"correct": [True, False], "ascent": [True, True]}}
    digest = Digest.of(Study.of_results(Results({"net": made_up_outcomes(columns, (worst, ascent))})))
    assert [what for what, _ in findings(digest, Scores.gather(digest))] == [
        "Worst case, linf 0.1 (PGD-40 x 3 + vertices)",
        "Adversarial, linf 0.1 (PGD-40 x 3)",
    ]


def test_models_that_all_have_the_same_value_are_not_ranked(made_up_outcomes):
    tables = {name: made_up_outcomes({"clean": {"correct": [True] * 9 + [False]}}, (TOP1,)) for name in "abc"}
    digest = Digest.of(Study.of_results(Results(tables)))
    _, told = findings(digest, Scores.gather(digest))[0]
    assert "90.0 %" in told
    assert "highest" not in told
