"""The quickstart measures the sandwich of its networks at one radius, by means that take seconds."""

from withstand.commands.quickstart import MEASURED, RECIPES
from withstand.data.images.digits import Digits
from withstand.engine import Engine
from withstand.evaluation.sandwich import Sandwich
from withstand.measuring.question import Question
from withstand.measuring.subject import check_model
from withstand.options import read_experiment


def test_its_question_has_one_sandwich_that_all_its_networks_take():
    question = Question.of(Digits(), ["clean", "imagenet-c", *MEASURED], frost="procedural")
    (sandwich,) = [each for each in question.evaluations if isinstance(each, Sandwich)]
    assert len(sandwich.balls) == 1
    assert sandwich.budget == "quick"
    assert sandwich.method == "interval"
    (condition,) = sandwich.conditions
    assert condition in question.conditions
    # No accuracy over balls is measured twice.
    names = [each.name for own in question.evaluations for each in own.measures]
    assert names.count("worst_case_top1") == 1
    space = question.split.space
    for recipe in RECIPES:
        model = read_experiment([f"--config={recipe}"]).model.build(space.shape, 10, seed=0)
        check_model(model, question, Engine())
