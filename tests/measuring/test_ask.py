"""The only evaluate: what is measured, what is kept, what a failure leaves behind."""

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import polars
import pytest
import torch
from polars.testing import assert_frame_equal
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import BusyError, InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.evaluation.recall import Recall
from withstand.evaluation.worst_case import WorstCase
from withstand.files import hold
from withstand.measuring.ask import ask, read_results
from withstand.measuring.question import Question, Task
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.pictures import read_pictures

ENGINE = Engine(batch_size=4, checkpoint_seconds=0.0)
NOISE = Gaussian(std=0.1)


def assert_equal(one, other):
    """Compare two tables of outcomes in every value."""
    assert [each.condition for each in one.conditions] == [each.condition for each in other.conditions]
    assert_frame_equal(one.samples, other.samples, check_exact=True)
    for own, its in zip(one.conditions, other.conditions, strict=True):
        assert (own.measures, own.numbers) == (its.measures, its.numbers)
        assert_frame_equal(own.frame, its.frame, check_exact=True)


def outcomes_of(results, name="mine"):
    return results.tables_of_outcomes[name]


class Stopped(BaseException):
    """The measurement is stopped."""


@contextmanager
def stopped_after(model, count):
    """Let a model fail at a call."""
    forward, calls = model.forward, []

    def stop(x):
        calls.append(len(x))
        if len(calls) > count:
            raise Stopped
        return forward(x)

    model.forward = stop
    yield
    model.forward = forward


def test_the_outcomes_in_a_folder_are_those_in_memory(bench, counting, tmp_path):
    asked = ("clean", NOISE, Recall(), WorstCase(balls=(Ball("linf", 0.05),), budget="quick", num_mean=4))
    in_memory = ask([bench.subject(counting, *asked)], seed=0, engine=ENGINE)
    kept = ask([bench.subject(counting, *asked, folder=tmp_path / "kept")], seed=0, engine=ENGINE)
    read = read_results(tmp_path / "kept")
    assert_equal(outcomes_of(in_memory), outcomes_of(kept))
    assert_equal(outcomes_of(in_memory), outcomes_of(read, "kept"))
    assert in_memory.rows["mine"] == kept.rows["mine"] == read.rows["kept"]
    assert in_memory.notes == kept.notes == read.notes
    names = {each.name for each in (tmp_path / "kept").iterdir()}
    assert names == {"lock", "pictures.parquet", "notes.json", "outcomes", "rows.jsonl"}


def test_each_sample_is_given_once_per_condition_and_checked_once(bench, counting):
    ask([bench.subject(counting, "clean", NOISE)], seed=0, engine=ENGINE)
    assert counting.count == 2 * 20 + 2


def test_what_was_measured_before_is_not_measured_again(bench, counting, tmp_path):
    first = ask([bench.subject(counting, "clean", folder=tmp_path)], seed=0, engine=ENGINE)
    files = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*") if each.is_file() and each.name != "lock"}

    def never():
        raise AssertionError("the model was loaded")

    again = ask([replace(bench.subject(counting, "clean", folder=tmp_path), load=never)], seed=0, engine=ENGINE)
    assert_equal(outcomes_of(first), outcomes_of(again))
    assert {each: each.stat().st_mtime_ns for each in files} == files
    counting.seen.clear()
    both = ask([bench.subject(counting, NOISE, "clean", folder=tmp_path)], seed=0, engine=ENGINE)
    assert counting.count == 20 + 2
    assert not torch.equal(torch.cat(counting.seen[1:]), torch.cat(clean_batches(bench)))
    # The answer is in the order of the question, the folder holds everything.
    assert [each.condition for each in outcomes_of(both).conditions] == [NOISE.condition, "clean"]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {row["condition"] for row in rows if "condition" in row} == {"clean", NOISE.condition}
    only = ask([bench.subject(counting, NOISE, folder=tmp_path)], seed=0, engine=ENGINE)
    assert [each.condition for each in outcomes_of(only).conditions] == [NOISE.condition]


