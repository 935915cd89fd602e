"""Robust accuracy at every radius: read from the outcomes, with the worst cases on it."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from withstand.engine import Engine
from withstand.evaluation.minimal_norm import MinimalNorm
from withstand.evaluation.worst_case import WorstCase
from withstand.measuring.ask import ask
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.fmn import FMN
from withstand.perturbations.ball import Ball
from withstand.reports.figures.balls.distance_curves import Curve, distance_curves_figure, distance_curves_pictures
from withstand.reports.figures.tools.style import figure_style
from withstand.study.study import Study


def test_the_curve_is_the_share_of_distances_above_the_radius():
    curve = Curve(distances=np.array([0.0, 0.1, 0.1, 0.4, np.inf]))
    assert [curve.share(radius) for radius in (0.0, 0.05, 0.1, 0.4, 9.0)] == pytest.approx([0.8, 0.8, 0.4, 0.2, 0.2])


def test_models_have_a_curve_each_with_their_worst_cases_on_it(tiny_split):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        models = {name: nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval() for name in ("one", "other")}
    worst = WorstCase(balls=(Ball("linf", 0.01), Ball("linf", 0.02)), attacks=(APGD(steps=10),), num_mean=0)
    question = Question.of_evaluations(
        tiny_split, [MinimalNorm(attacks=(FMN(ball=Ball("linf", 1.0), steps=40),)), worst], data="Tiny"
    )
    subjects = [Subject(name=name, question=question, load=lambda each=each: each) for name, each in models.items()]
    results = ask(subjects, seed=0, engine=Engine())
    (picture,) = distance_curves_pictures(Study.of_results(results))
    assert "Marks" in picture.caption
    curves = picture.draw.args[0]  # pyright: ignore[reportFunctionMemberAccess]
    assert set(curves) == set(models)
    for name, table in results.tables_of_outcomes.items():
        distance = table.frame("linf distance, FMN-40")["distance"].to_numpy()
        assert np.array_equal(np.sort(distance), curves[name].distances)
        assert [point.radius for point in curves[name].points] == [0.01, 0.02]
        # Of a linear model both attacks find the optimum.
        for point in curves[name].points:
            assert curves[name].share(point.radius) == pytest.approx(point.share, abs=0.051)
    with figure_style():
        figure = distance_curves_figure(curves, axis="radius")
        figure.savefig(io.BytesIO(), format="svg")
        drawn = [list(each.get_xdata()) for each in figure.axes[0].lines]
        assert drawn.count([0.01, 0.02]) == 2
