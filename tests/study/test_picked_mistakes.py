"""Mistakes are picked from the outcomes: the most confident of each condition, at the highest severity."""

from dataclasses import replace

import pytest

from withstand.study.measures.measure import Measure
from withstand.study.measures.outcomes import ConditionOutcomes
from withstand.study.picked_mistakes import pick_mistakes


def test_the_most_confident_mistakes_are_picked_and_equal_ones_by_number(six):
    found = pick_mistakes(six.table(six.outcomes("clean", [1, 0, 0, 0, 0, 0], (0.5, 0.9, 0.8, 0.8, 0.70004, 0.6))))
    (own,) = found.conditions
    assert (found.data, found.seed, found.classes) == ("Tiny", 5, ("a", "b", "c"))
    assert [tuple(each) for each in own.worst] == [(17, 1, 0, 0.8), (24, 1, 0, 0.8), (31, 2, 0, 0.7), (38, 2, 0, 0.6)]
    assert (own.hits.tolist(), own.sizes.tolist()) == ([1, 0, 0], [2, 2, 2])
    assert [each.name for each in found.worst_classes(own)] == ["b", "c", "a"]


def test_ties_and_outputs_that_are_not_finite_are_mistakes(six):
    conditions = six.outcomes(
        "clean", [0, 0, 1, 1, 2, None], (0.5, 0.9, 0.9, 0.9, 0.9, 0.0), [False, *[True] * 4, False]
    )
    (own,) = pick_mistakes(six.table(conditions)).conditions
    assert [tuple(each) for each in own.worst] == [(3, 0, 0, 0.5), (38, 2, -1, 0.0)]


def test_the_worst_classes_are_those_with_the_lowest_accuracy_and_any_mistakes(six):
    found = pick_mistakes(six.table(six.clean, six.outcomes("fog/5", [0, 1, 0, 0, 2, 1])))
    clean, fog = found.conditions
    assert found.worst_classes(clean) == []
    assert found.worst_classes(fog) == [("b", 0, 2), ("a", 1, 2), ("c", 1, 2)]
    assert found.worst_classes(fog, 1) == [("b", 0, 2)]
    assert fog.error == pytest.approx(4 / 6)


def test_of_a_corruption_the_highest_severity_is_shown_and_what_has_no_prediction_is_not(six):
    names = ("clean", "fog/1", "fog/4", "fog/2", "fog+jpeg/1", "Gaussian std=0.1", "Gaussian std=0.5")
    without = ConditionOutcomes(condition="distance", measures=(), columns=six.clean.frame.select("number", "correct"))
    every = [six.outcomes(each, six.LABELS, (0.1 * (k + 1),) * 6) for k, each in enumerate(names)]
    found = pick_mistakes(
        six.table(*every, replace(six.clean, condition="clean by class", columns=every[0].frame), without)
    )
    shown = ["clean", "fog/4", "fog+jpeg/1", "Gaussian std=0.1", "Gaussian std=0.5"]
    assert [each.condition for each in found.conditions] == shown
    assert pick_mistakes(six.table(without)) is None


def test_under_an_attack_samples_that_are_right_on_clean_inputs_come_first(six):
    clean = six.outcomes("clean", [1, *six.LABELS[1:]], (0.99, *[0.9] * 5))
    wrong, sure = [1, 1, 0, 1, 0, 2], (0.99, 0.6, 0.7, 0.9, 0.8, 0.9)
    worst = Measure(name="worst", column="correct", kind="attacked", percent=True)
    attack = replace(six.outcomes("linf 0.1, PGD-2 x 1", wrong, sure), measures=(worst,))
    found = pick_mistakes(six.table(clean, six.outcomes("fog/5", wrong, sure), attack)).conditions
    assert [each.index for each in found[1].worst] == [3, 31, 17, 10]
    # The same outcomes under an attack; number 3 is wrong without it.
    found = pick_mistakes(six.table(clean, attack)).conditions
    assert [each.index for each in found[1].worst] == [31, 17, 10, 3]
    assert [each.is_attack for each in found] == [False, True]
    assert [each.index for each in pick_mistakes(six.table(attack)).conditions[0].worst] == [3, 31, 17, 10]
