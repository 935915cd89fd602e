"""Measuring from the command line: what is kept, killed, resumed, shared by processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars
import pytest
from polars.testing import assert_frame_equal

from withstand.cli import main
from withstand.study.measures.outcomes import OutcomeTable

TRAIN = ["train", "--epochs=1", "--model.width=4", "--device=cpu", "--quiet"]
ON = ["--on", "clean", "noise", "contrast", "worst-case", "--radius", "0.05", "--device=cpu", "--batch-size=16"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs in one folder."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        assert main([*TRAIN, f"--seed={seed}", f"--name=s{seed}", f"--output={root}"]) == 0
    return root


def copy_of(runs, place):
    shutil.copytree(runs, place)
    return [str(each) for each in sorted(place.glob("s*-*"))]


def command(*words):
    return [sys.executable, "-m", "withstand", *words]


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1"}


def kept(folder):
    return OutcomeTable.read(next(Path(folder).glob("evaluations/*/outcomes")))


def assert_equal(one, other):
    assert [each.condition for each in one.conditions] == [each.condition for each in other.conditions]
    assert_frame_equal(one.samples, other.samples, check_exact=True)
    for own, its in zip(one.conditions, other.conditions, strict=True):
        assert own.numbers == its.numbers
        assert_frame_equal(own.frame, its.frame, check_exact=True)


def test_a_second_time_nothing_is_measured_and_other_conditions_are_added(runs, tmp_path, capsys):
    folders = copy_of(runs, tmp_path / "runs")
    words = ["evaluate", folders[0], "--on", "clean", "--device=cpu", "--format=json"]
    assert main(words) == 0
    first = json.loads(capsys.readouterr().out)
    file = next(Path(folders[0]).glob("evaluations/*/outcomes/clean-*.parquet"))
    written = file.stat().st_mtime_ns
    assert main(words) == 0
    second = capsys.readouterr()
    assert json.loads(second.out) == first
    assert "measured already" in second.err
    assert main([*words[:3], "clean", "contrast/3", *words[4:]]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {"clean", "contrast/3"} <= {row["condition"] for row in rows}
    assert file.stat().st_mtime_ns == written
    assert [row for row in rows if row["condition"] == "clean"] == first["rows"]


def test_the_command_that_measured_is_recorded_and_shown_in_the_report(runs, tmp_path, capsys, monkeypatch):
    folder, _ = copy_of(runs, tmp_path / "runs")
    for on in (["clean"], ["clean"], ["clean", "contrast/3"]):
        words = ["evaluate", folder, "--on", *on, "--device=cpu", "--quiet"]
        monkeypatch.setattr(sys, "argv", ["/x/bin/withstand", *words])
        assert main(words) == 0
    # The second time nothing was measured; another process that only reads leaves no trace.
    monkeypatch.setattr(sys, "argv", ["/x/bin/withstand", "evaluate", "again"])
    assert main(["evaluate", folder, "--on", "clean", "--device=cpu", "--quiet"]) == 0
    assert main(["report", folder, "--quiet"]) == 0
    capsys.readouterr()
    text = (Path(folder) / "report" / "report.md").read_text()
    lines = text[text.index("## Reproduce") :].split("```")[1].splitlines()
    commands = [each for each in lines if each.startswith("withstand")]  # the training is a call of the test
    measured = [f"withstand evaluate {folder} --on {on} --device=cpu --quiet" for on in ("clean", "clean contrast/3")]
    assert commands == [*measured, f"withstand report {folder} --quiet"]


def test_every_sample_has_a_line_that_says_where_it_breaks(runs, tmp_path, capsys):
    folders = copy_of(runs, tmp_path / "runs")
    path = tmp_path / "samples.csv"
    balls = "[{norm: linf, radius: 0.01}, {norm: linf, radius: 0.05}]"
    yaml = f"{{class_path: WorstCase, init_args: {{balls: {balls}, attacks: [{{class_path: APGD, init_args: {{steps: 3}}}}], num_mean: 0}}}}"
    words = ["evaluate", *folders, "--on", "clean", "contrast", yaml]
    assert main([*words, "--device=cpu", "--samples", str(path), "--quiet"]) == 0
    capsys.readouterr()
    found = polars.read_csv(path)
    assert len(found) == 2 * 359
    assert found.select("model", "number").is_unique().all()
    table = kept(folders[0])
    own = found.filter(polars.col("model") == "s0").sort("number")
    for severity in range(1, 6):
        frame = table.frame(f"contrast/{severity}")
        assert (own[f"contrast/{severity}: correct"] == frame["correct"]).all()
    wrong = np.stack([~table.frame(f"contrast/{each}")["correct"].to_numpy() for each in range(1, 6)])
    lowest = np.where(wrong.any(0), wrong.argmax(0) + 1, 0)
    assert (own["breaks: contrast"].fill_null(0).to_numpy() == lowest).all()


def test_points_that_are_kept_break_the_samples_in_the_units_of_their_file(tmp_path, capsys):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 200)
    x = rng.normal(size=(200, 2)) * [10, 0.1] + np.outer(kind, [15, 0.2]) + [500, 3]

    def write(name, x, kind):
        polars.DataFrame({"a": x[:, 0], "b": x[:, 1], "kind": [f"k{each}" for each in kind]}).write_csv(tmp_path / name)
        return ["--data=table", f"--data.path={tmp_path / name}", "--data.target=kind", "--device=cpu", "--quiet"]

    data = write("t.csv", x, kind)
    assert main(["train", *data, "--model=mlp", "--epochs=10", "--name=t", f"--output={tmp_path / 'runs'}"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    yaml = "{class_path: WorstCase, init_args: {balls: [{radius: 0.4}, {radius: 0.8}], budget: quick, num_mean: 0}}"
    words = ["evaluate", str(folder), "--on", yaml, "--device=cpu", "--quiet", "--keep-points"]
    assert main([*words, str(tmp_path / "points")]) == 0
    files = sorted(tmp_path.glob("points/*/*.npz"))
    table = kept(folder)
    for path, condition in zip(files, table.conditions, strict=True):
        found, frame = np.load(path), condition.frame
        assert found["number"].tolist() == frame.filter(frame["broken_by"] > 0)["number"].to_list()
        assert len(found["number"]) > 0
        # The run misclassifies every point of a table that holds them.
        more = write("points.csv", found["points"], found["label"])
        capsys.readouterr()
        assert main(["evaluate", str(folder), *more, "--on", "clean", "--format=json"]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert next(each["value"] for each in rows if each["measure"] == "top1") == 0
        assert (found["prediction"] != found["label"]).all()
    (tmp_path / "file").touch()
    assert main([*words, str(tmp_path / "file")]) == 2
    assert main(["evaluate", str(folder), "--on", "clean", "--device=cpu", "--keep-points", str(tmp_path)]) == 2
    assert "needs worst-case" in capsys.readouterr().err


def test_two_models_are_compared_on_the_same_samples(runs, tmp_path, capsys):
    folders = copy_of(runs, tmp_path / "runs")
    assert main(["evaluate", *folders, "--on", "clean", "--device=cpu", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "Differences to" in out
    assert "95 %" in out


@pytest.mark.parametrize(
    "words",
    [
        ["--on", "clean", "worst-case"],
        ["--on", "contrast/9"],
        ["--on", "WorstCasse"],
        ["--on", "{class_path: Gaussian, init_args: {std: -1}}"],
        ["--on", "{class_path: Gaussian, init_args: {sd: 1}}"],
        ["--on", "{class_path: [}"],
        ["--on", "{class_path: os.system}"],
        ["--on", "lipschitz"],
        ["--samples", "."],
        ["--frost", "icy"],
    ],
    ids=str,
)
def test_a_question_that_fails_is_one_sentence_and_leaves_no_folder(words, runs, tmp_path, capsys, monkeypatch):
    folders = copy_of(runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in Path(folders[0]).iterdir())
    code = main(["evaluate", folders[0], *words, "--device=cpu"])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("withstand: ")
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in Path(folders[0]).iterdir()) == before


@pytest.mark.slow
def test_classes_by_name_yaml_and_words_are_asked_together(runs, tmp_path, capsys):
    folders = copy_of(runs, tmp_path / "runs")
    yaml = "{class_path: WorstCase, init_args: {balls: [{norm: l2, radius: 0.3}], budget: quick, num_mean: 0}}"
    words = ["--on", "clean", "Speckle", yaml, "--device=cpu", "--format=json", "--quiet"]
    assert main(["evaluate", folders[0], *words]) == 0
    found = json.loads(capsys.readouterr().out)
    conditions = {row["condition"] for row in found["rows"]}
    assert {"clean", "Speckle std=0.6"} < conditions or any(each.startswith("Speckle") for each in conditions)
    assert any(each.startswith("l2 0.3, quick") for each in conditions)
    assert {"top1", "worst_case_top1"} <= set(found["measures"])


@pytest.mark.slow
def test_two_processes_keep_the_outcomes_of_one(runs, tmp_path):
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "withstand"]
    found = []
    for number, launcher in enumerate(([sys.executable, "-m", "withstand"], two)):
        folders = copy_of(runs, tmp_path / str(number))
        words = [*launcher, "evaluate", folders[0], ON[0], "noise-distance/gaussian", *ON[1:]]
        subprocess.run(words, check=True, capture_output=True, timeout=300, env=environment())
        found.append(kept(folders[0]))
    assert_equal(*found)


def test_the_command_of_a_measurement_that_failed_while_recording_it_is_recorded_later(
    runs, tmp_path, capsys, monkeypatch
):
    folder, _ = copy_of(runs, tmp_path / "runs")
    words = ["evaluate", folder, "--on", "clean", "contrast/3", "--device=cpu", "--quiet"]

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("withstand.commands.evaluate.add_command", fail)
        assert main(words) == 1
    assert main(words) == 0
    (place,) = Path(folder).glob("evaluations/*")
    assert len(json.loads((place / "provenance.json").read_text())["commands"]) == 1
    capsys.readouterr()


@pytest.mark.slow
def test_a_kill_at_any_file_is_resumed_to_the_same_tables(runs, tmp_path, capsys, monkeypatch):
    words = ["--on", "clean", "contrast/3", "by-class", "--device=cpu", "--batch-size=128", "--quiet"]
    (alone, _), replaced = copy_of(runs, tmp_path / "alone"), Path.replace
    assert main(["evaluate", alone, *words]) == 0
    rows = next(Path(alone).glob("evaluations/*/rows.jsonl")).read_bytes()

    class Killed(BaseException):
        pass

    number, kills = 0, 0
    while True:
        folder, _ = copy_of(runs, tmp_path / str(number))
        left = [number]

        def replace(path, target, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return replaced(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        try:
            assert main(["evaluate", folder, *words]) == 0
            break
        except Killed:
            kills += 1
        finally:
            monkeypatch.setattr(Path, "replace", replaced)
        assert main(["evaluate", folder, *words]) == 0
        assert_equal(kept(alone), kept(folder))
        assert next(Path(folder).glob("evaluations/*/rows.jsonl")).read_bytes() == rows
        assert not list(Path(folder).rglob("parts"))
        number += 1
    assert kills >= 8
    capsys.readouterr()


@pytest.mark.parametrize("field", ["root", "test", "no_such_field"])
def test_a_field_of_data_that_are_not_named_is_refused_with_both_options(capsys, field):
    assert main(["evaluate", "RUN", f"--data.{field}", "/tmp"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert f"--data.{field.replace('_', '-')}" in sentence
    assert "--data NAME" in sentence
