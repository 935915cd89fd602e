"""The severity at which accuracy falls below a share, of models whose accuracy at a severity is known."""

from contextlib import contextmanager
from math import inf, isfinite, nextafter

import pytest
import torch
from polars.testing import assert_frame_equal
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.threshold import Threshold
from withstand.functional.random import row_streams
from withstand.measuring.ask import ask, read_results
from withstand.measuring.question import Question
from withstand.measuring.results import Results
from withstand.measuring.subject import Subject
from withstand.measuring.words import meant
from withstand.perturbations.corruptions.imagenet_c.brightness import Brightness
from withstand.perturbations.corruptions.imagenet_c.fog import Fog
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.corruptions.mnist_c.mnist_fog import MnistFog
from withstand.perturbations.identity import Identity

LIMIT = 150  # level from which on an image is taken for class 1
WIDTH = 100  # levels, all equally likely, of the images
PER_SEVERITY = 25.5  # levels by which the image becomes brighter: a tenth of white
BRIGHTNESS = Brightness(pixels=224)


class Dark(nn.Module):
    """Takes images for class 0 if their mean is below a level, and for class 1 otherwise."""

    calls = 0
    stop_after = inf

    def forward(self, x):
        self.calls += 1
        if self.calls > self.stop_after:
            raise Stopped
        light = 255 * x.mean((1, 2, 3)) - (LIMIT - 0.5)
        return torch.stack([-light, light], 1)


class Band(nn.Module):
    """Is wrong for images whose mean is from 60 to 100 levels only."""

    def forward(self, x):
        level = 255 * x.mean((1, 2, 3))
        wrong = ((level > 59.5) & (level < 100.5)).float()
        return torch.stack([-wrong, wrong - 0.5], 1)


class Stopped(BaseException):
    """The measurement is stopped."""


@contextmanager
def stopped(model, calls):
    model.stop_after = model.calls + calls
    with pytest.raises(Stopped):
        yield
    model.stop_after = inf


def split_of(levels):
    x = (levels.float() / 255).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()
    return TensorSplit(x, torch.zeros(len(x), dtype=torch.long), classes=("a", "b"), box=(0.0, 1.0))


def levels_of(seed, count):
    return torch.randint(WIDTH, (count,), generator=torch.Generator().manual_seed(seed))


def measured(model, split, evaluation, **options):
    found = evaluation.measure(model, split, seed=0, engine=Engine(**options))
    return found, next(iter(found.numbers.values()))


def accuracy(levels, severity):
    """Return the accuracy of Dark at a severity, in closed form."""
    return (levels + PER_SEVERITY * severity + 1e-3).floor().lt(LIMIT).double().mean().item()


def in_closed_form(evaluation, levels):
    """Return what Dark has, without corrupting an image."""
    state, columns, (name,) = {"": (1.0, 2.0, 3.0, 4.0, 5.0)}, {}, evaluation.conditions
    while state is not None:
        for severity in next(iter(state.values())):
            columns[f"correct at {severity}"] = (levels + PER_SEVERITY * severity + 1e-3).floor() < LIMIT
        state = evaluation.further({name: columns}, state=state)
    return evaluation.conclude(Dark(), split_of(levels), {name: columns}, state={}, engine=Engine())[name]


def asked(model, split, *evaluations, folder=None, name="mine", **options):
    question = Question.of_evaluations(split, evaluations, data="Grey")
    subject = Subject(name=name, question=question, load=lambda: model, folder=folder)
    return ask([subject], seed=0, engine=Engine(**options))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("precision", [0.3, 0.05, 0.004])
def test_the_accuracy_falls_below_the_share_at_most_the_precision_below(share, precision):
    levels = levels_of(0, 150)
    evaluation = Threshold(corruptions=(BRIGHTNESS,), share=share, precision=precision)
    _, found = measured(Dark(), split_of(levels), evaluation)
    assert found == in_closed_form(evaluation, levels)
    assert accuracy(levels, found["threshold"]) < share <= accuracy(levels, found["threshold"] - precision)
    assert found["threshold low"] <= found["threshold"] <= found["threshold high"]


def test_bisection_ends_where_no_severity_is_between():
    right, found = torch.ones(9, dtype=torch.bool), {"correct at 1": torch.ones(9, dtype=torch.bool)}
    found |= {f"correct at {low:.17g}": right for low in (2.0, 3.0)}
    found |= {f"correct at {high:.17g}": ~right for high in (nextafter(3.0, inf), 4.0, 5.0)}
    assert Threshold(corruptions=(BRIGHTNESS,), precision=1e-300).further({"": found}, state={}) is None


def test_a_share_that_is_reached_exactly_is_not_below():
    levels = torch.tensor([0, 0, 0, 0, 0, 0, 0, 80, 80, 80])  # 80 is wrong from severity 2.75 on
    for share, is_above in ((0.7, True), (0.71, False)):
        _, found = measured(Dark(), split_of(levels), Threshold(corruptions=(BRIGHTNESS,), share=share))
        assert (found["threshold"] == inf) == is_above
    assert found["threshold"] == pytest.approx(2.75, abs=0.05)


