from dataclasses import dataclass

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy, rank
from withstand.models.frozen import evaluating
from withstand.models.small_cnn import SmallCNN
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.corruptions.imagenet_c.fog import Fog
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC

NAN, INF = float("nan"), float("inf")


def features(x, y, num_classes):
    return TensorSplit(x, y, classes=tuple(map(str, range(num_classes))), box=None)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_k_agrees_with_scikit_learn(k, measured):
    generator = torch.Generator().manual_seed(k)
    logits, y = torch.randn((200, 10), generator=generator), torch.randint(0, 10, (200,), generator=generator)
    ours = (rank(logits[None], y)[0] < k).float().mean().item()
    theirs = top_k_accuracy_score(y.numpy(), logits.numpy(), k=k, labels=range(10))
    assert ours == pytest.approx(theirs, abs=1e-6)
    rows = measured(Accuracy(top=(k,)), nn.Identity(), features(logits, y, 10))
    assert rows[f"top{k}", "clean"].value == pytest.approx(theirs, abs=1e-6)


def test_a_tie_is_not_a_hit():
    logits = torch.tensor([[[1.0, 1.0, 0.0]]])
    assert rank(logits, torch.tensor([0])).item() == 1
    assert rank(logits, torch.tensor([1])).item() == 1
    assert rank(logits, torch.tensor([2])).item() == 2
    assert rank(torch.zeros(1, 1, 3), torch.tensor([0])).item() == 2


@pytest.mark.parametrize(
    ("logits", "least"),
    [
        ((NAN, 0.0, 1.0), 3),
        ((NAN, NAN, NAN), 3),
        ((2.0, NAN, 0.0), 1),
        ((INF, 0.0, 0.0), 0),
        ((-INF, 0.0, 1.0), 2),
    ],
    ids=str,
)
def test_a_logit_that_is_no_number_is_never_a_hit(logits, least):
    assert rank(torch.tensor([[logits]]), torch.tensor([0])).item() >= least


def test_a_broken_model_has_accuracy_zero(measured):
    split, model = features(torch.eye(3).repeat(3, 1), torch.arange(9) % 3, 3), nn.Linear(3, 3)
    nn.init.constant_(model.weight, NAN)
    rows = measured(Accuracy(top=(1, 2)), model, split)
    assert rows["top1", "clean"].value == rows["top2", "clean"].value == 0


def test_the_worst_of_several_draws_counts_less_than_their_mean(measured):
    generator = torch.Generator().manual_seed(0)
    x = torch.eye(3)[torch.arange(60) % 3] + 0.1 * torch.randn((60, 3), generator=generator)
    split = features(x, torch.arange(60) % 3, 3)
    noise = Gaussian(std=0.6)
    mean = measured(Accuracy(perturbations=(noise,), num_draws=4, top=(1,)), nn.Identity(), split)
    worst = measured(Accuracy(perturbations=(noise,), num_draws=4, top=(1,), over_draws="worst"), nn.Identity(), split)
    mean, worst = mean["top1", noise.condition], worst["worst_top1", noise.condition]
    assert mean.count == worst.count == 60
    assert 0 < worst.value < mean.value < 1
    assert 60 * worst.value == pytest.approx(round(60 * worst.value))
    assert 240 * mean.value == pytest.approx(round(240 * mean.value))


def test_without_noise_worst_and_mean_are_the_same(measured):
    x = torch.randn((20, 3), generator=torch.Generator().manual_seed(0))
    split = features(x, torch.arange(20) % 3, 3)
    mean = measured(Accuracy(num_draws=3, top=(1,)), nn.Identity(), split)["top1", "clean"]
    worst = measured(Accuracy(num_draws=3, top=(1,), over_draws="worst"), nn.Identity(), split)["worst_top1", "clean"]
    right = (x.argmax(1) == torch.arange(20) % 3).sum().item()
    assert mean.value == pytest.approx(right / 20)
    assert worst.value == right / 20


def test_a_k_above_the_number_of_classes_is_left_out(measured):
    split = features(torch.eye(3), torch.arange(3), 3)
    assert set(measured(Accuracy(), nn.Identity(), split)) == {("top1", "clean")}


