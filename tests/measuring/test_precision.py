from copy import deepcopy

import pytest

import withstand as ws
from withstand.cli import main
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.measuring.precision import in_precision
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject


def test_outcomes_in_bf16_are_kept_apart_and_carry_a_note(tiny_model, tiny_split, tmp_path):
    def confidences(**options):
        found = ws.evaluate(tiny_model, tiny_split, keep=tmp_path, device="cpu", **options)
        return found, found.outcomes()["confidence"].to_list()

    plain, before = confidences()
    names = {each.name for each in tmp_path.iterdir()}
    mixed, values = confidences(amp="bf16")
    assert len({each.name for each in tmp_path.iterdir()} - names) == 1
    assert values != before
    assert values == pytest.approx(before, abs=0.02)
    notes = [each for each in mixed.notes if "bfloat16" in each]
    assert len(notes) == 1
    assert not any("bfloat16" in each for each in plain.notes)
    assert confidences()[1] == before
    assert confidences(amp="no")[1] == before
    assert len(list(tmp_path.iterdir())) == 2


def test_without_the_option_a_subject_is_unchanged(tiny_model, tiny_split):
    subject = Subject(name="a", question=Question.of(tiny_split), load=lambda: tiny_model)
    assert in_precision(subject, "no", Engine()) is subject


@pytest.mark.parametrize("evaluation", [*ws.Certificate.examples(), *ws.Lipschitz.examples(), *ws.Sandwich.examples()])
def test_bounds_are_refused(evaluation, tiny_model, tiny_split):
    with pytest.raises(InputError, match="bounds are proven for float32, got a model with amp bf16"):
        ws.evaluate(tiny_model, tiny_split, on=evaluation, device="cpu", amp="bf16")


def test_a_run_keeps_outcomes_in_bf16_in_a_folder_of_their_own(tmp_path, capsys):
    words = "--data toy --data.num_train 60 --data.num_test 40 --model mlp --epochs 1 --device cpu --quiet"
    assert main(["train", *words.split(), "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    for options in ([], ["--amp", "bf16"]):
        assert main(["evaluate", str(run), "--on", "clean", "--device", "cpu", *options]) == 0
    assert "bfloat16" in capsys.readouterr().out
    assert len(list((run / "evaluations").iterdir())) == 2


def test_training_in_bf16_is_part_of_the_identity(tiny_model, tiny_split):
    plain, mixed = ws.Experiment(), ws.Experiment(training=ws.Training(amp="bf16"))
    assert plain.identity != mixed.identity
    other = deepcopy(tiny_model)
    ws.fit(tiny_model, tiny_split, epochs=1, device="cpu")
    ws.fit(other, tiny_split, epochs=1, device="cpu", amp="bf16")
    one, two = (each.state_dict()["network.1.weight"] for each in (tiny_model, other))
    assert not one.equal(two)
    assert (one - two).abs().max() < 0.02
