from copy import deepcopy

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.cli import main
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.measuring.question import Question
from withstand.models.compiled import OPTIONS, compile_calls
from withstand.models.memory_format import formats_kept, place
from withstand.stacked.kinds import check

SHAPE = (3, 8, 8)


@pytest.fixture
def compiled(monkeypatch) -> list:
    """The functions that were compiled: `torch.compile` is replaced by a function that counts calls."""
    found: list = []

    def compile_(function, **options):
        assert options == {"options": OPTIONS}
        found.append(0)
        number = len(found) - 1

        def call(*args, **kwargs):
            found[number] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(torch, "compile", compile_)
    return found


def test_calls_are_compiled_in_place_and_restored(compiled, tiny_model):
    names, x = list(tiny_model.state_dict()), torch.rand(2, *SHAPE)
    expected = tiny_model(x)
    with formats_kept(tiny_model):
        assert place(tiny_model, torch.device("cpu"), SHAPE, compiled=True) is tiny_model
        assert torch.equal(tiny_model(x), expected)
        assert compiled == [2]
        assert list(tiny_model.state_dict()) == names
    tiny_model(x)
    assert compiled == [2]


def test_without_the_option_nothing_is_compiled(compiled, tiny_model, tiny_split):
    ws.evaluate(tiny_model, tiny_split, device="cpu")
    assert compiled == []


def test_training_and_evaluation_call_the_compiled_model(compiled, tiny_model, tiny_split):
    plain = deepcopy(tiny_model)
    ws.fit(tiny_model, tiny_split, epochs=1, device="cpu", compile=True)
    assert compiled[0] > 1
    ws.fit(plain, tiny_split, epochs=1, device="cpu")
    assert all(torch.equal(each, plain.state_dict()[name]) for name, each in tiny_model.state_dict().items())
    found = ws.evaluate(tiny_model, tiny_split, device="cpu", compile=True)
    assert compiled[1] > 1
    assert any("torch.compile" in each for each in found.notes)
    assert found.rows == ws.evaluate(tiny_model, tiny_split, device="cpu").rows


def test_what_cannot_be_compiled_is_one_sentence(monkeypatch, tiny_model):
    def refuse(function, **options):
        def call(*args, **kwargs):
            raise RuntimeError("no C++ compiler. Long advice.")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(InputError, match=r"^compile: Sequential cannot be compiled here \(no C\+\+ compiler\); .*\.$"):
        compile_calls(tiny_model, torch.zeros(2, *SHAPE))
    assert tiny_model(torch.zeros(2, *SHAPE)).shape == (2, 3)
    with pytest.raises(InputError, match="compile: expected a CPU or a CUDA device, got meta"):
        compile_calls(tiny_model, torch.zeros(2, *SHAPE, device="meta"))


def test_compilation_is_refused_where_it_has_no_effect(compiled, tiny_split):
    model = ws.BatchNormAdapted(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192)), prior=1, batch_size=4)
    with pytest.raises(InputError, match="compile does not follow batch normalisation"):
        ws.evaluate(model, tiny_split, device="cpu", compile=True)
    with pytest.raises(InputError, match=r"vectorize: .* need no --compile"):
        check(ws.Experiment(model=ws.MLP()), Engine(compile=True))


def test_compilation_is_refused_where_many_processes_measure(tmp_path, capsys):
    words = "--data toy --data.num_train 60 --data.num_test 40 --model mlp --epochs 1 --device cpu --quiet"
    assert main(["train", *words.split(), "--output", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    assert main(["evaluate", str(run), "--device", "cpu", "--compile", "-j", "2"]) == 2
    assert "--compile needs one process" in capsys.readouterr().err


@pytest.mark.slow
def test_a_really_compiled_model_gives_outputs_and_gradients_up_to_rounding(tiny_model, tiny_split):
    on = [ws.Gaussian(std=0.1), *Question.of(tiny_split, "worst-case", balls=[ws.Ball("linf", 0.05)]).evaluations]
    expected = ws.evaluate(tiny_model, tiny_split, on=on, device="cpu").records()
    found = ws.evaluate(tiny_model, tiny_split, on=on, device="cpu", compile=True).records()
    for own, other in zip(found, expected, strict=True):
        assert own["value"] == pytest.approx(other["value"], abs=0.06)
