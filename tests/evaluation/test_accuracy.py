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
from withstand.perturbations.corruptions.fog import Fog
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC

NAN, INF = float("nan"), float("inf")


def measure(evaluation, model, split, seed=0):
    rows = evaluation.measure(model, split, seed=seed, engine=Engine(batch_size=7))
    return {(row.measure, row.condition): row for row in rows}


def features(x, y, num_classes):
    return TensorSplit(x, y, classes=tuple(map(str, range(num_classes))), box=None)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_k_agrees_with_scikit_learn(k):
    generator = torch.Generator().manual_seed(k)
    logits, y = torch.randn((200, 10), generator=generator), torch.randint(0, 10, (200,), generator=generator)
    ours = (rank(logits[None], y)[0] < k).float().mean().item()
    theirs = top_k_accuracy_score(y.numpy(), logits.numpy(), k=k, labels=range(10))
    assert ours == pytest.approx(theirs, abs=1e-6)
    rows = measure(Accuracy(top=(k,)), nn.Identity(), features(logits, y, 10))
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


def test_a_broken_model_has_accuracy_zero():
    split, model = features(torch.eye(3).repeat(3, 1), torch.arange(9) % 3, 3), nn.Linear(3, 3)
    nn.init.constant_(model.weight, NAN)
    assert measure(Accuracy(top=(1, 2)), model, split)["top2", "clean"].total == 0


def test_the_worst_of_several_draws_counts_less_than_their_mean():
    generator = torch.Generator().manual_seed(0)
    x = torch.eye(3)[torch.arange(60) % 3] + 0.1 * torch.randn((60, 3), generator=generator)
    split = features(x, torch.arange(60) % 3, 3)
    noise = Gaussian(std=0.6)
    mean = measure(Accuracy(perturbations=(noise,), num_draws=4, top=(1,)), nn.Identity(), split)
    worst = measure(Accuracy(perturbations=(noise,), num_draws=4, top=(1,), fold="worst"), nn.Identity(), split)
    mean, worst = mean["top1", noise.condition], worst["worst_top1", noise.condition]
    assert mean.count == worst.count == 60
    assert 0 < worst.total < mean.total < 60
    assert worst.total == int(worst.total)
    assert mean.total * 4 == int(mean.total * 4)


def test_without_noise_worst_and_mean_are_the_same():
    x = torch.randn((20, 3), generator=torch.Generator().manual_seed(0))
    split = features(x, torch.arange(20) % 3, 3)
    mean = measure(Accuracy(num_draws=3, top=(1,)), nn.Identity(), split)["top1", "clean"]
    worst = measure(Accuracy(num_draws=3, top=(1,), fold="worst"), nn.Identity(), split)["worst_top1", "clean"]
    assert mean.total == worst.total == (x.argmax(1) == torch.arange(20) % 3).sum().item()


def test_a_k_above_the_number_of_classes_is_left_out():
    split = features(torch.eye(3), torch.arange(3), 3)
    assert set(measure(Accuracy(), nn.Identity(), split)) == {("top1", "clean")}


def test_every_model_meets_the_same_noise():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    split = features(torch.zeros(5, 3), torch.arange(5) % 3, 3)
    evaluation = Accuracy(perturbations=(Identity(), Gaussian()), top=(1,))
    for model in (Spy(), nn.Sequential(Spy(), nn.Linear(3, 3))):
        measure(evaluation, model, split)
    assert torch.equal(seen[1], seen[3])
    assert seen[1].any()
    # Other conditions and seeds meet other noise.
    measure(Accuracy(perturbations=(Gaussian(), Gaussian(std=0.6)), top=(1,)), Spy(), split)
    measure(evaluation, Spy(), split, seed=1)
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


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"num_draws": 0}, "Accuracy: num_draws must be at least 1, got 0."),
        ({"top": ()}, "Accuracy: top must be numbers of at least 1, got ()."),
        ({"top": (1, 0)}, "Accuracy: top must be numbers of at least 1, got (1, 0)."),
        (
            {"perturbations": (Identity(), Identity())},
            "Accuracy: perturbations must differ from each other, got one twice.",
        ),
    ],
    ids=str,
)
def test_fields_out_of_range_are_refused(fields, sentence):
    with pytest.raises(InputError) as caught:
        Accuracy(**fields)
    assert str(caught.value) == sentence


def test_the_mean_over_draws_respects_their_weights():
    # The draws of every sample: right with weight 1 / (1 + e^-50), wrong with the rest.
    @dataclass(frozen=True, kw_only=True)
    class Weighted(Perturbation):
        def draw(self, x, y, model, *, num_draws, rng):
            return Draws(torch.stack([x, -x]), torch.tensor([0.0, -50.0])[:, None].expand(2, len(x)))

        @classmethod
        def examples(cls):
            return [cls()]

    split = features(torch.eye(3), torch.arange(3), 3)
    rows = measure(Accuracy(perturbations=(Weighted(),), num_draws=2, top=(1,)), nn.Identity(), split)
    assert rows["top1", "Weighted"].value == pytest.approx(1.0)


def test_a_suite_stands_for_its_corruptions(tiny_split):
    suite = ImageNetC(severities=(1, 3), pixels=32, frost="procedural")
    evaluation = Accuracy(perturbations=(Identity(), suite), top=(1,))
    model = SmallCNN(width=2).build(tiny_split.shape, 3, seed=0).eval()
    rows = list(evaluation.measure(model, tiny_split, seed=0, engine=Engine()))
    assert tuple(row.condition for row in rows) == evaluation.conditions
    assert len(rows) == 1 + 2 * 15
    (alone,) = Accuracy(perturbations=(Fog(severity=3, pixels=32),), top=(1,)).measure(
        model, tiny_split, seed=0, engine=Engine()
    )
    assert alone in rows
    with pytest.raises(InputError, match="ImageNetC needs pixels"):
        Accuracy(perturbations=(ImageNetC(),))