def test_the_interval_holds_the_severity_of_the_population_in_95_of_100_samples_and_is_not_wide():
    # Half of all levels are wrong where LIMIT - 25.5 s = WIDTH / 2.
    true, count, times = (LIMIT - WIDTH / 2) / PER_SEVERITY, 100, 300
    evaluation = Threshold(corruptions=(BRIGHTNESS,))
    held, widths, values = 0, [], []
    for seed in range(times):
        found = in_closed_form(evaluation, levels_of(seed, count))
        ends = found["threshold low"], found["threshold high"]
        held += ends[0] <= true <= ends[1]
        widths.append(ends[1] - ends[0])
        values.append(found["threshold"])
    assert held / times >= 0.93
    # The accuracy falls by 25.5 / WIDTH per severity, and has a standard error of 0.5 / sqrt(count).
    error = 0.5 / count**0.5 * WIDTH / PER_SEVERITY
    assert sum(widths) / times < 1.15 * 2 * 1.96 * error + 2 * evaluation.precision
    assert sum(abs(each - true) < 1.96 * error / 2 for each in values) / times < 0.9  # half as wide would not do


@pytest.mark.parametrize(
    ("level", "value", "text"), [(LIMIT - 1, -inf, "< 1"), (0, inf, "> 5"), (LIMIT - 77, 3.03125, "3.03")]
)
def test_a_threshold_beyond_the_severities_is_a_bound(level, value, text, tmp_path):
    split = split_of(torch.full((40,), level))
    found = asked(Dark(), split, Threshold(corruptions=(BRIGHTNESS,)), folder=tmp_path / "kept")
    (row,) = found.rows["mine"]
    assert (row.value, row.count) == (value, 40)
    assert (row.low, row.high) == ((value, value) if not isfinite(value) else (3.0, 3.03125))
    assert found.measures[row.measure].written(row.value) == text
    assert read_results(tmp_path / "kept").rows["kept"] == found.rows["mine"]
    assert text in found.to_markdown()


def test_too_few_samples_have_no_interval():
    _, found = measured(Dark(), split_of(torch.tensor([0, 90])), Threshold(corruptions=(BRIGHTNESS,)))
    assert found.keys() == {"threshold"}


def test_a_rise_of_the_accuracy_is_reported_and_the_first_fall_counts():
    split = split_of(torch.full((30,), 10))
    found, numbers = measured(Band(), split, Threshold(corruptions=(BRIGHTNESS,)))
    assert numbers["threshold"] == pytest.approx(50 / PER_SEVERITY, abs=0.05)
    (note,) = found.notes["brightness below 50 %"]
    assert "from 0.0 % at" in note.text
    assert not note.is_doubt
    straight, _ = measured(Dark(), split_of(levels_of(0, 60)), Threshold(corruptions=(BRIGHTNESS,)))
    assert not any(straight.notes.values())


def test_outputs_that_are_not_finite_are_wrong_and_reported():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 2), torch.nan)

    found, numbers = measured(Broken(), split_of(levels_of(0, 12)), Threshold(corruptions=(BRIGHTNESS,)))
    assert numbers["threshold"] == -inf
    assert "12 of 12 samples" in found.notes["brightness below 50 %"][0].text


def test_every_severity_has_the_same_random_numbers():
    class Sum(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum((1, 2, 3)), x.new_full((len(x),), 6.0)], 1)

    split = split_of(levels_of(0, 50) + 80)
    evaluation = Threshold(corruptions=(GaussianNoise(pixels=224),), precision=0.3)
    found, _ = measured(Sum(), split, evaluation, batch_size=7)
    columns = {name: own for name, own in found.columns["gaussian_noise below 50 %"].items() if name != "finite"}
    assert len(columns) > 5
    rng = row_streams(0, "threshold", "gaussian_noise", index=split.numbers)
    noise = GaussianNoise(pixels=224).sample((50, 3, 2, 2), rng=rng)
    for name, own in columns.items():
        std = GaussianNoise(severity=float(name.rpartition(" ")[2]), pixels=224).published(2, 2)
        copies = ((split.x + std * noise).clamp(0, 1) * 255 + 1e-3).floor() / 255
        assert torch.equal(own, copies.sum((1, 2, 3)) > 6), name


