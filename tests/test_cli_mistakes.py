"""`withstand evaluate --mistakes`: kept beside the rows, of the inputs that were measured, and shown by a report."""

import json

import numpy as np
import pytest

from withstand.cli import main
from withstand.study.mistakes import read_mistakes

ON = ["--on", "clean", "fog/1", "fog/5", "gaussian_noise/3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    words = ["--name=net", "--epochs=1", "--model.width=4", "--quiet", f"--output={root}", "--device=cpu"]
    assert main(["train", *words]) == 0
    return next(root.glob("net-*"))


def evaluated(capsys, run, *options):
    capsys.readouterr()
    code = main(["evaluate", str(run), "--device=cpu", "--format=json", *options])
    return code, *capsys.readouterr()


def kept(run):
    (path,) = run.glob("evaluations/*/mistakes.npz")
    return path


def test_mistakes_are_kept_beside_the_rows_and_made_once(trained, capsys):
    code, out, err = evaluated(capsys, trained, *ON, "--mistakes", "-b", "100")
    assert code == 0
    path = kept(trained)
    assert f"Mistakes: {path}" in err
    assert {each.name for each in path.parent.iterdir()} == {"config.yaml", "lock", "mistakes.npz", "rows.jsonl"}
    found = read_mistakes(path)
    assert (found.data, found.seed, len(found.classes)) == ("Digits", 0, 10)
    assert [each.condition for each in found.conditions] == ["clean", "fog/5", "gaussian_noise/3"]
    rows = {row["condition"]: row for row in json.loads(out)["rows"] if row["measure"] == "top1"}
    for each in found.conditions:
        assert (each.hits.sum(), each.sizes.sum()) == (rows[each.condition]["total"], rows[each.condition]["count"])
        assert each.example.shape == (32, 32, 3)
    # The same or fewer conditions are there already; the rows are the same without the option.
    before = path.stat().st_mtime_ns, path.read_bytes()
    for options in ([*ON, "--mistakes"], ["--on", "clean", "fog/5", "--mistakes"]):
        code, _, err = evaluated(capsys, trained, *options)
        assert (code, "Mistakes:" in err, "measured already" in err) == (0, False, True)
    assert evaluated(capsys, trained, *ON)[1] == out
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    # Made again, whatever the batches, they are the same file.
    path.unlink()
    assert evaluated(capsys, trained, *ON, "--mistakes", "-b", "100")[0] == 0
    assert path.read_bytes() == before[1]


def test_other_conditions_are_looked_at_anew(trained, capsys):
    assert evaluated(capsys, trained, "--on", "contrast/2", "--mistakes")[0] == 0
    assert [each.condition for each in read_mistakes(kept(trained)).conditions] == ["clean", "contrast/2"]


def test_a_report_shows_them(trained, tmp_path, capsys):
    assert evaluated(capsys, trained, *ON, "--mistakes")[0] == 0
    assert main(["report", str(trained.parent), "--output", str(tmp_path), "--quiet"]) == 0
    text = (tmp_path / "index.html").read_text()
    number = sum(len(each.worst) for each in read_mistakes(kept(trained)).conditions)
    assert 'id="mistakes"' in text
    assert text.count("<img src=") == number > 0
    assert (tmp_path / "figures" / "example-images.png").is_file()
    assert "### Example images" in (tmp_path / "report.md").read_text()


def test_a_damaged_file_ends_with_a_sentence_and_exit_code_2(trained, tmp_path, capsys):
    assert evaluated(capsys, trained, "--mistakes")[0] == 0
    path = kept(trained)
    path.write_bytes(path.read_bytes()[:100])
    code, out, err = evaluated(capsys, trained, "--mistakes")
    assert (code, out) == (2, "")
    assert str(path) in err
    assert "Traceback" not in err
    assert main(["report", str(trained.parent), "--output", str(tmp_path / "report"), "--quiet"]) == 2
    path.unlink()


def test_images_that_are_corrupted_already_are_refused(trained, tmp_path, capsys):
    stack = np.zeros((10, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "fog.npy", stack)
    np.save(tmp_path / "labels.npy", np.arange(10) % 10)
    data = ["--data=corrupted-arrays", f"--data.root={tmp_path}"]
    code, _, err = evaluated(capsys, trained, *data, "--mistakes")
    assert code == 2
    assert "evaluate: --mistakes shows one image under every condition, so it needs clean images, got data that" in err
