"""Notes stand where gradients are masked and nowhere else, and the standard budget gets past the mask."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.calibration import Calibration
from withstand.evaluation.minimal_norm import MinimalNorm
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams
from withstand.measuring.ask import read_results
from withstand.perturbations.attacks.ddn import DDN
from withstand.perturbations.ball import Ball
from withstand.perturbations.identity import Identity
from withstand.perturbations.masking import surrogate as surrogates
from withstand.perturbations.masking.diagnosis import Diagnosis, diagnose
from withstand.perturbations.mixture import Mixture
from withstand.rendering.latex import latex
from withstand.rendering.terminal import render

ENGINE, FEATURES = Engine(), 6
LINF, L2 = Ball("linf", 0.3), Ball("l2", 0.6)
MASKING = "Gradient masking"

MASKS = {
    "softmax": lambda f, x: (300 * f(x)).softmax(1),
    "sigmoids": lambda f, x: (300 * f(x)).sigmoid(),
    "tanh": lambda f, x: (150 * f(x)).tanh(),
    "rounded inputs": lambda f, x: f((x / 0.05).round() * 0.05),
    "rounded logits": lambda f, x: (f(x) / 0.2).round() * 0.2,
    "sine": lambda f, x: f(x) + 2 * (80 * f(x)).sin(),
}
OPEN = {
    "plain": lambda f, x: f(x),
    "confident": lambda f, x: 1000 * f(x),
    "probabilities": lambda f, x: f(x).softmax(1),
    "constant": lambda f, x: 0 * f(x) + torch.tensor([1.0, 0.0, 0.0]),
}


class Behind(nn.Module):
    """A network behind a mask."""

    def __init__(self, network: nn.Module, mask) -> None:
        super().__init__()
        self.network, self.mask = network, mask

    def forward(self, x):
        return self.mask(self.network, x)


def table(seed: int, num: int) -> TensorSplit:
    x = torch.randn(num, FEATURES, generator=torch.Generator().manual_seed(seed))
    y = (x[:, 0] + 0.5 * x[:, 1] * x[:, 2] > 0).long() + (x[:, 3] > 0.8).long()
    return TensorSplit(x, y, classes=("a", "b", "c"), box=None)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    model, split = ws.MLP(hidden=(32, 32)).build((FEATURES,), 3, seed=0), table(1, 400)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(split.x), split.y).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(autouse=True)
def _quick_surrogates(monkeypatch):
    monkeypatch.setattr(surrogates, "TABLE_STEPS", 200)


def measured(model, *balls, budget="standard", samples=None):
    """Return, ball by ball, which samples are right, with the notes."""
    evaluation = WorstCase(balls=balls, budget=budget, num_mean=0)
    split, train = samples or table(2, 40), table(1, 400)
    state = evaluation.prepare(model, train, space=split.space, seed=0, engine=ENGINE)
    rng = RowStreams(0, torch.arange(len(split)))
    with torch.no_grad():
        found = evaluation.outcomes(model, split.x, split.y, space=split.space, state=state, rng=rng)
    notes = evaluation.remarks(found, state=state)
    return [(found[name]["correct"], " ".join(note.text for note in notes[name])) for name in evaluation.conditions]


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
def test_behind_every_mask_the_standard_budget_ends_near_the_truth_and_says_so(network, mask):
    model = Behind(network, MASKS[mask])
    for (bare, nothing), (masked, note) in zip(measured(network, LINF), measured(model, LINF), strict=True):
        assert nothing == ""
        assert MASKING in note
        assert masked.float().mean() <= bare.float().mean() + 0.04
    ((_, note),) = measured(model, LINF, budget="quick")
    assert MASKING in note
    assert "followed" not in note


@pytest.mark.slow
@pytest.mark.parametrize("kind", OPEN)
def test_gradients_that_lead_get_no_note(network, kind):
    model = Behind(network, OPEN[kind])
    balls = (Ball("linf", 1e-6), LINF, L2, Ball("l1", 1.0), Ball("linf", 0.0))
    assert not any(MASKING in note for _, note in measured(model, *balls, budget="quick"))
    assert not any(MASKING in note for _, note in measured(model, L2))


@pytest.mark.slow
def test_probabilities_are_attacked_as_logits(network):
    bare, masked = measured(network, L2), measured(Behind(network, OPEN["probabilities"]), L2)
    for (right, _), (same, note) in zip(bare, masked, strict=True):
        assert torch.equal(right, same)
        assert "probabilities" in note


@pytest.mark.slow
def test_of_a_random_model_the_mean_counts_whatever_the_batch(network):
    model = Behind(network, lambda f, x: f(x + 0.2 * torch.randn_like(x)))
    before = torch.random.get_rng_state()
    ((whole, note),) = measured(model, LINF)
    assert "outputs are random" in note
    assert MASKING not in note
    assert torch.equal(before, torch.random.get_rng_state())
    split = table(2, 40)
    part = split.select(torch.arange(7))
    ((few, _),) = measured(model, LINF, samples=part)
    assert torch.equal(whole[:7], few)


@pytest.mark.slow
def test_what_is_prepared_and_found_is_the_same_again_and_in_every_batch(network, monkeypatch):
    monkeypatch.setattr(surrogates, "TABLE_STEPS", 30)
    model, split, train = Behind(network, MASKS["tanh"]), table(2, 14), table(1, 400)
    evaluation = WorstCase(balls=(LINF,), num_mean=0)
    one, other = (evaluation.prepare(model, train, space=split.space, seed=seed, engine=ENGINE) for seed in (0, 1))
    assert (one.blind, one.stuck, one.misled) == (other.blind, other.stuck, other.misled)
    assert one.surrogate is not None
    assert other.surrogate is not None
    for a, b in zip(one.surrogate.parameters(), other.surrogate.parameters(), strict=True):
        assert torch.equal(a, b)
    found = [
        evaluation.measure(model, split, seed=0, engine=Engine(batch_size=size), fit_on=train).columns
        for size in (5, 64)
    ]
    (a,), (b,) = (each.values() for each in found)
    assert torch.equal(a["correct"], b["correct"])
    assert torch.equal(a["unseen"], b["unseen"])


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_a_given_surrogate_is_followed_in_every_budget(network, budget):
    model = Behind(network, MASKS["softmax"])
    (bare, _), *_ = measured(network, LINF)
    split = table(2, 40)
    given, passes = copy.deepcopy(network), []
    given.register_forward_hook(lambda *_: passes.append(torch.is_grad_enabled()))
    results = ws.evaluate(
        model, split, on=WorstCase(balls=(LINF,), budget=budget, num_mean=0), surrogate=given, device="cpu"
    )
    assert any(passes)
    assert any("the given surrogate" in note for note in results.notes)
    row = next(each for each in results.rows["model"] if each.measure == "worst_case_top1")
    assert row.value == pytest.approx(bare.float().mean().item(), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_a_given_surrogate_breaks_a_model_without_gradients(network, budget):
    def probabilities(x):
        with torch.no_grad():
            return network(torch.from_numpy(x)).softmax(1).double().numpy()

    split, worst = table(2, 20), WorstCase(balls=(LINF,), budget=budget, num_mean=0)
    results = ws.evaluate({"model": probabilities}, split, on=worst, surrogate=network, device="cpu")
    assert any("the given surrogate" in note for note in results.notes)
    assert not any("queries alone" in note for note in results.notes)


def test_what_does_not_follow_a_given_surrogate_says_so(network):
    asked = {"on": WorstCase(balls=(LINF,), attacks=(ws.APGD(steps=2),), num_mean=0), "device": "cpu"}
    (note,) = ws.evaluate(network, table(2, 20), surrogate=network, **asked).notes
    assert "given surrogate is followed only by the attacks of budgets" in note
    assert not ws.evaluate(network, table(2, 20), **asked).notes
    for given, what in (
        (nn.Linear(FEATURES + 1, 3), "^surrogate: "),
        (nn.Linear(FEATURES, 2), "^surrogate: "),
        (7, "got 7"),
    ):
        with pytest.raises(ws.InputError, match=what):
            ws.evaluate(network, table(2, 20), surrogate=given, **asked)
    with pytest.raises(ws.InputError, match=r"^evaluate: surrogate "):
        ws.evaluate(network, table(2, 20), on="clean", surrogate=network, device="cpu")


def test_notes_reach_every_table_and_survive_what_is_kept(network, tmp_path):
    model, split = Behind(network, MASKS["rounded logits"]), table(2, 40)
    asked = {"on": WorstCase(balls=(LINF,), budget="quick", num_mean=0), "keep": tmp_path / "kept", "device": "cpu"}
    results = ws.evaluate(model, split, **asked)
    again = ws.evaluate(model, split, **asked)
    (folder,) = (tmp_path / "kept").iterdir()
    for each in (results, again, read_results(folder)):
        assert any(MASKING in note for note in each.notes)
        assert all(MASKING in " ".join(shown.split()) for shown in map(render, each.tables()))
        assert all(MASKING in " ".join(shown.split()) for shown in map(latex, each.tables()))
        assert MASKING in each.to_markdown()
    assert MASKING in " ".join(json.loads((folder / "notes.json").read_text()))
    page = results.report(tmp_path / "report")
    assert MASKING in page.read_text()


def test_notes_claim_other_gradients_only_where_attacks_followed_them():
    open_, masked = Diagnosis(count=64), Diagnosis(count=64, stuck=0.5)
    learned = replace(masked, surrogate=nn.Identity())
    for diagnosis, reacts, words in (
        (open_, True, ()),  # only random points broke samples
        (masked, False, ()),
        (masked, True, ("smoothed",)),
        (learned, True, ("surrogate", "smoothed")),
    ):
        (note,) = diagnosis.notes(LINF, unseen=0.1, reacts=reacts)
        assert note.is_doubt
        done, advice = note.text.split(". ")
        assert MASKING in done
        assert [word for word in ("surrogate", "smoothed") if word in done] == list(words)
        assert ("standard" in advice) is not reacts


PGD = ws.PGD(ball=LINF, steps=5)
GRADIENTS = {
    "pgd": Accuracy(perturbations=(Identity(), ws.Gaussian(std=0.1), PGD)),
    "worst of several": Accuracy(perturbations=(Identity(), PGD), num_draws=2, over_draws="worst"),
    "within a mixture": Accuracy(perturbations=(Identity(), Mixture(parts=(Identity(), PGD)))),
    "attack": Accuracy(perturbations=(Identity(), ws.APGD(ball=LINF, steps=5))),
    "calibration": Calibration(perturbations=(Identity(), PGD)),
    "distance": MinimalNorm(attacks=(DDN(ball=L2, steps=10),)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_every_evaluation_that_follows_gradients_notices_masks(network, name):
    models = {mask: Behind(network, MASKS[mask]) for mask in ("rounded inputs", "tanh")}
    models |= {kind: Behind(network, OPEN[kind]) for kind in ("plain", "confident", "probabilities")}
    results = ws.evaluate(models, table(2, 100), on=GRADIENTS[name], device="cpu")
    attacked = GRADIENTS[name].conditions[-1]
    for model, rows in results.rows.items():
        doubtful = {(row.condition, row.measure) for row in rows if MASKING in row.doubt}
        wanted = {(row.condition, row.measure) for row in rows if row.condition == attacked}
        wanted = {(where, measure) for where, measure in wanted if results.measures[measure].better}
        assert wanted
        assert doubtful == (wanted if model in MASKS else set())
    assert all(MASKING in " ".join(shown.split()) for shown in map(render, results.tables()))


@pytest.mark.parametrize("name", ["pgd", "distance"])
def test_attacks_of_every_evaluation_take_the_logarithm_of_probabilities(network, name):
    models = {"logits": network, "probabilities": Behind(network, lambda f, x: (2 * f(x)).softmax(1))}
    results = ws.evaluate(models, table(2, 100), on=GRADIENTS[name], device="cpu")
    bare, same = ([row.value for row in rows] for rows in results.rows.values())
    assert same == pytest.approx(bare, rel=0.01)


def test_the_mean_over_draws_of_a_random_model_is_attacked_by_every_evaluation(network):
    model, split = Behind(network, lambda f, x: f(x + 0.2 * torch.randn_like(x))), table(2, 20)
    for evaluation in (Accuracy(perturbations=(PGD,)), GRADIENTS["distance"]):
        found = [evaluation.measure(model, split, seed=0, engine=Engine(batch_size=size)) for size in (7, 64)]
        (a,), (b,) = (each.columns.values() for each in found)
        for column in a:
            torch.testing.assert_close(a[column], b[column])
        ((note,),) = found[0].notes.values()
        assert "outputs are random" in note.text


def test_fixed_features_do_not_hide_that_gradients_lead(network):
    split = table(1, 64)
    found = diagnose(network, split.x, balls=(Ball("linf", (0.3, 0.0, 0.3, 0.0, 0.3, 0.0)),), space=split.space)
    assert not any(map(found.is_masked, found.misled))
