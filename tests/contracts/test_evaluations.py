"""What every evaluation promises."""

import dataclasses
import html
import re

import pytest
import torch
from torch import nn

from withstand.configuration import discover
from withstand.engine import Engine
from withstand.evaluation.base import Evaluation
from withstand.evaluation.loop import blocks, joined, prepare
from withstand.measuring.ask import ask
from withstand.measuring.question import Question
from withstand.measuring.results import Results
from withstand.measuring.subject import Subject
from withstand.rendering.latex import escaped
from withstand.reports.numbers import number, titled
from withstand.reports.page.html import dashes
from withstand.reports.report_folder import write_report
from withstand.study.measures.measure import REDUCTION_PARAMETERS
from withstand.study.study import Study

EXAMPLES = [
    pytest.param(example, id=f"{cls.__name__}-{number}")
    for cls in discover(Evaluation)
    for number, example in enumerate(cls.examples())
]
every_evaluation = pytest.mark.parametrize("evaluation", EXAMPLES)


@pytest.fixture
def model():
    """A model with everything that a measurement could change."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(192, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
        )
    model[2].eval()
    for each in model.parameters():
        each.grad = torch.full_like(each, 0.125)
    return model


def equal(one, other):
    """Return whether outcomes are equal in every value."""
    assert torch.equal(one.number, other.number)
    assert torch.equal(one.label, other.label)
    assert one.numbers == other.numbers
    assert one.columns.keys() == other.columns.keys()
    for condition, columns in one.columns.items():
        assert columns.keys() == other.columns[condition].keys()
        for name, values in columns.items():
            assert torch.equal(values, other.columns[condition][name]), (condition, name)
    return True


def close(one, other):
    """Return whether outcomes agree: whole numbers and truth values exactly, others but for rounding."""
    assert torch.equal(one.number, other.number)
    for condition, columns in one.columns.items():
        for name, values in columns.items():
            torch.testing.assert_close(values, other.columns[condition][name], rtol=1e-5, atol=1e-6)
    return True


@every_evaluation
def test_every_condition_has_a_finite_outcome_of_every_sample(evaluation, model, tiny_split):
    found = evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=8))
    assert tuple(found.columns) == evaluation.adapted(tiny_split).conditions
    assert found.number.tolist() == tiny_split.numbers.tolist()
    assert torch.equal(found.label, tiny_split.y)
    for columns in found.columns.values():
        for name, values in columns.items():
            assert values.shape == (20,), name
            assert values.device.type == "cpu"
            assert not values.isnan().any(), name


@every_evaluation
def test_every_measure_is_reduced_from_a_column_and_described(evaluation, model, tiny_split):
    adapted = evaluation.adapted(tiny_split)
    names = [each.name for each in adapted.measures]
    assert names
    assert len(set(names)) == len(names)
    found = evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=8))
    there = {name for columns in found.columns.values() for name in columns}
    there |= {name for numbers in found.numbers.values() for name in numbers}
    possible = {each.column for each in adapted.measures} - {f"top{k}" for k in range(4, 99)}
    assert possible <= there
    for each in adapted.measures:
        assert each.reduction in REDUCTION_PARAMETERS
        assert each.words
        assert each.topic


@every_evaluation
def test_every_measure_is_in_the_tables_and_in_markdown(evaluation, model, tiny_split):
    question = Question.of_evaluations(tiny_split, [evaluation], data="Tiny")
    results = ask([Subject(name="mine", question=question, load=lambda: model)], seed=0, engine=Engine())
    text = results.to_markdown()
    cells = {cell for table in results.tables() for line in table.lines if line for cell in line}
    assert results.rows["mine"]
    for row in results.rows["mine"]:
        shown = results.measures[row.measure].written(row.value)
        assert shown in text, row
        assert any(shown in cell for cell in cells), row


@every_evaluation
def test_the_model_and_the_global_generators_stay_as_they_were(evaluation, model, tiny_split, untouched_generators):
    state = {name: each.clone() for name, each in model.state_dict().items()}
    modes = [each.training for each in model.modules()]
    with untouched_generators():
        evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=8))
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    assert all((each.grad == 0.125).all() and each.requires_grad for each in model.parameters())
    assert [each.training for each in model.modules()] == modes
    assert torch.is_grad_enabled()


@every_evaluation
def test_between_two_blocks_model_and_gradient_mode_are_as_they_were(evaluation, model, tiny_split):
    modes = [each.training for each in model.modules()]
    adapted, engine = evaluation.adapted(tiny_split), Engine(batch_size=8)
    state = prepare(adapted, model, tiny_split, tiny_split, seed=0, engine=engine)
    going_on = blocks([adapted], [state], model, tiny_split, seed=0, engine=engine)
    next(going_on)
    assert [each.training for each in model.modules()] == modes
    assert torch.is_grad_enabled()


@every_evaluation
def test_the_mode_of_the_model_does_not_matter(evaluation, model, tiny_split):
    first = evaluation.measure(model.train(), tiny_split, seed=0, engine=Engine())
    assert equal(evaluation.measure(model.eval(), tiny_split, seed=0, engine=Engine()), first)


@every_evaluation
def test_the_batch_size_does_not_matter(evaluation, model, tiny_split):
    by_size = [evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=size)) for size in (7, 64, 1)]
    assert close(by_size[0], by_size[1])
    assert close(by_size[0], by_size[2])


@every_evaluation
def test_a_measurement_that_begins_in_the_middle_gives_the_rest(evaluation, model, tiny_split):
    adapted, engine = evaluation.adapted(tiny_split), Engine(batch_size=4)
    state = prepare(adapted, model, tiny_split, tiny_split, seed=0, engine=engine)
    whole = list(blocks([adapted], [state], model, tiny_split, seed=0, engine=engine))
    rest = list(blocks([adapted], [state], model, tiny_split, seed=0, engine=engine, start=whole[1].stop))
    assert equal(joined([*whole[:2], *rest]), joined(whole))


@every_evaluation
def test_two_processes_give_the_blocks_of_one(evaluation, model, tiny_split, monkeypatch):
    # Without processes: the share of each alone, with what would go over the network left out.
    monkeypatch.setattr(Engine, "gather", lambda self, value: [value])
    adapted = evaluation.adapted(tiny_split)
    state = prepare(adapted, model, tiny_split, tiny_split, seed=0, engine=Engine(batch_size=4))

    def share(engine):
        return list(blocks([adapted], [state], model, tiny_split, seed=0, engine=engine))

    shares = [each for rank in (0, 1) for each in share(Engine(rank=rank, world_size=2, batch_size=4))]
    assert equal(joined(shares), joined(share(Engine(batch_size=4))))


@every_evaluation
def test_several_evaluations_in_one_loop_give_what_each_gives_alone(evaluation, model, tiny_split):
    others = [each.values[0].adapted(tiny_split) for each in EXAMPLES]
    adapted = evaluation.adapted(tiny_split)
    others = [each for each in others if not set(each.conditions) & set(adapted.conditions)][:3]
    engine = Engine(batch_size=8)
    every = [adapted, *others]
    states = [prepare(each, model, tiny_split, tiny_split, seed=0, engine=engine) for each in every]
    together = joined(list(blocks(every, states, model, tiny_split, seed=0, engine=engine)))
    alone = evaluation.measure(model, tiny_split, seed=0, engine=engine)
    mine = {name: together.columns[name] for name in alone.columns}
    first = {name: {each: own[each] for each in mine[name]} for name, own in alone.columns.items()}  # of several passes
    assert equal(together._replace(columns=mine, numbers={}), alone._replace(columns=first, numbers={}))


@every_evaluation
def test_one_condition_alone_gives_what_it_gives_among_others(evaluation, model, tiny_split):
    adapted = evaluation.adapted(tiny_split)
    whole = adapted.measure(model, tiny_split, seed=0, engine=Engine())
    for condition in adapted.conditions:
        only = adapted.only([condition])
        assert condition in only.conditions
        found = only.measure(model, tiny_split, seed=0, engine=Engine())
        assert found.columns[condition].keys() == whole.columns[condition].keys()
        for name, values in found.columns[condition].items():
            assert torch.equal(values, whole.columns[condition][name])


@every_evaluation
def test_another_seed_is_the_same_measurement_of_the_same_samples(evaluation, model, tiny_split):
    first, second = (evaluation.measure(model, tiny_split, seed=seed, engine=Engine()) for seed in (0, 1))
    assert torch.equal(first.number, second.number)
    assert {name: set(each) for name, each in first.columns.items()} == {
        name: set(each) for name, each in second.columns.items()
    }


@every_evaluation
def test_it_is_a_frozen_configuration(evaluation):
    assert dataclasses.is_dataclass(evaluation)
    assert hash(evaluation) == hash(dataclasses.replace(evaluation))


def test_every_measure_is_in_the_page_of_a_report_and_in_its_latex(model, tiny_split, tmp_path):
    tables = {}
    for each in EXAMPLES:
        question = Question.of_evaluations(tiny_split, [each.values[0]], data="Tiny")
        found = ask([Subject(name=each.id, question=question, load=lambda: model)], seed=0, engine=Engine())
        tables |= found.tables_of_outcomes
    results = Results(tables)
    page = write_report(Study.of_results(results), tmp_path, pictures=lambda _: []).page.read_text()
    in_page = {}
    for attributes, line in re.findall(r"<tr (data-c[^>]* data-m=[^>]*)>(.*?)</tr>", page, re.DOTALL):
        key = [html.unescape(each) for each in re.findall(r'data-[mq]="([^"]*)"', attributes)]
        cells = [html.unescape(re.sub("<[^>]*>", "", each)).strip() for each in re.findall(r"<t[hd].*?</t[hd]>", line)]
        in_page[cells[0], *key] = cells[1:]
    in_latex = [re.split(r" *(?<!\\)& *", each) for each in (tmp_path / "tables" / "all.tex").read_text().splitlines()]
    in_latex = {tuple(cells[:3]): cells[3:] for cells in in_latex}
    for name, rows in results.rows.items():
        for row in rows:
            measure = titled(results.measures[row.measure])
            value = number(measure, row.value, row.count)
            shown = in_page[name, row.measure, row.condition]
            assert (shown[0], shown[2]) == (measure.label, dashes(value)), row
            latex = in_latex[escaped(name), escaped(measure.label), escaped(row.condition)]
            assert latex[0].strip("$") in (value, escaped(value)), row
