"""The two functions for Python users, with their own modules and data sets."""

import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

import withstand as ws
from withstand.data.as_split import as_split


def pairs(num_samples=60, low=0.0, high=1.0):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(num_samples) % 3
    x = torch.rand(num_samples, 1, 8, 8, generator=generator) * 0.3 + y[:, None, None, None] * 0.3
    return TensorDataset(low + x * (high - low), y)


def own_model(num_outputs=3):
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, num_outputs))


def test_an_own_module_and_an_own_data_set_train_and_are_measured():
    model = own_model()
    assert ws.fit(model, pairs(), epochs=30, batch_size=16, optimizer=ws.Adam(lr=0.03), device="cpu") is model
    results = ws.evaluate(model, pairs(), on=["clean", "gaussian_noise/1", ws.Gaussian(std=0.1)], device="cpu")
    values = {row["condition"]: row["value"] for row in results.records() if row["measure"] == "top1"}
    assert list(values) == ["clean", "gaussian_noise/1", "Gaussian std=0.1", "corruptions (1 cell)"]
    assert values["clean"] > 0.9
    assert "Parameters for 32 pixels (the images have 8 x 8)." in results.notes


def images_and_convolutions():
    model = ws.SmallCNN(width=4).build((3, 8, 8), 3, seed=0)
    return model, [(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(k)), k % 3) for k in range(6)]


def attacked(model, data):
    x, y = torch.stack([x for x, _ in data]), torch.tensor([y for _, y in data])
    return ws.attack(model, x, y, ws.Ball("linf", 0.1), budget="quick", device="cpu").points


def learned(model, data):
    ws.fit(model, data, epochs=2, device="cpu")
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def trained_run(folder):
    experiment = ws.Experiment(data=ws.Toy(), model=ws.MLP(hidden=(4,)), training=ws.Training(epochs=1))
    return (ws.run(experiment, folder) / "model.safetensors").read_bytes()


def measured(model, data):
    split = as_split(data, "test", num_classes=3)
    found = ws.WorstCase(balls=(ws.Ball("linf", 0.1),), budget="quick").measure(
        model, split, seed=0, engine=ws.Engine()
    )
    return torch.cat([each["correct"].float() for each in found.columns.values()])


def estimated(cls, data):
    x, y = torch.stack([x for x, _ in data]).flatten(1)[:, :3].numpy(), [y for _, y in data]
    model = cls("adversarial", epochs=2, device="cpu").fit(x, y)
    return torch.tensor([*model.predict(x), model.robust_score(x, y, 0.1)])


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize(
    "work",
    [
        lambda model, data: torch.tensor([row["value"] for row in ws.evaluate(model, data, device="cpu").records()]),
        attacked,
        learned,
        measured,
        lambda _, data: estimated(ws.RobustClassifier, data),
        lambda _, data: estimated(ws.RobustRegressor, data),
    ],
    ids=["evaluate", "attack", "fit", "measure", "classifier", "regressor"],
)
def test_the_mode_of_the_caller_changes_neither_results_nor_models(work, mode):
    expected = work(*images_and_convolutions())
    model, data = images_and_convolutions()
    with mode():
        found = work(model, data)
    assert torch.equal(found, expected)
    assert not any(each.is_inference() for each in model.parameters())
    assert learned(model, data).isfinite().all()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_the_mode_of_the_caller_does_not_change_a_run(mode, tmp_path):
    with mode():
        found = trained_run(tmp_path / "within")
    assert found == trained_run(tmp_path / "outside")


def test_a_running_mean_of_the_weights_ends_in_the_model_itself():
    raw, mean = own_model(), own_model()
    ws.fit(raw, pairs(), epochs=2, device="cpu")
    assert ws.fit(mean, pairs(), epochs=2, ema_decay=0.9, device="cpu") is mean
    assert not torch.equal(raw[1].weight, mean[1].weight)
    assert not mean.training