def test_what_was_measured_is_kept_and_a_stopped_measurement_goes_on(tmp_path):
    model, split = Dark(), split_of(levels_of(0, 40))
    evaluations = Accuracy(perturbations=(Identity(),), top=(1,)), Threshold(corruptions=(BRIGHTNESS, Fog(pixels=224)))
    options = {"batch_size": 8, "checkpoint_seconds": 0.0}
    whole = asked(model, split, *evaluations, folder=tmp_path / "whole", **options)
    calls = model.calls
    again = asked(model, split, *evaluations, folder=tmp_path / "whole", **options)
    assert (model.calls, again.rows) == (calls, whole.rows)
    for done in (calls // 3, calls - 5):  # in the first pass, and in a later one
        folder = tmp_path / str(done)
        with stopped(model, done):
            asked(model, split, *evaluations, folder=folder, **options)
        before = model.calls
        resumed = asked(model, split, *evaluations, folder=folder, **options)
        assert model.calls - before < calls - done + 25  # a batch, and the check of the model
        assert resumed.rows == whole.rows
        one, other = (each.tables_of_outcomes["mine"].conditions for each in (resumed, whole))
        for own, its in zip(one, other, strict=True):
            assert own.numbers == its.numbers
            assert_frame_equal(own.frame, its.frame, check_exact=True)
        assert not (folder / "outcomes" / "parts").exists()


def test_parts_left_by_a_kill_after_merging_are_removed(tmp_path, monkeypatch):
    split, evaluation = split_of(levels_of(0, 40)), Threshold(corruptions=(BRIGHTNESS,))
    with monkeypatch.context() as patch:
        patch.setattr("withstand.measuring.parts.Parts.remove", lambda self: None)
        asked(Dark(), split, evaluation, folder=tmp_path / "kept")
    assert list((tmp_path / "kept" / "outcomes" / "parts").glob("*/pass-*/*.parquet"))
    asked(Dark(), split, evaluation, folder=tmp_path / "kept")
    assert not (tmp_path / "kept" / "outcomes" / "parts").exists()


def test_seeds_with_and_without_a_threshold_have_a_table_and_a_report(tmp_path):
    tables = {}
    for name, level in (("low", LIMIT - 1), ("high", 0), ("middle", 80)):
        found = asked(Dark(), split_of(torch.full((30,), level)), Threshold(corruptions=(BRIGHTNESS,)), name=name)
        tables |= found.tables_of_outcomes
    results = Results(tables)
    text = results.to_markdown()
    assert all(each in text for each in ("< 1", "> 5", "2.7"))
    assert "nan" not in text.lower()
    assert "&lt; 1" in results.report(tmp_path / "report").read_text()


def test_the_severity_of_a_corruption_is_ignored_and_sizes_are_those_of_the_images():
    assert Threshold(corruptions=(Fog(severity=4),)) == Threshold(corruptions=(Fog(severity=1.5),))
    adapted = Threshold(corruptions=(Fog(), BRIGHTNESS)).adapted(split_of(torch.zeros(1)))
    assert [each.pixels for each in adapted.corruptions] == [32, 224]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"share": 0}, "share must be above 0 and below 1"),
        ({"share": 1}, "share must be above 0 and below 1"),
        ({"share": float("nan")}, "share"),
        ({"precision": 0}, "precision must be above 0"),
        ({"corruptions": ()}, "corruptions"),
        ({"corruptions": (Fog(), Fog(severity=2))}, "different names"),
        ({"corruptions": (MnistFog(),)}, "severities 1 to 5, got mnist_fog"),
    ],
)
def test_invalid_fields_are_refused(fields, words):
    with pytest.raises(InputError, match=f"^Threshold: .*{words}"):
        Threshold(**fields)


def test_tables_are_refused():
    split = TensorSplit(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long), classes=("a", "b"), box=None)
    with pytest.raises(InputError, match="images"):
        Threshold().adapted(split)
    with pytest.raises(InputError, match="threshold needs images"):
        Question.of(split, "threshold")


def test_words_name_corruptions_suites_or_a_share():
    def found(word, shape=(3, 32, 32), **options):
        (one,) = meant(word, shape, frost="procedural", **options)
        return one

    usual = found("threshold")
    assert len(usual.conditions) == 15
    assert (usual.share, usual.conditions[8]) == (0.5, "frost-procedural below 50 %")
    assert found("threshold/0.8").conditions[0] == "gaussian_noise below 80 %"
    assert found("threshold/fog").conditions == ("fog below 50 %",)
    assert found("threshold/c-bar").conditions[0] == "blue_noise_sample below 50 %"
    assert found("threshold/c-bar", (3, 224, 224)).conditions[0] == "caustic_refraction below 50 %"
    assert found("threshold/fog", (3, 48, 48), pixels=64).corruptions[0].pixels == 64
    for word in ("threshold/fogg", "threshold/fog/3", "threshold/fog+jpeg", "threshold/clean", "threshold/"):
        assert not meant(word, (3, 32, 32)), word
    for word in ("threshold/1.5", "threshold/nan", "threshold/mnist-c"):
        with pytest.raises(InputError, match=r"^Threshold: "):
            meant(word, (3, 32, 32))
    with pytest.raises(InputError, match="expected a corruption, a suite, or a share"):
        Question.of(split_of(torch.zeros(1)), "threshold/fogg")


def test_the_note_on_parameters_names_the_size():
    question = Question.of_evaluations(split_of(torch.zeros(1)), [Threshold(corruptions=(BRIGHTNESS,))], data="Grey")
    assert any("Parameters for 224 pixels" in each for each in question.notes)