def clean_batches(bench):
    return [each.x for each in bench.split.batches(torch.arange(20).split(4))]


def test_a_measurement_that_was_stopped_goes_on_and_gives_the_same_table(bench, counting, tmp_path):
    asked = ("clean", NOISE, Recall())
    whole = ask([bench.subject(counting, *asked, folder=tmp_path / "whole")], seed=0, engine=ENGINE)
    fetched = []
    batches = bench.split.batches

    def counted(plan, **options):
        plan = list(plan)
        for each, sample in zip(plan, batches(plan, **options), strict=True):
            fetched.extend(each.tolist())
            yield sample

    bench.split.batches = counted
    # Of every batch there are three calls of the model, after the one that checks it: in the third one it stops.
    with stopped_after(counting, 1 + 2 * 3 + 1), pytest.raises(Stopped):
        ask([bench.subject(counting, *asked, folder=tmp_path / "killed")], seed=0, engine=ENGINE)
    assert fetched == list(range(12))
    assert len(list((tmp_path / "killed" / "outcomes" / "parts").glob("*/*.parquet"))) == 2
    fetched.clear()
    resumed = ask([bench.subject(counting, *asked, folder=tmp_path / "killed")], seed=0, engine=ENGINE)
    assert fetched[: 20 - 8] == list(range(8, 20))
    assert_equal(outcomes_of(whole), outcomes_of(resumed))
    for name in ("rows.jsonl", "notes.json"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "killed" / name).read_text()
    assert not (tmp_path / "killed" / "outcomes" / "parts").exists()
    assert not list(tmp_path.rglob("*.tmp"))


def test_all_models_meet_the_same_noise_and_another_seed_is_other_noise(bench, tmp_path):
    seen = {}

    class Spy(nn.Module):
        def __init__(self, key):
            super().__init__()
            self.key = key
            self.linear = nn.Linear(192, 3, bias=key != "one")

        def forward(self, x):
            if len(x) == 4:
                seen.setdefault(self.key, []).append(x.clone())
            return self.linear(x.flatten(1))

    for seed, names in ((0, ("one", "two")), (1, ("three",))):
        subjects = [bench.subject(Spy(each), NOISE, name=each) for each in names]
        ask(subjects, seed=seed, engine=ENGINE)
    one, two, three = (torch.cat(seen[each]) for each in ("one", "two", "three"))
    assert torch.equal(one, two)
    clean = torch.cat(clean_batches(bench))
    assert (one != clean).float().mean() > 0.5
    assert not torch.equal(one, three)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (nn.Linear(5, 3), r"model: cannot take inputs of shape \(3, 8, 8\)"),
        (nn.Flatten(), r"model: for 3 classes two inputs must give logits of shape \(2, 3\), got \(2, 192\)"),
    ],
)
def test_a_model_that_does_not_fit_is_one_sentence_and_leaves_no_folder(model, sentence, bench, tmp_path):
    with pytest.raises(InputError, match=f"^{sentence}"):
        ask([bench.subject(model, folder=tmp_path / "runs" / "evaluations" / "mine")], seed=0, engine=ENGINE)
    assert list(tmp_path.iterdir()) == []
    # A folder that was there stays, with what lies in it.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.txt").write_text("mine")
    with pytest.raises(InputError):
        ask([bench.subject(model, folder=tmp_path / "mine")], seed=0, engine=ENGINE)
    assert (tmp_path / "mine" / "own.txt").read_text() == "mine"


