"""Many trials in one batch, from experiments to the folders of their runs."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import withstand.stacked.trials
from withstand.cli import main
from withstand.data.images.digits import Digits
from withstand.data.tables.table import Table
from withstand.data.tables.toy import Toy
from withstand.errors import InputError, TrainingError
from withstand.experiment import Experiment, build_model, run
from withstand.models.mlp import MLP
from withstand.models.small_cnn import SmallCNN
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.corruptions.imagenet_c.fog import Fog
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.uniform import Uniform
from withstand.stacked.kinds import with_radii
from withstand.stacked.trials import run_together
from withstand.study.measures.row import read_rows
from withstand.training.optimizers import SGD
from withstand.training.settings import Training

FILES = [
    "checkpoints",
    "config.yaml",
    "history.json",
    "lock",
    "model.safetensors",
    "notes.json",
    "outcomes",
    "provenance.json",
    "rows.jsonl",
]
MOONS = Experiment(
    data=Toy(num_train=300, num_test=200),
    model=MLP(hidden=(16,)),
    training=Training(epochs=2, batch_size=32, optimizer=SGD(lr=0.05), clip_norm=2.0),
    name="moons",
)


def seeds_of(experiment, count):
    return [replace(experiment, seed=seed) for seed in range(count)]


def assert_same_runs(folders, others):
    for one, other in zip(folders, others, strict=True):
        assert one.name == other.name
        assert sorted(each.name for each in one.iterdir()) == FILES
        assert sorted(each.name for each in other.iterdir()) == FILES
        assert (one / "config.yaml").read_bytes() == (other / "config.yaml").read_bytes()
        weights, other_weights = (load_file(each / "model.safetensors") for each in (one, other))
        assert list(weights) == list(other_weights)
        for name, each in weights.items():
            torch.testing.assert_close(each, other_weights[name], rtol=1e-4, atol=1e-6)
        assert read_rows(one / "rows.jsonl") == read_rows(other / "rows.jsonl")
        for entry, expected in zip(
            *(json.loads((each / "history.json").read_text()) for each in (one, other)), strict=True
        ):
            assert entry == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("at_once", [None, 2])
def test_folders_are_those_of_single_runs(tmp_path, at_once):
    experiments = seeds_of(MOONS, 3)
    together = run_together(experiments, tmp_path / "together", at_once=at_once)
    assert_same_runs(together, [run(each, tmp_path / "single") for each in experiments])


BALLS = {
    "Uniform linf": PerturbedRisk(perturbation=Uniform()),
    "Uniform l1": PerturbedRisk(perturbation=Uniform(ball=Ball("l1"))),
    "Sobol l2": PerturbedRisk(perturbation=Sobol(ball=Ball("l2")), num_draws=3, fold=SoftMaximum(temperature=0.1)),
    "PGD": PerturbedRisk(perturbation=PGD(steps=3)),
    "Langevin": PerturbedRisk(perturbation=Langevin(burn_in=2), num_draws=2),
    "Vertices": PerturbedRisk(perturbation=Vertices(), num_draws=4, fold=SoftMaximum(temperature=0.0)),
    "Tilted": PerturbedRisk(perturbation=Tilted(), num_draws=4, fold=SoftMaximum(temperature=0.01)),
    "Mixture": PerturbedRisk(perturbation=Mixture(parts=(PGD(steps=2), Uniform(ball=Ball(radius=0.7))))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BALLS)
def test_radii_share_a_batch_and_equal_single_runs(tmp_path, name):
    experiments = [
        replace(MOONS, seed=seed, objective=with_radii(BALLS[name], lambda number, r=radius: r * (1 + number)))
        for seed, radius in ((4, 0.1), (9, 0.1), (4, 0.3), (5, 0.0))
    ]
    said = []
    together = run_together(experiments, tmp_path / "together", say=said.append)
    assert said[0].startswith("4 trials together")
    assert_same_runs(together, [run(each, tmp_path / "single") for each in experiments])


def test_radii_share_a_batch_of_images_and_of_tables_with_fixed_features(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,c,y\n" + "".join(f"{k % 7},{k % 5},{k % 3},{k % 2}\n" for k in range(60)))
    sources = [
        Experiment(data=Digits(test=0.1), model=MLP(hidden=(12,)), training=Training(epochs=1, batch_size=128)),
        Experiment(
            data=Table(path=str(table), target="y", movable=("a", "c")),
            model=MLP(hidden=(8,)),
            training=Training(epochs=1, batch_size=16),
        ),
    ]
    for source in sources:
        experiments = [
            replace(source, objective=PerturbedRisk(perturbation=PGD(ball=Ball("l2", radius), steps=2)))
            for radius in (0.5, 1.5)
        ]
        said = []
        together = run_together(experiments, tmp_path / "together", say=said.append)
        assert said[0].startswith("2 trials together")
        assert_same_runs(together, [run(each, tmp_path / "single") for each in experiments])


def test_experiments_of_several_kinds_are_sorted_out(tmp_path):
    kinds = [PerturbedRisk(perturbation=Uniform(ball=Ball(norm, 0.1))) for norm in ("linf", "l2")]
    experiments = [
        replace(MOONS, seed=seed, objective=objective, name=f"moons{seed}") for seed in (4, 9) for objective in kinds
    ]
    together = run_together([*experiments, experiments[0]], tmp_path / "together")
    assert together[-1] == together[0]
    assert_same_runs(together[:-1], [run(each, tmp_path / "single") for each in experiments])


def test_images_are_trained_on_as_vectors(tmp_path):
    digits = Experiment(
        data=Digits(test=0.1), model=MLP(hidden=(12,)), training=Training(epochs=1, batch_size=128, keep="best")
    )
    experiments = seeds_of(digits, 2)
    together = run_together(experiments, tmp_path / "together")
    assert_same_runs(together, [run(each, tmp_path / "single") for each in experiments])


def test_finished_runs_are_skipped_whoever_finished_them(tmp_path):
    experiments = seeds_of(MOONS, 3)
    single = run(experiments[1], tmp_path)
    before = {each: each.stat().st_mtime_ns for each in single.iterdir()}
    said = []
    folders = run_together(experiments, tmp_path, say=said.append)
    assert said[0] == "1 of 3 runs are finished already."
    assert said[1].startswith("2 trials together")
    assert {each: each.stat().st_mtime_ns for each in single.iterdir()} == before
    said.clear()
    for each in experiments:
        run(each, tmp_path, say=said.append)
    assert said == [f"{folder} is finished already." for folder in folders]
    said.clear()
    assert run_together(experiments, tmp_path, say=said.append) == folders
    assert said == ["3 of 3 runs are finished already."]


def test_unfinished_runs_at_different_steps_are_continued(tmp_path):
    experiments = seeds_of(MOONS, 3)
    expected = [run(each, tmp_path / "single") for each in experiments]
    # The first run was killed before its rows were written; the others were not begun.
    unfinished = run(experiments[0], tmp_path / "together")
    (unfinished / "rows.jsonl").unlink()
    said = []
    assert_same_runs(run_together(experiments, tmp_path / "together", say=said.append), expected)
    assert sorted(each.partition(":")[0] for each in said if "training" in each) == [
        "1 trials together",
        "2 trials together",
    ]


def test_a_diverging_trial_is_named_and_the_others_are_finished(tmp_path, monkeypatch):
    def broken(experiment, split, engine):
        model = build_model(experiment, split, engine)
        if experiment.seed == 1:
            with torch.no_grad():
                model.get_submodule("network")[0].weight.fill_(torch.nan)
        return model

    experiments = seeds_of(MOONS, 3)
    with monkeypatch.context() as patch:
        patch.setattr(withstand.stacked.trials, "build_model", broken)
        with pytest.raises(TrainingError, match=r"^1 of 3 trials failed: .*non-finite loss \(nan\) at epoch 1, step 1"):
            run_together(experiments, tmp_path)
    folders = [each.folder(tmp_path) for each in experiments]
    assert [(folder / "rows.jsonl").exists() for folder in folders] == [True, False, True]
    assert not (folders[1] / "model.safetensors").exists()
    assert not (folders[1] / "checkpoints").exists()
    assert_same_runs(run_together(experiments, tmp_path), [run(each, tmp_path / "single") for each in experiments])


REFUSED = {
    "got SmallCNN": {"model": SmallCNN()},
    "got AdversarialNoise": {"objective": AdversarialNoise()},
    "the mode exact, got two_pass": {"objective": PerturbedRisk(mode="two_pass", num_draws=4)},
    "got Fog": {"objective": PerturbedRisk(perturbation=Mixture(parts=(Fog(severity=1),)))},
    "PGD without until_wrong": {"objective": PerturbedRisk(perturbation=PGD(until_wrong=True))},
    "no ema_decay, got 0.9": {"training": Training(ema_decay=0.9)},
    "no swa_start, got 0.5": {"training": Training(swa_start=0.5)},
    "no reestimate_batch_norm, got True": {"training": Training(reestimate_batch_norm=True)},
    "no patience, got 3": {"training": Training(patience=3)},
    "amp no, got bf16": {"training": Training(amp="bf16")},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_trained_in_one_batch_is_refused_before_anything_is_written(tmp_path, sentence):
    experiments = [*seeds_of(MOONS, 2), replace(MOONS, **REFUSED[sentence])]
    with pytest.raises(InputError, match=sentence):
        run_together(experiments, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_command_line_trains_seeds_together_or_one_by_one(tmp_path, capsys):
    words = ["train", "--data=toy", "--data.num_train=100", "--model=mlp", "--epochs=1", "--quiet", "--seed=5"]
    words += [f"--output={tmp_path}", "--format=json"]
    assert main([*words, "--seeds=3", "--vectorize"]) == 0
    together = json.loads(capsys.readouterr().out)
    assert main([*words, "--seeds=3"]) == 0
    assert json.loads(capsys.readouterr().out) == together
    assert len(together["runs"]) == 3
    assert main([*words, "--seeds=2", "--vectorize", "--model=small-cnn"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*words, "--seeds=0"]) == 2
    assert main([*words, "--seeds=2", "--track"]) == 2