def test_results_come_in_the_forms_people_want(tmp_path):
    results = ws.evaluate(own_model(), pairs(), on=["clean"], device="cpu")
    fields = ["measure", "condition", "value", "count", "low", "high", "budget", "doubt"]
    assert results.to_polars().columns == ["model", *fields]
    results.to_csv(tmp_path / "rows.csv")
    (header, first, *_) = (tmp_path / "rows.csv").read_text().splitlines()
    assert header == "model,measure,condition,value,count,low,high,budget,doubt"
    row = results.rows["model"][0]
    assert first == f'model,top1,clean,{row.value},60,{row.low},{row.high},"",""'
    assert 0 <= row.low < row.value < row.high <= 1
    assert "| clean " in results.to_markdown()


@pytest.mark.parametrize(
    ("model", "data", "sentence"),
    [
        (own_model(), pairs(high=255.0), r"images must lie in \[0, 1\], got values from .* normalisation belongs"),
        (own_model(2), pairs(), r"data: labels must be 0 to 1, got 2 in sample"),
        (own_model(2), ws.Digits(), "cannot take inputs of shape"),
        (nn.Flatten(), ws.Digits(), r"for 10 classes two inputs must give logits of shape \(2, 10\), got \(2, 3072\)"),
        (nn.Linear(5, 3), pairs(), r"cannot take inputs of shape \(1, 8, 8\)"),
        (own_model(), [1, 2], r"data: the data set must give \(input, label\) pairs, got int"),
        (own_model(), 7, r"expected a data set of withstand or a PyTorch data set of \(input, label\) pairs, got int"),
        (own_model(), [], r"the data set has no samples"),
        (own_model(), [("text", 0)], r"inputs must be tensors, got str"),
    ],
)
def test_what_does_not_fit_is_one_sentence(model, data, sentence):
    with pytest.raises(ws.InputError, match=sentence):
        ws.fit(model, data, epochs=1, device="cpu")


def test_every_public_name_is_there_and_an_unknown_one_is_not():
    for name in ws.__all__:
        assert getattr(ws, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ws.nothing  # noqa: B018


def test_the_benchmark_as_one_word_of_evaluate_stands_for_its_cells():
    benchmark = ws.ImageNetC(severities=(2,), jpeg=True, frost="procedural")
    results = ws.evaluate(own_model(), pairs(), on=["clean", benchmark], device="cpu")
    conditions = {row["condition"] for row in results.records()}
    assert {"clean", "gaussian_noise+jpeg/2", "contrast+jpeg/2"} <= conditions
    assert results.notes[0].startswith("+jpeg: saved as JPEG")


def test_data_that_are_corrupted_already_are_measured_cell_by_cell(tmp_path):
    for name, grey in (("fog/1/a/1.png", 10), ("fog/1/b/2.png", 200), ("snow/2/a/1.png", 10), ("snow/2/b/2.png", 200)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(tmp_path / name)

    class Bright(nn.Module):
        def forward(self, x):
            return torch.stack([0.5 - x.mean((1, 2, 3)), x.mean((1, 2, 3)) - 0.5], dim=1)

    data = ws.CorruptedFolder(root=str(tmp_path), pixels=8)
    results = ws.evaluate(Bright(), data, device="cpu")
    assert {row["condition"]: row["value"] for row in results.records()} == {
        "snow/2": 1.0,
        "fog/1": 1.0,
        "corruptions (2 cells)": 1.0,
    }
    assert results.notes[0] == "Images read from corrupted files."
    assert "fog/2,3,4,5" in results.notes[1]
    only = ws.evaluate(Bright(), data, on="fog", device="cpu")
    assert {row["condition"] for row in only.records()} == {"fog/1", "corruptions (1 cell)"}
    noisy = ws.evaluate(Bright(), data, on=["fog", ws.Gaussian(std=0.1)], device="cpu")
    assert "Gaussian std=0.1 on fog/1" in {row["condition"] for row in noisy.records()}
    with pytest.raises(ws.InputError, match=r"^on: rain is not among the cells of the data"):
        ws.evaluate(Bright(), data, on="rain", device="cpu")


def test_names_that_stand_for_evaluations_are_known(tmp_path):
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(2, 2)
    results = ws.evaluate(model, TensorDataset(x, (x[:, 0] > 0).long()), on=["clean", "by-class"], device="cpu")
    conditions = {row["condition"] for row in results.records()}
    assert conditions == {"clean", "clean by class"}
    with pytest.raises(ws.InputError, match="WorstCase"):
        ws.evaluate(model, TensorDataset(x, (x[:, 0] > 0).long()), on="worst-case", device="cpu")
