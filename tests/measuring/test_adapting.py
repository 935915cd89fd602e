"""Models that adapt to their batch are measured in batches of one size, in an order that the seed gives."""

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.cli import main
from withstand.data.shuffled import Shuffled
from withstand.errors import InputError


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    x, y = next(iter(ws.Digits().load("train").batches([torch.arange(512)])))[:2]
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    model(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


def adapted(model, **sizes):
    return ws.BatchNormAdapted(model, **{"prior": 4, "batch_size": 32} | sizes)


def predictions(results, condition="clean"):
    (table,) = results.tables_of_outcomes.values()
    return table.of(condition).frame["prediction"].to_list()


def test_predictions_are_those_for_the_batches_of_the_order(model):
    split = ws.Digits().load("test")
    found = predictions(ws.evaluate(adapted(model), ws.Digits(), seed=3, batch_size=7))
    order = Shuffled(split, seed=3).order
    expected = torch.empty(len(split), dtype=torch.int64)
    with torch.no_grad():
        for rows in order.split(32):
            expected[rows] = adapted(model).eval()(next(iter(split.batches([rows])))[0]).argmax(1)
    assert sorted(order.tolist()) == list(range(len(split)))
    assert found == expected.tolist()
    assert found != predictions(ws.evaluate(model, ws.Digits()))


def test_every_condition_and_every_run_has_the_same_batches(model, tmp_path):
    both = ws.evaluate(adapted(model), ws.Digits(), on=["clean", "gaussian_noise/3"], keep=tmp_path)
    assert predictions(both) == predictions(ws.evaluate(adapted(model), ws.Digits()))
    again = ws.evaluate(adapted(model), ws.Digits(), on=["gaussian_noise/3", "fog/1"], keep=tmp_path)
    assert predictions(again, "gaussian_noise/3") == predictions(both, "gaussian_noise/3")
    assert len(list(tmp_path.glob("model-adapted-*"))) == 1


@pytest.mark.parametrize("sizes", [{"prior": 5}, {"batch_size": 31}])
def test_prior_and_batch_size_identify_the_outcomes(model, tmp_path, sizes):
    ws.evaluate(adapted(model), ws.Digits(), keep=tmp_path)
    ws.evaluate(adapted(model, **sizes), ws.Digits(), keep=tmp_path)
    ws.evaluate(model, ws.Digits(), keep=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_name_and_a_note_say_that_it_is_adapted(model):
    given = {"small": adapted(model), "large-adapted": adapted(model), "adapted net": adapted(model)}
    results = ws.evaluate(given, ws.Digits())
    assert list(results.rows) == ["small-adapted", "large-adapted", "adapted net-adapted"]
    assert any("batch of 32" in each and "4 samples" in each for each in results.notes)


def test_no_model_takes_the_name_of_another(model):
    with pytest.raises(InputError, match="different names"):
        ws.evaluate({"small-adapted": model, "small": adapted(model)}, ws.Digits())


@pytest.mark.parametrize(
    "on",
    [
        ws.WorstCase(balls=(ws.Ball("linf", 0.1),)),
        ws.PGD(ball=ws.Ball("linf", 0.1)),
        ws.Mixture(parts=(ws.Identity(), ws.PGD(ball=ws.Ball("linf", 0.1)))),
        ws.Accuracy(perturbations=(ws.Gaussian(),), num_draws=2),
        "calibration",
    ],
    ids=lambda each: type(each).__name__,
)
def test_conditions_that_follow_the_model_are_refused(model, on):
    with pytest.raises(InputError, match="adapts to its batch"):
        ws.evaluate(adapted(model), ws.Digits(), on=on)


def test_the_option_needs_a_batch_size_and_layers_to_adapt(tmp_path, capsys):
    options = ["--data", "digits", "--output", str(tmp_path), "--quiet"]
    training = ["train", *options, "--epochs", "1", "--name"]
    assert main([*training, "small", "--model.width", "2"]) == 0
    assert main([*training, "plain", "--model", "wide-res-net", "--model.depth", "10"]) == 0
    (small,) = tmp_path.glob("small-*")
    (run,) = tmp_path.glob("plain-*")
    capsys.readouterr()
    assert main(["evaluate", str(run), "--adapt", "16", "--output", str(tmp_path)]) == 2
    assert "batch size" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--adapt", "-1", "-b", "16", "--output", str(tmp_path)]) == 2
    assert "--adapt" in capsys.readouterr().err
    assert main(["evaluate", str(small), "--adapt", "16", "-b", "16", "--output", str(tmp_path)]) == 2
    assert "batch normalisation" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--adapt", "16", "-b", "16", "--output", str(tmp_path)]) == 0
    assert "plain-adapted" in capsys.readouterr().out
    assert len(list((tmp_path / "evaluations").glob("plain-adapted-*"))) == 1
