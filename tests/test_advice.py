"""Errors say what was wrong in the words of the call, and their advice works when it is followed."""

import re
import shlex
import shutil

import numpy as np
import pytest
import torch

import withstand as ws
from withstand.cli import main
from withstand.compat import imagecorruptions, imagenet_c
from withstand.data.as_split import as_split

X = np.linspace(-1, 1, 40).reshape(20, 2)
Y = np.arange(20) % 2
IMAGE = np.zeros((32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    experiment = ws.Experiment(
        data=ws.Toy(num_train=40, num_test=20), model=ws.MLP(hidden=(4,)), training=ws.Training(epochs=1)
    )
    return ws.run(experiment, tmp_path_factory.mktemp("runs"))


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / finished.name)


def told(words, capsys):
    """Return exit code and the last line that a command wrote to standard error."""
    code = main([str(each) for each in words])
    return code, (capsys.readouterr().err.splitlines() or [""])[-1]


def follow(sentence, capsys):
    """Remove what a sentence says, and run the command that it suggests."""
    command = re.search(r"`withstand (.*)`", sentence)
    assert command
    return told(shlex.split(command[1]), capsys)[0]


# Damaged runs


def test_a_run_without_its_model_can_be_evaluated_after_what_the_error_says(folder, capsys):
    (folder / "model.safetensors").unlink()
    code, sentence = told(["evaluate", folder], capsys)
    assert code == 2
    assert "remove its rows.jsonl" in sentence
    (folder / "rows.jsonl").unlink()
    assert follow(sentence, capsys) == 0
    assert told(["evaluate", folder, "--on", "noise"], capsys)[0] == 0


@pytest.mark.parametrize("damage", ["missing", "{"])
def test_damaged_outcomes_are_measured_again_after_what_the_error_says(damage, folder, capsys):
    about = folder / "outcomes" / "outcomes.json"
    about.unlink() if damage == "missing" else about.write_text(damage)
    code, sentence = told(["train", "--resume", folder], capsys)
    assert code == 2
    assert f"remove {folder / 'outcomes'} and the rows.jsonl beside it" in sentence
    shutil.rmtree(folder / "outcomes")
    (folder / "rows.jsonl").unlink()
    assert told(["train", "--resume", folder], capsys)[0] == 0
    assert told(["train", "--resume", folder], capsys)[0] == 0  # it was the command that had failed


@pytest.mark.parametrize("name", ["model.safetensors", "provenance.json", "history.json", "notes.json", "outcomes"])
def test_any_file_of_a_run_is_made_again_as_the_documentation_says(name, folder, capsys):
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "rows.jsonl").unlink()
    shutil.rmtree(folder / "outcomes", ignore_errors=True)
    assert told(["train", "--resume", folder], capsys)[0] == 0
    assert path.exists()
    assert told(["evaluate", folder, "--on", "noise"], capsys)[0] == 0


# Wrong command lines


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("train --data table", ["--data.path", "--data.target"]),
        ("train --data table --data.path readings.csv", ["--data.target"]),
        ("train --data image-folder", ["--data.root"]),
        ("train --model external", ["--model.source"]),
        ("evaluate net.py:Net --data table", ["--data.path", "--data.target"]),
    ],
)
def test_a_class_that_needs_more_names_the_options(line, needed, capsys):
    code, sentence = told(line.split(), capsys)
    assert code == 2
    assert re.findall(r"--data\.\w+|--model\.\w+", sentence) == needed


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("train --training.lr 0.1", "--training.lr is not known; did you mean --lr"),
        ("train --evaluations clean", "such as '[Accuracy]'"),
        ("evaluate run --on worst-case --radius 1 --norm inf", "got inf."),
        ("sweep avila-paper --dry-run --chunk 3", "--chunk needs --slurm"),
    ],
)
def test_a_wrong_command_is_answered_in_its_own_words(line, word, capsys):
    code, sentence = told(line.split(), capsys)
    assert code == 2
    assert word in sentence