def test_every_model_meets_the_same_noise():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    split = features(torch.zeros(5, 3), torch.arange(5) % 3, 3)
    evaluation = Accuracy(perturbations=(Identity(), Gaussian()), top=(1,))
    for model in (Spy(), nn.Sequential(Spy(), nn.Linear(3, 3))):
        evaluation.measure(model, split, seed=0, engine=Engine())
    assert torch.equal(seen[1], seen[3])
    assert seen[1].any()
    # Other conditions and seeds meet other noise.
    strengths = Accuracy(perturbations=(Gaussian(), Gaussian(std=0.6)), top=(1,))
    strengths.measure(Spy(), split, seed=0, engine=Engine())
    evaluation.measure(Spy(), split, seed=1, engine=Engine())
    assert torch.equal(seen[4], seen[1])
    assert not torch.allclose(seen[5] / 0.6, seen[4] / 0.5)
    assert not torch.equal(seen[7], seen[1])


def test_a_model_is_put_back_into_its_modes_even_after_an_error():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout())
    model[1].eval()

    def fail():
        with evaluating(model):
            assert not any(each.training for each in model.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [each.training for each in model.modules()] == [True, True, False]


def test_a_condition_twice_is_refused():
    with pytest.raises(InputError, match=r"^Accuracy: perturbations must .*\('clean', 'clean'\)"):
        Accuracy(perturbations=(Identity(), Identity()))


def test_the_mean_over_draws_respects_their_weights(measured):
    # The draws of every sample: right with weight 1 / (1 + e^-50), wrong with the rest.
    @dataclass(frozen=True, kw_only=True)
    class Weighted(Perturbation):
        def draw(self, x, y, model, *, space, num_draws, rng):
            return Draws(torch.stack([x, -x]), torch.tensor([0.0, -50.0])[:, None].expand(2, len(x)))

        @classmethod
        def examples(cls):
            return [cls()]

    split = features(torch.eye(3), torch.arange(3), 3)
    rows = measured(Accuracy(perturbations=(Weighted(),), num_draws=2, top=(1,)), nn.Identity(), split)
    assert rows["top1", "Weighted"].value == pytest.approx(1.0)


def test_a_suite_stands_for_its_corruptions_with_the_parameters_for_the_images(tiny_split):
    suite = ImageNetC(severities=(1, 3), frost="procedural")
    evaluation = Accuracy(perturbations=(Identity(), suite), top=(1,)).adapted(tiny_split)
    assert len(set(evaluation.conditions)) == 1 + 2 * 15
    assert Fog(severity=3, pixels=32) in evaluation.perturbations
    model = SmallCNN(width=2).build(tiny_split.shape, 3, seed=0)
    found = evaluation.measure(model, tiny_split, seed=0, engine=Engine())
    assert tuple(found.columns) == evaluation.conditions
    alone = Accuracy(perturbations=(Fog(severity=3, pixels=32),), top=(1,))
    alone = alone.measure(model, tiny_split, seed=0, engine=Engine())
    for name, values in alone.columns["fog/3"].items():
        assert torch.equal(values, found.columns["fog/3"][name])


def test_an_output_that_is_not_finite_is_no_prediction():
    class Divide(nn.Module):
        def forward(self, x):
            return x / x[:, :1]

    x = torch.tensor([[1.0, -2.0], [0.0, 0.0], [0.0, 1.0]])  # of which the last two become NaN and infinity
    for evaluation in (Accuracy(top=(1,)), Accuracy(top=(1,), num_draws=2), Accuracy(num_draws=2, over_draws="worst")):
        found = evaluation.measure(Divide(), features(x, torch.zeros(3).long(), 2), seed=0, engine=Engine())
        assert found.columns["clean"]["prediction"].tolist() == [0, -1, -1]


def test_numbers_that_no_data_has_are_refused(tiny_split):
    with pytest.raises(InputError, match=r"^Accuracy: top must hold a number up to 3 classes, got \(5,\)\.$"):
        Accuracy(top=(5,)).adapted(tiny_split)
