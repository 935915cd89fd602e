"""Figures of learned noise on the command line, and the generators that are kept for them."""

import json
import shutil
from functools import partial

import pytest

from withstand.cli import main
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.measuring import words as known
from withstand.study.measures.outcomes import OutcomeTable


def run(words, capsys):
    code = main([str(each) for each in words])
    found = capsys.readouterr()
    return code, found.out, found.err


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture(autouse=True)
def _short_training(monkeypatch):
    monkeypatch.setattr(known, "NoiseDistance", partial(NoiseDistance, steps=2, batch_size=8, precision=0.5))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    assert main(["train", "--epochs=1", "--model.width=4", "--quiet", f"--output={root}", "--device=cpu"]) == 0
    return next(root.iterdir())


@pytest.fixture
def folder(trained, tmp_path, capsys):
    """A run that nobody has measured."""
    copy = tmp_path / "net"
    copy.mkdir()
    for each in trained.iterdir():
        if each.is_file():
            (copy / each.name).write_bytes(each.read_bytes())
    capsys.readouterr()
    return copy


def evaluated(folder, *options):
    return ["evaluate", folder, "--device=cpu", "--format=json", "--on", *options]


def kept(folder):
    return next((folder / "evaluations").iterdir())


@pytest.mark.slow
def test_every_generator_gets_a_figure_and_the_rows_are_those_without_figures(folder, tmp_path, capsys):
    code, plain, _ = run(evaluated(folder, "noise-distance", "noise-distance-3x3"), capsys)
    assert code == 0
    plain_rows = (kept(folder) / "rows.jsonl").read_text()
    shutil.rmtree(folder / "evaluations")
    words = [*evaluated(folder, "noise-distance", "noise-distance-3x3"), "--figures", tmp_path / "figures"]
    code, out, err = run(words, capsys)
    assert (code, out) == (0, plain)
    assert (kept(folder) / "rows.jsonl").read_text() == plain_rows
    stems = [f"net-adversarial-noise-{kernel}-2-steps" for kernel in ("1x1", "3x3")]
    assert names(tmp_path / "figures") == [f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")]
    assert all(f"{tmp_path}/figures/{stem}.png" in err for stem in stems)
    gaussian = [row for row in json.loads(out)["rows"] if row["condition"] == "gaussian noise"]
    assert len({row["measure"] for row in gaussian}) == len(gaussian)


@pytest.mark.slow
def test_what_was_measured_before_is_drawn_without_training_and_alike(folder, tmp_path, capsys, monkeypatch):
    words = evaluated(folder, "noise-distance/adversarial")
    assert run([*words, "--figures", tmp_path / "first"], capsys)[0] == 0
    with monkeypatch.context() as patch:
        patch.delattr(NoiseDistance, "train_generator")
        code, _, err = run([*words, "--figures", tmp_path / "second"], capsys)
        assert (code, "measured already" in err) == (0, True)
    # Without the file it is trained again, as it was.
    next(kept(folder).glob("generator-*")).unlink()
    assert run([*words, "--figures", tmp_path / "third"], capsys)[0] == 0
    first, *others = (
        {each.name: each.read_bytes() for each in (tmp_path / name).iterdir()} for name in ("first", "second", "third")
    )
    assert all(each == first for each in others)


def test_a_measurement_killed_after_the_training_does_not_train_again(folder, capsys, monkeypatch):
    words = evaluated(folder, "noise-distance")
    _, out, _ = run(words, capsys)
    shutil.rmtree(kept(folder) / "outcomes")
    (kept(folder) / "rows.jsonl").unlink()
    monkeypatch.delattr(NoiseDistance, "train_generator")
    assert run(words, capsys)[:2] == (0, out)


def test_another_kind_of_noise_later_adds_its_condition_only(folder, capsys):
    run(evaluated(folder, "noise-distance"), capsys)
    before = {each.name: each.stat().st_mtime_ns for each in (kept(folder) / "outcomes").glob("*noise*")}
    code, _, err = run(evaluated(folder, "noise-distance-3x3"), capsys)
    assert (code, "1 condition," in err) == (0, True)
    after = {each.name: each.stat().st_mtime_ns for each in (kept(folder) / "outcomes").glob("*noise*")}
    assert before.items() < after.items()
    conditions = [each.condition for each in OutcomeTable.read(kept(folder) / "outcomes").conditions]
    assert conditions[-1] == "adversarial noise 3x3 2 steps"
    assert len(set(conditions)) == len(conditions) == 4
    rows = [json.loads(line) for line in (kept(folder) / "rows.jsonl").read_text().splitlines()]
    pairs = [(row["measure"], row["condition"]) for row in rows if "condition" in row]
    assert len(set(pairs)) == len(pairs)
    assert {condition for _, condition in pairs} == set(conditions)


def test_a_damaged_generator_is_named(folder, capsys):
    words = evaluated(folder, "noise-distance/adversarial")
    run(words, capsys)
    shutil.rmtree(kept(folder) / "outcomes")
    path = next(kept(folder).glob("generator-*"))
    path.write_bytes(path.read_bytes()[:50])
    code, out, err = run(words, capsys)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == (f"withstand: evaluate: {path} is damaged; remove it to train the generator again.")


def table(tmp_path, capsys):
    lines = [f"{each % 2 * 3 + each / 100},{each % 7},{each % 5},{'ab'[each % 2]}" for each in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["width,height,depth,kind", *lines]) + "\n")
    words = ["--data=table", f"--data.path={tmp_path}/t.csv", "--data.target=kind", "--model=mlp", "--epochs=1"]
    assert run(["train", *words, "--quiet", "--output", tmp_path / "tables", "--device=cpu"], capsys)[0] == 0
    return next((tmp_path / "tables").iterdir())


def test_what_cannot_be_drawn_is_one_sentence_before_anything_is_measured(folder, tmp_path, capsys):
    taken, figures = tmp_path / "taken", tmp_path / "figures"
    taken.write_text("a file")
    readings = table(tmp_path, capsys)
    cases = {
        "evaluate: --figures needs noise-distance on images; add it to --on.": (folder, ["clean"], figures),
        f"evaluate: figures: expected a folder, found a file at {taken}.": (folder, ["noise-distance"], taken),
        "on: noise-distance needs images, got inputs of shape (3,); try clean or noise.": (
            readings,
            ["clean", "noise-distance"],
            figures,
        ),
    }
    for sentence, (model, on, target) in cases.items():
        code, out, err = run([*evaluated(model, *on), "--figures", target], capsys)
        assert (code, out, err) == (2, "", f"withstand: {sentence}\n")
        assert not (model / "evaluations").exists()
        assert not figures.exists()
    # A table without noise-distance is as clear.
    code, _, err = run([*evaluated(readings, "clean"), "--figures", figures], capsys)
    assert (code, err) == (
        2,
        "withstand: evaluate: --figures needs data with two numeric features, or noise-distance on images, "
        "got inputs of shape (3,).\n",
    )