@pytest.mark.parametrize(("bad", "stays"), [(0, False), (2, True)])
def test_an_input_that_cannot_be_read_leaves_a_folder_only_if_something_was_measured(
    bad, stays, bench, counting, tmp_path
):
    batches = bench.split.batches

    def broken(plan, **options):
        for place, sample in enumerate(batches(plan, **options)):
            if place == bad:
                raise InputError("data: 7.png cannot be read.")
            yield sample

    bench.split.batches = broken
    with pytest.raises(InputError, match=r"7\.png"):
        ask([bench.subject(counting, folder=tmp_path / "mine")], seed=0, engine=ENGINE)
    assert (tmp_path / "mine").exists() == stays
    bench.split.batches = batches
    found = ask([bench.subject(counting, folder=tmp_path / "mine")], seed=0, engine=ENGINE)
    assert_equal(outcomes_of(found), outcomes_of(ask([bench.subject(counting)], seed=0, engine=ENGINE)))


def test_a_second_process_in_the_same_folder_is_told_so_and_harms_nothing(bench, counting, tmp_path):
    script = "import sys, pathlib; from withstand.files import hold\nwith hold(pathlib.Path(sys.argv[1])): print(1, flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "mine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "1\n"
        with pytest.raises(BusyError, match="is being worked on by another process"):
            ask([bench.subject(counting, folder=tmp_path / "mine")], seed=0, engine=ENGINE)
        assert (tmp_path / "mine" / "lock").exists()
    finally:
        other.communicate("\n")
    ask([bench.subject(counting, folder=tmp_path / "mine")], seed=0, engine=ENGINE)


def test_models_are_measured_one_after_the_other_in_folders_of_their_own(bench, counting, tmp_path):
    subjects = [bench.subject(counting, name=each, folder=tmp_path / each) for each in ("a", "b")]
    results = ask(subjects, seed=0, engine=ENGINE)
    assert list(results.rows) == ["a", "b"]
    assert results.rows["a"] == results.rows["b"]
    with hold(tmp_path / "a"):  # it was let go
        pass


def test_the_configuration_is_kept_and_another_one_is_refused(bench, counting, tmp_path):
    ask([bench.subject(counting, folder=tmp_path, config={"seed": 0, "of": (1, 2)})], seed=0, engine=ENGINE)
    ask([bench.subject(counting, NOISE, folder=tmp_path, config={"seed": 0, "of": [1, 2]})], seed=0, engine=ENGINE)
    with pytest.raises(InputError, match=r"found the config\.yaml of something else; move the folder away"):
        ask([bench.subject(counting, folder=tmp_path, config={"seed": 1})], seed=0, engine=ENGINE)


@pytest.mark.parametrize("size", [1, 19])
def test_a_batch_of_one_works_with_batch_normalisation(size, bench):
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    found = ask([bench.subject(model, "clean", NOISE)], seed=0, engine=Engine(batch_size=size))
    assert {row.count for row in found.rows["mine"]} == {20}
    assert model.training


class Breaks(nn.Module):
    """Gives no numbers for bright images."""

    def forward(self, x):
        brightness = x.mean((1, 2, 3))
        logits = torch.stack([brightness, 0 * brightness, -brightness], dim=1)
        return torch.where(brightness[:, None] > 0.5, torch.nan, logits)


def test_outputs_that_are_not_finite_are_counted_in_every_table(bench, tmp_path):
    bright = sum((each.mean((1, 2, 3)) > 0.5).sum().item() for each in clean_batches(bench))
    assert 0 < bright < 20
    sentence = f"mine under clean: {bright} of 20 outputs are not finite (NaN or infinity) and count as wrong."
    results = ask([bench.subject(Breaks(), "clean", Recall(), folder=tmp_path / "mine")], seed=0, engine=ENGINE)
    assert sentence in results.notes
    tables = results.tables()
    assert len(tables) >= 2
    assert all(any(sentence in note for note in each.notes) for each in tables)
    assert results.to_markdown().count(sentence) >= 1
    frame = outcomes_of(results).frame("clean")
    assert frame["prediction"].null_count() == bright
    assert not frame.filter(polars.col("prediction").is_null())["correct"].any()
    assert not frame["confidence"].is_nan().any()
    # It is found again in what was kept.
    assert any(sentence in note for note in read_results(tmp_path / "mine").notes)


