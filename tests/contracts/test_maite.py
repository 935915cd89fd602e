"""MAITE's protocols, kept without importing it: corruptions are augmentations, its models and data are measured."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import withstand as ws
from withstand.configuration import discover
from withstand.errors import InputError
from withstand.perturbations.base import Perturbation

protocols = pytest.importorskip("maite.protocols.image_classification")
CLASSES = ("left", "right")


class HalfData:
    """Images whose left or right half is bright, as MAITE has them."""

    def __init__(self, *, tensors: bool = False, named: bool = True) -> None:
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 60, (12, 3, 32, 40), dtype=np.uint8)
        self.labels = generator.integers(0, 2, 12)
        for image, label in zip(self.images, self.labels, strict=True):
            image[:, :, 20 * label : 20 * label + 20] += 150
        self.metadata = {"id": "halves"} | ({"index2label": dict(enumerate(CLASSES))} if named else {})
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row):
        target = np.array([0.9, 0.1] if self.labels[row] == 0 else [0.0, 1.0])
        image = torch.from_numpy(self.images[row]) if self.tensors else self.images[row]
        return image, torch.from_numpy(target) if self.tensors else target, {"id": f"half-{row}"}


class HalfModel:
    """Compares the two halves: logits or probabilities, one vector per image."""

    def __init__(self, *, probabilities: bool = False, tensors: bool = False, names=CLASSES) -> None:
        self.metadata = {"id": "compares halves", "index2label": dict(enumerate(names))}
        self.probabilities, self.tensors, self.names = probabilities, tensors, names

    def __call__(self, batch):
        outputs = []
        for image in batch:
            assert np.asarray(image).shape == (3, 32, 40)
            halves = {"left": image[..., :20].mean() * 9, "right": image[..., 20:].mean() * 9}
            logits = np.array([halves[name] for name in self.names])
            own = np.exp(logits) / np.exp(logits).sum() if self.probabilities else logits - 3
            outputs.append(torch.from_numpy(own) if self.tensors else own)
        return outputs


class Hits:
    """Accuracy as a metric of MAITE."""

    metadata = {"id": "accuracy"}  # noqa: RUF012

    def reset(self) -> None:
        self.hits = []

    def update(self, pred_batch, target_batch, metadata_batch) -> None:
        self.hits += [np.argmax(a) == np.argmax(b) for a, b in zip(pred_batch, target_batch, strict=True)]

    def compute(self):
        return {"accuracy": float(np.mean(self.hits))}


@pytest.mark.parametrize(
    "example", [cls.examples()[0] for cls in discover(Perturbation)], ids=lambda each: each.condition
)
def test_perturbations_are_augmentations_with_an_identifier(example):
    assert isinstance(example, protocols.Augmentation)
    assert example.metadata == {"id": example.condition}


def test_an_augmentation_changes_the_inputs_of_a_batch_and_nothing_else():
    data = HalfData()
    inputs, targets, metadata = (list(each) for each in zip(*(data[row] for row in range(4)), strict=True))
    inputs[1], inputs[2] = torch.from_numpy(inputs[1]), inputs[2].astype(np.float32) / 255
    made, same_targets, same_metadata = ws.Fog(severity=5, pixels=32)((inputs, targets, metadata))
    assert same_targets is targets
    assert same_metadata is metadata
    for before, after in zip(inputs, made, strict=True):
        assert type(after) is type(before)
        assert after.shape == before.shape
        assert after.dtype == before.dtype
        assert not np.array_equal(np.asarray(after), np.asarray(before))
    assert len(made) == 4


def test_maite_itself_runs_a_corruption():
    from maite.tasks import evaluate

    options = {"model": HalfModel(), "metric": Hits(), "dataset": HalfData(), "batch_size": 5}
    clean, _, _ = evaluate(**options)
    noisy, _, augmented = evaluate(
        **options, augmentation=ws.GaussianNoise(severity=5, pixels=32), return_augmented_data=True
    )
    assert clean == {"accuracy": 1.0}
    assert noisy["accuracy"] <= 1
    assert not np.array_equal(augmented[0][0][0], HalfData()[0][0])


@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_models_and_data_are_measured(tensors, probabilities, named):
    data, model = HalfData(tensors=tensors, named=named), HalfModel(probabilities=probabilities, tensors=tensors)
    assert isinstance(data, protocols.Dataset)
    assert isinstance(model, protocols.Model)
    results = ws.evaluate({"halves": model}, data, on=["clean", "contrast/5"], device="cpu")
    rows = {row.condition: row.value for row in results.rows["halves"] if row.measure == "top1"}
    assert rows["clean"] == 1.0
    assert rows["contrast/5"] == 1.0


def test_the_order_of_the_models_classes_is_that_of_its_names():
    results = ws.evaluate(HalfModel(names=CLASSES[::-1]), HalfData(), device="cpu")
    assert next(row.value for row in results.rows["model"] if row.measure == "top1") == 1.0


def test_probabilities_and_logits_are_told_apart_by_each_vector():
    found = {
        kind: ws.evaluate(HalfModel(probabilities=kind), HalfData(), on="calibration", device="cpu").rows["model"]
        for kind in (False, True)
    }
    assert [row.value for row in found[False]] == pytest.approx([row.value for row in found[True]], abs=1e-6)


def test_what_does_not_fit_the_protocols_is_refused():
    class Pairs(HalfData):
        def __getitem__(self, row):
            return super().__getitem__(row)[:2]

    class Boxes(HalfData):
        def __getitem__(self, row):
            image, _, metadata = super().__getitem__(row)
            return image, np.zeros((2, 4)), metadata

    class Short(HalfModel):
        def __call__(self, batch):
            return super().__call__(batch)[:1]

    for model, data, words in (
        (HalfModel(), Pairs(), r"\(input, target, metadata\), got tuple in sample 0"),
        (HalfModel(), Boxes(), r"a number per class, got an array of shape \(2, 4\) in sample 0"),
        (Short(), HalfData(), r"compares halves: expected 2 vectors of one length, got 1"),
    ):
        with pytest.raises(InputError, match=words):
            ws.evaluate(model, data, device="cpu")


def test_samples_have_the_identifiers_of_the_data():
    class Fieldwise(HalfData):
        def get_metadata(self, row):
            return {"id": f"half-{row}"}

    samples = ws.evaluate(HalfModel(), Fieldwise(), on=["clean", "fog"], pixels=32, device="cpu").samples()
    assert "half-3" in samples.to_pandas().astype(str).to_numpy()


def test_maite_is_not_imported():
    script = "import sys, withstand.api; sys.exit('maite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
