from withstand.measuring.results import Results
from withstand.reports.findings import warnings
from withstand.study.digest import Digest
from withstand.study.measure import ACCURACY, Measure
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)


def test_models_on_data_with_other_classes_are_named(made_up_outcomes):
    clean = {"clean": {"correct": [True, False, True]}}
    animals = made_up_outcomes(clean, (TOP1,), classes=("cat", "dog"), data="Animals")
    plants = made_up_outcomes(clean, (TOP1,), classes=("oak", "elm"), data="Plants")

    def warned(**tables):
        return warnings(Digest.of(Study.of_results(Results(tables))))

    assert warned(one=animals, other=animals) == []
    (sentence,) = warned(one=animals, other=animals, third=plants)
    assert "Animals: one, other; Plants: third" in sentence
