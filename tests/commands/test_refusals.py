"""Options without effect are refused, errors in files name the file, and nothing is said before a refusal."""

import json
import shutil
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

import withstand as ws
from withstand.cli import main
from withstand.errors import InputError
from withstand.study.combination import parse_baseline

SMALL = ["--size", "32", "--corruptions", "contrast"]


def refused(words, capsys):
    """Return the only line that a refused command wrote to standard error."""
    assert main([str(each) for each in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "option", "needed"),
    [
        (["--masks", "cat"], "--masks", "--size original"),
        (["--masks", "none"], "--masks", "--size original"),
        (["--sample", "2"], "--sample", "--preview"),
    ],
)
def test_an_option_of_another_form_of_copy_is_refused(tmp_path, capsys, words, option, needed):
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "photos" / name / "1.png")
    line = refused(["corrupt", tmp_path / "photos", tmp_path / "copy", *SMALL, *words], capsys)
    assert f"{option} needs {needed}" in line
    assert not (tmp_path / "copy").exists()


def test_nothing_is_said_before_a_folder_with_other_files_is_refused(tmp_path, capsys):
    for name in ("photos/a", "photos/b", "mine"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / name / "1.png")
    assert "is not empty" in refused(["corrupt", tmp_path / "photos", tmp_path / "mine", *SMALL], capsys)
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["1.png"]


@pytest.mark.parametrize(
    ("option", "given", "meant"),
    [
        ("--data.help", "digitz", "digits"),
        ("--objective.help", "PerturbedRsk", "PerturbedRisk"),
        ("--objective.perturbation.help", "Gausian", "Gaussian"),
        ("--schedule.help", "Cosin", "Cosine"),
    ],
)
def test_help_on_an_unknown_class_names_the_nearest_of_its_kind(option, given, meant, capsys):
    line = refused(["train", option, given], capsys)
    assert line.startswith(f"withstand: option {option}: {given} is not known; did you mean {meant}")


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ("{class_path: Gaussian, init_args: {std: high}}", "std"),
        ("{class_path: WorstCase, init_args: {balls: 3}}", "balls"),
        ("{class_path: WorstCase, init_args: {balls: [{norm: l9}]}}", "balls.norm"),
    ],
)
def test_a_field_of_a_condition_in_yaml_is_not_called_an_option(condition, field):
    with pytest.raises(InputError, match=rf"^on: {field} must be "):
        ws.Question.of(ws.Toy(), condition)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("smoothing/high", "a standard deviation above 0"),
        ("calibration/gausian", "did you mean calibration/Gaussian or calibration/"),
        ("calibration/fog/9", "from 1 to 5"),
    ],
)
def test_what_follows_the_slash_of_a_condition_is_corrected_by_its_meaning(condition, words):
    with pytest.raises(InputError, match=words):
        ws.Question.of(ws.Toy(), condition)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    data, model = ws.Toy(num_train=40, num_test=20), ws.MLP(hidden=(4,))
    experiment = ws.Experiment(data=data, model=model, training=ws.Training(epochs=1))
    return ws.run(experiment, tmp_path_factory.mktemp("runs"))


def test_an_error_in_the_configuration_of_a_run_to_resume_names_the_file(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / finished.name)
    content = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(content | {"seed": -3}))
    assert str(folder / "config.yaml") in refused(["train", "--resume", folder], capsys)
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    assert "config.yaml" not in refused(["train", "--resume", folder, "--epochs", "ten"], capsys)


def _half(text):
    return text[: text.index("\ntraining:") + 1]


def _by_hand(text):
    return text.replace("num_train: 40", "num_train: 41")


@pytest.mark.parametrize("change", [_half, _by_hand])
def test_a_valid_configuration_that_is_not_the_one_of_the_training_is_refused(change, finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / finished.name)
    path = folder / "config.yaml"
    whole = path.read_text()
    path.write_text(change(whole))
    assert path.read_text() != whole
    assert f"{path} is damaged" in refused(["evaluate", folder], capsys)
    assert not (folder / "evaluations").exists()
    known = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(known | {"identity": ""}))  # no record, no check
    assert main(["evaluate", str(folder), "--quiet"]) == 0


def test_the_same_configuration_in_another_order_is_measured(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "renamed")
    content = yaml.safe_load((folder / "config.yaml").read_text()) | {"name": "renamed"}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=True))
    assert main(["evaluate", str(folder), "--quiet"]) == 0


def test_what_makes_a_damaged_provenance_whole_is_the_same_for_every_command(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / finished.name)
    (folder / "provenance.json").write_text("[")
    for words in (["evaluate", folder], ["train", "--resume", folder, "--quiet"]):
        assert main([str(each) for each in words]) == 2
        assert "move its folder away" in capsys.readouterr().err


def test_nothing_is_said_before_seeds_that_do_not_fit_one_batch_are_refused(tmp_path, capsys):
    words = ["train", "--data", "toy", "--model", "mlp", "--model.hidden", "[4]", "--epochs", "1", "--quiet"]
    assert main([*words, "--output", str(tmp_path), "--amp", "bf16"]) == 0
    capsys.readouterr()
    line = refused([*words[:-1], "--output", tmp_path, "--amp", "bf16", "--seeds", "2", "--vectorize"], capsys)
    assert "--vectorize" in line


def test_runs_without_an_axis_are_no_value_of_a_baseline():
    combinations: Any = tuple(SimpleNamespace(labels={"method": each}) for each in ("plain", "noise", None))
    with pytest.raises(InputError, match=r"method is one of plain, noise\.$"):
        parse_baseline(["method=x"], combinations)


@pytest.mark.parametrize("value", ["=1+1", "a b", "99999999999999999999999"])
def test_an_unknown_name_of_a_data_set_is_quoted_alone(value, capsys):
    line = refused(["evaluate", "x", f"--data={value}"], capsys)
    assert "Expected" not in line
    assert "is not known" in line


@pytest.mark.parametrize("words", ["train", "evaluate runs/none", "sweep radii", "quickstart", "corrupt photos copy"])
@pytest.mark.parametrize("option", ["-j", "--workers"])
def test_more_processes_than_any_machine_has_are_refused(words, option, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused([*words.split(), option, "1000000"], capsys)
    assert "--workers" in line
    assert "1000000" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("evaluate resnet18 --data image-folder --root {}", "needs weights"),
        ("corrupt {} {}-copy --size original", "texture"),
        ("corrupt {} {}-copy", "texture"),
    ],
)
def test_a_folder_without_images_is_told_before_what_else_is_missing(
    words, sentence, no_frost_textures, tmp_path, capsys
):
    (tmp_path / "photos").mkdir()
    line = refused([each.format(tmp_path / "photos") for each in words.split()], capsys)
    assert str(tmp_path / "photos") in line
    assert sentence not in line
    assert [each.name for each in tmp_path.iterdir()] == ["photos"]


def test_a_loop_of_links_is_wrong_input(tmp_path, capsys):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(["train", "--data", "toy", "--model", "mlp", "--epochs", "1", "--output", loop / "runs"], capsys)


def test_the_home_of_an_unknown_user_is_a_path_like_others(capsys):
    name = "~nobody-of-this-name/x"
    for words in (["evaluate", name], ["evaluate", name, "--data", "digits"], ["corrupt", name, "copy"]):
        assert name in refused(words, capsys)