def test_missing_weights_are_the_only_line(capsys):
    assert main(["evaluate", "resnet18", "--data=digits", "--weights=nowhere.pth"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


# Wrong calls from Python


def fitted(**options):
    fit = {name: options.pop(name) for name in list(options) if name == "sample_weight"}
    return lambda: ws.RobustClassifier("noise", epochs=1, device="cpu", **options).fit(X, Y, **fit)


def plan(rows):
    return lambda: list(as_split([(torch.zeros(2), 0), (torch.ones(2), 1)], "test").batches(rows))


def kept(rows):
    split = ws.Toy(num_train=20, num_test=10).load("test")
    return lambda: list(split.batches(rows))


@pytest.fixture(scope="module")
def results():
    return ws.evaluate(ws.MLP(hidden=(4,)).build((2,), 2, seed=0), ws.Toy(num_test=10), device="cpu")


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (fitted(radius=["0.1", "0.1"]), "radius"),
        (fitted(radius=True), "radius"),
        (fitted(radius="cv", radii=["0", "1"], deployment_noise=1), "radii"),
        (fitted(radius="cv", radii="0.1", deployment_noise=1), "radii must be a list"),
        (fitted(radius="cv", radii=(0, 1), deployment_noise="0.3"), "deployment_noise"),
        (fitted(class_weight="balance"), "class_weight must be None, 'balanced'"),
        (fitted(class_weight={7: 2}), "for each class"),
        (fitted(sample_weight=np.zeros(20)), "not all 0"),
        *((make(rows), word) for make in (plan, kept) for rows, word in ((8, "plan"), (None, "plan"), ("all", "rows"))),
        *((make(rows), "rows") for make in (plan, kept) for rows in ([0, 1], [torch.tensor([0.5])])),
        *((make([torch.tensor([row])]), "rows must be 0 to") for make in (plan, kept) for row in (-1, 99)),
        (lambda: as_split("digits", "test"), r"ws\.Digits\(\)"),
        (lambda: as_split(ws.Digits, "test"), "the class Digits; call it"),
        (lambda: as_split(torch.zeros(4, 2), "test"), "TensorDataset"),
        (lambda: as_split({"x": X, "y": Y}, "test"), "got dict"),
        (lambda: as_split(torch.utils.data.DataLoader([(X[0], 0)]), "test"), "pass its data set"),
        (lambda: ws.evaluate(ws.SmallCNN(), ws.Digits()), "build"),
        (lambda: ws.run(ws.Experiment(), __file__), "root: expected a folder"),
        (lambda: imagenet_c.corrupt(IMAGE, 6, "fog"), "^fog: severity"),
    ],
)
def test_a_wrong_call_is_answered_in_its_own_words(call, word):
    with pytest.raises(ws.InputError, match=word) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_groups_and_reports_of_results_name_their_argument(results, tmp_path, monkeypatch):
    import polars as pl

    monkeypatch.chdir(tmp_path)
    for call, word in (
        (lambda: results.by("half"), "^Results.by: column"),
        (lambda: results.by("half", frame=pl.DataFrame({"number": [-5], "half": [1]})), "^Results.by: frame"),
        (lambda: results.by("half", frame=pl.DataFrame({"number": ["a"], "half": [1]})), "^Results.by: frame"),
        (lambda: results.report(""), "^Results.report: path"),
    ):
        with pytest.raises(ws.InputError, match=word):
            call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [30, -30, "3", 2.5])
def test_a_number_that_no_corruption_has_is_told(number):
    for corrupt in (imagecorruptions.corrupt, imagenet_c.corrupt):
        with pytest.raises(IndexError, match="corruption_number must be a whole number from 0 to 18"):
            corrupt(IMAGE, corruption_number=number)


def test_a_run_may_be_named_by_its_path(finished):
    by_path, by_name = ws.evaluate(finished, device="cpu"), ws.evaluate([str(finished)], device="cpu")
    assert by_path.rows == by_name.rows
