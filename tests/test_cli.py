"""The command line from end to end: what people type, what they see, and what a mistake costs them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from withstand.cli import COMMANDS, main
from withstand.experiment import Experiment
from withstand.training.settings import Training

QUICK = ["--epochs=1", "--model.width=4", "--quiet"]


def run(words, capsys):
    """Return exit code, stdout and stderr of a command."""
    code = main([str(each) for each in words])
    found = capsys.readouterr()
    return code, found.out, found.err


def files(folder):
    """Return every file below a folder with its content."""
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def start(words, **environment):
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "withstand", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def test_help_and_version_are_there_at_once(capsys):
    code, out, _ = run(["--help"], capsys)
    assert code == 0
    assert all(word in out for word in ("quickstart", "train", "evaluate", "list"))
    code, out, _ = run(["--version"], capsys)
    assert code == 0
    assert re.fullmatch(r"withstand \d+\.\d+\.\d+\n", out)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_a_terminal_and_says_no_type(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "type:" not in out
    assert "class_path" not in out


def test_the_help_of_training_has_every_field_with_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    names = {each.name for each in (*fields(Experiment), *fields(Training))} - {"training"}
    assert not [name for name in names if f" --{name.replace('_', '-')} " not in out]
    assert [f"(default: {each})" in out for each in ("Digits", "SmallCNN", "Adam", "10", "true")] == [True] * 5


def test_no_command_and_an_unknown_one_end_with_2(capsys):
    assert run([], capsys)[0] == 2
    code, _, err = run(["trian"], capsys)
    assert (code, err) == (2, "withstand: trian is not a command; did you mean train?\n")


def test_training_and_evaluating_side_by_side(tmp_path, capsys):
    code, out, _ = run(["train", *QUICK, "--output", tmp_path], capsys)
    assert code == 0
    assert re.search(r"clean +\d+\.\d", out)
    noisy = ["--objective.perturbation=Mixture", "--name=noisy"]
    assert run(["train", *QUICK, *noisy, "--output", tmp_path], capsys)[0] == 0
    folders = sorted(tmp_path.iterdir())
    assert [re.sub("-[0-9a-f]{16}$", "", each.name) for each in folders] == ["noisy", "run"]
    assert {"config.yaml", "provenance.json", "model.safetensors", "history.json", "rows.jsonl"} <= set(
        files(folders[0])
    )

    code, out, err = run(["evaluate", *folders, "--on", "clean", "contrast", "noise", "--format=json"], capsys)
    assert code == 0
    rows = json.loads(out)["rows"]
    assert {row["model"] for row in rows} == {"noisy", "run"}
    assert {row["condition"] for row in rows} >= {"clean", "contrast/1", "contrast/5", "Gaussian std=0.25"}
    assert {row["count"] for row in rows} == {359}
    clean = {row["model"]: row["value"] for row in rows if (row["measure"], row["condition"]) == ("top1", "clean")}
    for folder in folders:
        trained = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
        assert clean[folder.name[:-17]] == next(row["value"] for row in trained if row["measure"] == "top1")

    before = files(tmp_path)
    code, again, err = run(["evaluate", *folders, "--on", "clean", "contrast", "noise", "--format=json"], capsys)
    assert (again, files(tmp_path)) == (out, before)
    assert "measured already" in err

    begun = tmp_path / "begun-0123456789abcdef"
    begun.mkdir()
    shutil.copy(folders[0] / "config.yaml", begun)
    code, of_folder, err = run(["evaluate", tmp_path, "--on", "clean", "contrast", "noise", "--format=json"], capsys)
    assert (code, of_folder) == (0, out)
    assert "1 of 3 runs are not finished, and are left out." in err

    damaged = tmp_path / "a-sweep"
    damaged.mkdir()
    (damaged / "sweep.json").write_text("{")
    code, of_folder, err = run(["evaluate", tmp_path, "--on", "clean", "contrast", "noise", "--format=json"], capsys)
    assert (code, of_folder) == (0, out)
    assert str(damaged / "sweep.json") in err


def test_a_finished_run_is_not_done_again(tmp_path, capsys):
    first = run(["train", *QUICK, "--output", tmp_path], capsys)
    before = files(tmp_path)
    code, out, err = run(["train", *QUICK[:-1], "--output", tmp_path], capsys)
    assert (code, out) == (0, first[1])
    assert "is finished already" in err
    assert files(tmp_path) == before


def test_results_go_to_stdout_and_everything_else_to_stderr(tmp_path, capsys):
    code, out, err = run(["train", *QUICK[:-1], "--output", tmp_path, "--format=json"], capsys)
    assert code == 0
    assert json.loads(out)["rows"][0]["measure"] == "top1"
    assert "epoch 1/1" in err


def test_the_printed_configuration_reruns_the_same_run(tmp_path, capsys):
    options = [*QUICK, "--objective.perturbation=Mixture", "--optimizer=SGD", "--lr=0.01", "--seed=3"]
    code, out, _ = run(["train", *options, "--print-config"], capsys)
    assert code == 0
    (tmp_path / "it.yaml").write_text(out)
    assert run(["train", "--config", tmp_path / "it.yaml", "--quiet", "--output", tmp_path / "runs"], capsys)[0] == 0
    run(["train", *options, "--output", tmp_path / "runs"], capsys)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_resume_goes_on_with_the_folder_and_refuses_another_configuration(tmp_path, capsys):
    run(["train", *QUICK, "--output", tmp_path], capsys)
    folder = next(tmp_path.iterdir())
    (folder / "rows.jsonl").unlink()
    code, _, _ = run(["train", "--resume", folder, "--quiet"], capsys)
    assert code == 0
    assert (folder / "rows.jsonl").is_file()
    code, _, err = run(["train", "--resume", folder, *QUICK, "--seed=1"], capsys)
    assert code == 2
    assert "was made by another configuration" in err
    code, _, err = run(["train", "--resume", tmp_path], capsys)
    assert (code, err) == (2, f"withstand: resume: expected the folder of a run, found no config.yaml in {tmp_path}.\n")


def test_a_model_by_name_with_a_file_of_weights(tmp_path, capsys):
    run(["train", "--epochs=1", "--quiet", "--output", tmp_path], capsys)
    folder = next(tmp_path.iterdir())
    words = ["evaluate", "small-cnn", "--data=digits", "--output", tmp_path / "other", "--format=json"]
    code, out, _ = run([*words, "--weights", folder / "model.safetensors"], capsys)
    assert code == 0
    _, own, _ = run(["evaluate", folder, "--format=json"], capsys)
    values = [[row["value"] for row in json.loads(each)["rows"]] for each in (out, own)]
    assert values[0] == values[1]
    assert run(words, capsys)[0] == 2


def images(root, *, broken=None):
    """Write a tree of a few pictures of two classes."""
    generator = np.random.default_rng(0)
    for part, number in (("train", 8), ("val", 3)):
        for name in ("cat", "dog"):
            folder = root / part / name
            folder.mkdir(parents=True)
            for each in range(number):
                pixels = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{each}.jpg")
    if broken:
        path = root / broken
        path.write_bytes(path.read_bytes()[:300])


def test_image_folders_train_and_a_truncated_file_is_named_or_skipped(tmp_path, capsys):
    images(tmp_path / "tree", broken="val/dog/1.jpg")
    options = [
        *("--data=image-folder", "--root", tmp_path / "tree", "--data.pixels=32", "--data.resize=36"),
        *("--epochs=1", "--batch-size=4", "--model.width=4", "--output", tmp_path / "runs"),
    ]
    code, _, err = run(["train", *options], capsys)
    assert code == 2
    assert "1.jpg" in err.splitlines()[-1]
    code, out, err = run(["train", *options, "--data.on-bad-image=skip", "--format=json"], capsys)
    assert code == 0
    assert {row["count"] for row in json.loads(out)["rows"]} == {5}


def table(path, **changes):
    """Write a CSV file of two clearly different classes."""
    lines = ["width,height,kind"]
    for each in range(60):
        kind = "ab"[each % 2]
        lines.append(f"{(each % 2) * 3 + each / 100},{each % 7},{kind}")
    for number, line in changes.items():
        lines[int(number[1:]) - 1] = line
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_trains(tmp_path, capsys):
    path = table(tmp_path / "t.csv")
    options = ["--data=table", "--data.path", path, "--data.target=kind", "--model=mlp", "--epochs=20"]
    code, out, _ = run(["train", *options, "--output", tmp_path / "runs", "--format=json", "--quiet"], capsys)
    assert code == 0
    assert json.loads(out)["rows"][0]["value"] > 0.9
    folder = next((tmp_path / "runs").iterdir())
    code, _, err = run(["evaluate", folder, "--on", "contrast"], capsys)
    assert code == 2
    assert "contrast needs images" in err
    words = ["evaluate", folder, "--on", "distance/l1", "--unit", "raw", "--format=json", "--quiet"]
    code, out, _ = run(words, capsys)
    assert code == 0
    assert json.loads(out)["rows"][0]["condition"].startswith("l1 distance in raw, ")


def test_a_new_table_is_scaled_and_labelled_as_the_old_one(tmp_path, capsys):
    old = table(tmp_path / "old.csv")
    lines = old.read_text().splitlines()
    new = tmp_path / "new.csv"
    cells = [line.split(",") for line in lines[1:]]
    new.write_text("\n".join([lines[0], *(f"{float(w) + 100},{h},{k}" for w, h, k in cells)]) + "\n")
    options = ["--data=table", "--data.target=kind", "--output", tmp_path / "runs", "--quiet"]
    words = ["train", *options, "--data.path", old, "--model=mlp", "--epochs=20"]
    assert run(words, capsys)[0] == 0
    folder = next((tmp_path / "runs").iterdir())
    words = ["evaluate", folder, "--data=table", "--data.target=kind", "--data.path", new, "--format=json"]
    code, out, _ = run(words, capsys)
    row = json.loads(out)["rows"][0]
    # A shift of 100 puts every row on one side; a table scaled by itself would hide the shift.
    assert (code, row["count"], row["value"]) == (0, 60, 0.5)


def test_other_classes_than_those_of_training_are_refused_or_said(tmp_path, capsys):
    run(["train", *QUICK, "--output", tmp_path], capsys)
    folder = next(tmp_path.iterdir())
    images(tmp_path / "tree")
    words = [
        "evaluate",
        folder,
        "--data=image-folder",
        "--root",
        tmp_path / "tree",
        "--data.pixels=32",
        "--data.resize=32",
    ]
    code, _, err = run(words, capsys)
    assert code == 2
    assert "was trained on 10 classes, the data has 2" in err


def test_a_run_is_worked_on_by_one_process_at_a_time(tmp_path, capsys):
    process = start(["train", "--epochs=200", "--model.width=4", "--output", tmp_path])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/provenance.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    code, _, err = run(["train", "--epochs=200", "--model.width=4", "--output", tmp_path], capsys)
    process.kill()
    process.communicate()
    assert code == 2
    sentence = err.splitlines()[-1]
    assert "is being worked on by another process" in sentence
    assert "run the same command again" in sentence


def test_what_does_not_fit_is_found_before_anything_is_written(tmp_path, capsys):
    words = ["train", "--data=digits", "--objective.perturbation=contrast", "--objective.perturbation.pixels=224"]
    assert run([*words, *QUICK, "--output", tmp_path / "fits"], capsys)[0] == 0
    path = table(tmp_path / "t.csv")
    words = ["train", "--data=table", "--data.path", path, "--data.target=kind", "--model=mlp"]
    code, _, err = run([*words, "--objective.perturbation=contrast", "--output", tmp_path / "runs"], capsys)
    assert code == 2
    assert "Contrast: inputs must be images" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "problem",
    [MemoryError(), torch.OutOfMemoryError("GPU 0"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_too_little_memory_is_one_sentence(problem, capsys, monkeypatch):
    def fail(_words):
        raise problem

    monkeypatch.setattr("withstand.commands.list.main", fail)
    code, out, err = run(["list"], capsys)
    assert (code, out) == (1, "")
    assert re.match(r"withstand: out of memory; .*\n$", err)


@pytest.mark.parametrize("path", ["x" * 300, "a\0b"], ids=["long", "NUL"])
@pytest.mark.parametrize(
    "words",
    [
        ["report"],
        ["report", "runs", "--output"],
        ["evaluate"],
        *(["evaluate", "runs", each] for each in ("--samples", "--figures", "--keep-points", "--output")),
        ["corrupt", "."],
        ["train", "--output"],
        ["sweep", "toy-landscapes", "--output"],
        ["quickstart", "--output"],
    ],
    ids=" ".join,
)
def test_a_path_that_cannot_be_is_wrong_usage_and_leaves_nothing(words, path, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run([*words, path], capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not list(tmp_path.iterdir())


BAD = {
    "a missing folder": (["--data=mnist", "--root=nowhere"], r"Mnist: expected .* under nowhere, found none"),
    "an unknown data set": (["--data=fashion"], r"fashion is not known; did you mean fashion-mnist\?"),
    "an unknown network": (["--model=resnet19"], r"did you mean resnet1"),
    "an unknown perturbation": (["--objective.perturbation=Gausian"], r"Gausian is not known.* Gaussian"),
    "a negative deviation": (
        ["--objective.perturbation=Gaussian", "--objective.perturbation.std=-1"],
        r"Gaussian: std must be at least 0 and finite, got -1",
    ),
    "a misspelt option": (["--batchsize=3"], r"option --batchsize is not known; did you mean --batch-size\?"),
    "an abbreviated option": (["--epoch=3"], r"option --epoch is not known; did you mean --epochs"),
    "text for a number": (["--epochs=many"], r"option --epochs must be a whole number of at least 0, got many"),
    "a perturbation without a ball": (["--objective.perturbation.ball.radius=1"], r"Identity: ball is not known"),
    "a name of two lines": (["--name=a\nb"], r"Experiment: name must be usable .*, got 'a\\nb'"),
    "an unknown option like a known one": (["--help-me"], r"option --help-me is not known; did you mean --help"),
    "no value": (["--epochs"], r"option --epochs: expected a value, got none"),
    "a missing device": (["--device=cuda:99"], r"device: cuda:99 is not available"),
    "an unknown device": (["--device=tpu"], r"device: expected auto, cpu, cuda, cuda:N or mps, got tpu"),
    "a missing configuration": (["--config=nowhere.yaml"], r"config: expected a YAML file or a recipe"),
    "missing weights": (["--weights=nowhere.pt"], r"weights: expected a file, found none at nowhere.pt"),
    "a negative seed": (["--seed=-1"], r"seed must be at least 0 and below [0-9,]+, got -1"),
    "images too small for the network": (
        ["--model=inception_v3", "--data=digits"],
        r"inception_v3: cannot take images of 32 x 32 pixels|torchvision is not installed",
    ),
    "a network for images on a table": (
        ["--data=avila", "--model=small-cnn"],
        r"SmallCNN: inputs must be images .* got shape \(8,\)|Avila: expected .* found none",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, sentence = BAD[case]
    code, out, err = run(["train", *words, "--output=runs"], capsys)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.match(f"withstand: .*({sentence})", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("x1,2,a", r"line 5\b.*width"),
        ("nan,2,a", r"line 5\b.*width"),
        (",2,a", r"line 5\b.*width"),
        ("1,2", r"line 5\b"),
    ],
)
def test_a_bad_cell_is_named_with_file_line_and_column(line, named, tmp_path, capsys):
    path = table(tmp_path / "t.csv", l5=line)
    words = ["--data=table", "--data.path", path, "--data.target=kind", "--model=mlp", "--output", tmp_path / "runs"]
    code, _, err = run(["train", *words], capsys)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "t.csv" in err
    assert re.search(named, err)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_a_folder_whose_runs_are_one_folder_deeper_names_that_one(command, tmp_path, capsys):
    inner = tmp_path / "inner"
    (inner / "begun").mkdir(parents=True)
    (inner / "begun" / "config.yaml").write_text("")
    code, _, err = run([command, tmp_path], capsys)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"there are runs in {inner}." in err


def test_evaluating_what_is_no_run_says_what_was_expected(tmp_path, capsys):
    code, _, err = run(["evaluate", tmp_path], capsys)
    assert code == 2
    assert "expected a run's folder or a model name" in err
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.yaml").write_text("")
    code, _, err = run(["evaluate", tmp_path], capsys)
    assert (code, err) == (2, f"withstand: evaluate: expected finished runs in {tmp_path}, got none of 1.\n")
    code, _, err = run(["evaluate", "resnet18"], capsys)
    wanted = "found no folder resnet18; if it is the name of a model, give --data."
    assert (code, err) == (2, f"withstand: evaluate: {wanted}\n")


def test_list_names_everything_and_refuses_other_kinds(capsys):
    code, out, _ = run(["list"], capsys)
    assert code == 0
    for word in (
        "gaussian_noise",
        "fashion-mnist",
        "PerturbedRisk",
        "Mixture",
        "quickstart-plain",
        "small-cnn",
        "Accuracy",
    ):
        assert word in out
    assert max(map(len, out.splitlines())) <= 132
    code, out, _ = run(["list", "recipes", "--format=json"], capsys)
    assert {"quickstart-gaussian", "quickstart-plain", "imagenet-ant"} <= set(json.loads(out)["recipes"])
    assert run(["list", "corruption"], capsys)[0] == 2


def test_a_file_in_place_of_the_output_folder_is_one_sentence(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file where a folder should be")
    code, _, err = run(["train", *QUICK, "--output", tmp_path / "taken"], capsys)
    assert code == 2
    assert "expected a folder, found a file" in err
    assert (tmp_path / "taken").read_text() == "a file where a folder should be"


def interrupted(tmp_path, number):
    process = start(["train", "--epochs=200", "--model.width=4", "--output", tmp_path])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/provenance.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_stopped_training_says_how_to_resume(tmp_path, number, code):
    found, err = interrupted(tmp_path, number)
    assert found == code
    assert "run the same command again to resume" in err.splitlines()[-1]


def test_curves_for_tensorboard(tmp_path, capsys):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert run(["train", *QUICK, "--epochs=3", "--track", "--output", tmp_path], capsys)[0] == 0
    folder = next(tmp_path.iterdir())
    events = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    history = json.loads((folder / "history.json").read_text())
    assert set(events.Tags()["scalars"]) == {"loss", "lr", "validation"}
    written = [(each.step, each.value) for each in events.Scalars("loss")]
    assert written == [(each["epoch"], pytest.approx(each["loss"], rel=1e-6)) for each in history]


TOGETHER = {
    "noise": ["--epochs=1", "--objective.perturbation=Mixture"],
    # From the second epoch on with a fresh generator that both train, and with one of the past.
    "game": ["--epochs=2", "--objective=AdversarialNoise", "--objective.restart_steps=5"],
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["noise", "game"])
def test_two_processes_equal_one_noise_included(case, tmp_path):
    # 1,259 training samples in batches of 100: uneven shares of the last one, which has 59.
    options = [*TOGETHER[case], "--batch-size=100", "--model.width=4", "--device=cpu"]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "withstand"]
    results = []
    for launcher in ([sys.executable, "-m", "withstand"], two):
        root = tmp_path / str(len(results))
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        train = [*launcher, "train", *options, "--output", str(root)]
        subprocess.run(train, check=True, capture_output=True, timeout=240, env=environment)
        folder = next(root.iterdir())
        words = [*launcher, "evaluate", str(folder), "--on", "clean", "noise", "--device=cpu", "--format=json"]
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=240, env=environment)
        rows = json.loads(done.stdout)["rows"]
        loss = json.loads((folder / "history.json").read_text())[0]["loss"]
        results.append((load_file(folder / "model.safetensors"), rows, loss))
    (one, rows, loss), (other, other_rows, other_loss) = results
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)
    assert {row["count"] for row in other_rows} == {359}
    # The weights differ by rounding, so a sample on the border may fall to the other side.
    assert [row["value"] for row in other_rows] == pytest.approx([row["value"] for row in rows], abs=1.01 / 359)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--on", "fog", "--frost", "procedural", "noise"], r"got noise; write it directly after --on\."),
        (["--on", "fog/1", "--seed", "1", "fog/2"], r"got fog/2; write it directly after --on\."),
        (["--on", "worst-case", "--radius", "0.1", "--norm", "l2", "0.2"], r"got 0\.2; .* after --radius\."),
        (["--help-me"], r"option --help-me is not known; did you mean --help\?"),
        (["--radius", "a", "--on", "worst-case"], r"option --radius must be a number of at least 0 .*, got a\."),
        (["--on", "clean", "--radius", "0.1"], r"--radius needs worst-case, .* in --on\."),
        (["--on", "clean", "distance/l2", "--budget", "quick"], r"--budget needs worst-case or sandwich in --on\."),
        (["--budget", "standard"], r"--budget needs worst-case"),
        (["--on", "clean", "smoothing", "--norm", "l2"], r"--norm needs --radius\."),
        (["--on", "distance/l0", "--radius", "0.1", "--norm", "l2"], r"--norm must be linf for distance/l0, got l2\."),
        (["--on", "clean", "calibration", "--unit", "iqr"], r"--unit needs --radius, or distance/l1.* in --on\."),
        (["--on", "worst-case", "--radius", "0.1", "0.2", "0.10"], r"--radius must be different .*, got 0\.1 twice\."),
        (["--batch-size", "0"], r"option --batch-size must be at least 1, got 0\."),
    ],
)
def test_evaluating_with_misplaced_words_says_where_they_belong(words, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(["evaluate", "a-run", *words], capsys)
    assert (code, out) == (2, "")
    assert re.search(sentence, err)
    assert list(tmp_path.iterdir()) == []
