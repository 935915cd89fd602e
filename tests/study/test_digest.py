"""Combinations are compared with a baseline on the same data only."""

from withstand.measuring.results import Results
from withstand.rendering.latex import latex
from withstand.rendering.markdown import markdown
from withstand.reports.groups import groups_of
from withstand.reports.sheets import Sheets
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)


def digest_of(made_up_outcomes, data, *, conditions=("clean",)):
    found = {}
    for number, (name, (own, classes)) in enumerate(data.items()):
        right = {"correct": [k % (number + 2) > 0 for k in range(12)]}
        found[name] = made_up_outcomes({each: right for each in conditions}, (TOP1,), classes=classes, data=own)
    return Digest.of(Study.of_results(Results(found)))


def test_nothing_is_subtracted_across_data_sets(made_up_outcomes):
    animals, plants = ("Animals", ("cat", "dog")), ("Plants", ("oak", "elm"))
    digest = digest_of(made_up_outcomes, {"first": animals, "second": animals, "third": plants})
    assert [line["combination"] for line in digest.differences.iter_rows(named=True)] == [1]
    assert [digest.is_foreign(each) for each in digest.combinations] == [False, False, True]
    sheet = Sheets.of(digest).differences
    assert sheet is not None
    assert [line[0].plain for line in sheet.lines] == ["second"]
    assert "third" in " ".join(sheet.notes)
    for text in (markdown(sheet), latex(sheet)):
        assert "second" in text


def test_without_two_models_on_the_same_data_there_are_no_differences(made_up_outcomes):
    digest = digest_of(made_up_outcomes, {"first": ("Animals", ("cat", "dog")), "second": ("Plants", ("oak", "elm"))})
    assert not digest.is_compared
    assert Sheets.of(digest).differences is None


def test_an_attack_asked_by_its_class_is_grouped_with_the_attacks(made_up_outcomes):
    conditions = ("clean", "linf 0.1, PGD-10", "linf 0.1, Uniform", "Gaussian std=0.5")
    digest = digest_of(made_up_outcomes, {"net": ("Animals", ("cat", "dog"))}, conditions=conditions)
    assert [each.kind for each in groups_of(digest) if each.kind != "mean"] == [
        "clean",
        "attack",
        "condition",
        "condition",
    ]
