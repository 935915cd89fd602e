"""`withstand evaluate` keeps the mistakes beside the rows, of the inputs that were measured; a report shows them."""

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


def kept(run, data="Digits"):
    (path,) = [each for each in run.glob("evaluations/*/mistakes.npz") if read_mistakes(each).data == data]
    return path


def test_mistakes_are_kept_beside_the_rows_and_made_once(trained, capsys):
    code, out, _ = evaluated(capsys, trained, *ON, "-b", "100")
    assert code == 0
    path = kept(trained)
    found = read_mistakes(path)
    assert (found.data, found.seed, len(found.classes)) == ("Digits", 0, 10)
    assert sorted(each.condition for each in found.conditions) == ["clean", "fog/5", "gaussian_noise/3"]
    rows = {row["condition"]: row for row in json.loads(out)["rows"] if row["measure"] == "top1"}
    for each in found.conditions:
        row = rows[each.condition]
        assert (each.hits.sum(), each.sizes.sum()) == (round(row["value"] * row["count"]), row["count"])
        assert each.example.shape == (32, 32, 3)
        assert len(each.worst) == min(4, each.sizes.sum() - each.hits.sum())
        assert all(mistake.thumbnail is not None for mistake in each.worst)
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert evaluated(capsys, trained, *ON)[1] == out
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    # Made again, whatever the batches, they are the same file.
    path.unlink()
    assert evaluated(capsys, trained, *ON, "-b", "50")[0] == 0
    assert path.read_bytes() == before[1]


def test_further_conditions_are_added_and_lower_severities_are_not(trained, capsys):
    assert evaluated(capsys, trained, "--on", "clean")[0] == 0
    before = kept(trained).stat().st_mtime_ns
    for condition in ("contrast/2", "contrast/1"):
        assert evaluated(capsys, trained, "--on", condition)[0] == 0
    found = {each.condition for each in read_mistakes(kept(trained)).conditions}
    assert {"clean", "contrast/2"} <= found
    assert "contrast/1" not in found
    after = kept(trained).stat().st_mtime_ns
    assert after > before
    assert evaluated(capsys, trained, "--on", "contrast/1")[0] == 0
    assert kept(trained).stat().st_mtime_ns == after


def test_images_that_are_corrupted_already_have_mistakes_too(trained, tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(50) % 10)
    assert evaluated(capsys, trained, "--data=corrupted-arrays", f"--data.root={tmp_path}")[0] == 0
    (own,) = read_mistakes(kept(trained, "CorruptedArrays")).conditions
    assert own.condition == "fog/5"
    assert np.array_equal(own.example, images[40])
    assert all(np.array_equal(each.thumbnail, images[40 + each.index]) for each in own.worst)


def test_a_report_shows_them(trained, tmp_path, capsys):
    assert evaluated(capsys, trained, *ON)[0] == 0
    assert main(["report", str(trained.parent), "--output", str(tmp_path), "--quiet"]) == 0
    text = (tmp_path / "index.html").read_text()
    assert 'id="mistakes"' in text
    assert text.count("<img src=") > 0
    assert (tmp_path / "figures" / "example-images.png").is_file()
    assert "### Example images" in (tmp_path / "report.md").read_text()


def test_a_damaged_file_ends_a_report_with_a_sentence_and_exit_code_2(trained, tmp_path, capsys):
    assert evaluated(capsys, trained, *ON)[0] == 0
    path = kept(trained)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert main(["report", str(trained.parent), "--output", str(tmp_path / "report"), "--quiet"]) == 2
    err = capsys.readouterr().err
    assert str(path) in err
    assert "Traceback" not in err
    path.write_bytes(content)
