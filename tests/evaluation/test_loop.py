"""Blocks of the evaluation loop."""

from dataclasses import dataclass

import torch

from withstand.engine import Engine
from withstand.evaluation.base import Evaluation, answers
from withstand.evaluation.loop import blocks
from withstand.evaluation.recall import Recall
from withstand.study.measures.measure import Measure


@dataclass(frozen=True, kw_only=True)
class Slow(Evaluation):
    conditions = ("slow",)
    measures = (Measure(name="slow", column="correct"),)
    most_per_block = 3

    def outcomes(self, model, x, y, *, space, state, rng):
        return {"slow": answers(model(x), y)}

    @classmethod
    def examples(cls):
        return [cls()]


def test_blocks_are_as_small_as_the_slowest_evaluation_asks(tiny_split, tiny_model):
    def sizes(evaluations, **fields):
        engine = Engine(**fields)
        given = {"space": tiny_split.space, "seed": 0, "engine": engine}
        states = [each.prepare(tiny_model, tiny_split, **given) for each in evaluations]
        found = blocks(evaluations, states, tiny_model, tiny_split, seed=0, engine=engine)
        return [each.stop - each.start for each in found]

    assert sizes([Slow(), Recall()]) == [3] * 6 + [2]
    assert sizes([Slow(), Recall()], batch_size=2) == [2] * 10
    assert torch.is_grad_enabled()