def test_a_model_of_no_numbers_at_all_is_measured(bench):
    class Broken(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 3), torch.nan)

    ball = WorstCase(balls=(Ball("linf", 0.1),), budget="quick", num_mean=2)
    results = ask([bench.subject(Broken(), "clean", ball, "noise-distance/gaussian")], seed=0, engine=ENGINE)
    values = {(row.measure, row.condition): row.value for row in results.rows["mine"]}
    assert {value for (measure, _), value in values.items() if "top1" in measure} == {0.0}
    assert values["noise_distance", "gaussian noise"] == 0.0


def test_a_trained_generator_is_kept_and_not_trained_again(bench, counting, tmp_path, monkeypatch):
    noise = NoiseDistance(noises=("adversarial",), radius=1.0, steps=2, batch_size=4, precision=0.5)
    bright = TensorSplit(bench.split.x, bench.split.y, classes=bench.split.classes, box=(0.0, 1.0))
    fit_on = []

    def training_samples():
        fit_on.append(1)
        return bright

    first = ask([bench.subject(counting, noise, folder=tmp_path, fit_on=training_samples)], seed=0, engine=ENGINE)
    assert len(fit_on) == 1
    (file,) = tmp_path.glob("generator-1x1-*.safetensors")
    for each in (tmp_path / "outcomes").iterdir():
        each.unlink()
    monkeypatch.delattr(NoiseDistance, "train_generator")
    again = ask([bench.subject(counting, noise, folder=tmp_path, fit_on=training_samples)], seed=0, engine=ENGINE)
    assert_equal(outcomes_of(first), outcomes_of(again))
    assert len(fit_on) == 1
    file.write_bytes(b"no weights")
    (tmp_path / "outcomes" / "outcomes.json").unlink()
    with pytest.raises(InputError, match=f"{file} is damaged"):
        ask([bench.subject(counting, noise, folder=tmp_path, fit_on=training_samples)], seed=0, engine=ENGINE)


def test_cells_are_tasks_of_their_own_with_the_samples_of_each(bench, counting, tmp_path):
    split = bench.split
    darker = TensorSplit(split.x // 2, split.y, classes=split.classes, box=split.box, numbers=split.numbers)
    few = split.select(torch.arange(5))
    cells = {"fog/1": split, "fog/2": darker, "snow/1": few}
    tasks = tuple(
        Task(load=lambda own=own: own, evaluations=(Accuracy(top=(1,)),), source=name) for name, own in cells.items()
    )
    question = Question(tasks=tasks, split=split, data="Cells")
    results = ask([bench.subject(counting, question=question, folder=tmp_path)], seed=0, engine=ENGINE)
    values = {row.condition: row for row in results.rows["mine"] if row.measure == "top1"}
    for name, own in cells.items():
        alone = Accuracy(top=(1,)).measure(counting, own, seed=0, engine=ENGINE).columns["clean"]["correct"]
        assert values[name].value == pytest.approx(alone.float().mean().item())
        assert values[name].count == len(own)
    table = OutcomeTable.read(tmp_path / "outcomes")
    assert [each.source for each in table.conditions] == ["", "", "snow/1"]
    assert {each.condition for each in read_pictures(tmp_path / "pictures.parquet")} == {"fog/1", "fog/2", "snow/1"}


def test_progress_is_told_in_samples(bench, counting, tmp_path):
    told = []

    class Teller:
        def say(self, sentence):
            told.append(sentence)

        @contextmanager
        def counting(self, total, what):
            told.append((total, what))
            yield told.append

    for _ in range(2):
        ask([bench.subject(counting, NOISE, "clean", folder=tmp_path)], seed=0, engine=ENGINE, teller=Teller())
    first, *counts, last = told
    assert first == "mine: 2 conditions, 20 samples, cpu."
    assert counts == [(20, "samples"), 0, 4, 8, 12, 16, 20]
    assert last == f"mine: measured already ({tmp_path})."
