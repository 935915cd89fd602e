"""`withstand evaluate` keeps pictures beside the outcomes, of the inputs that were measured; a report shows them."""

import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from withstand.cli import main
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.picked_mistakes import pick_mistakes
from withstand.study.pictures import read_pictures

ON = ["--on", "clean", "fog/1", "fog/5", "gaussian_noise/3"]


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    words = ["--name=net", "--epochs=1", "--model.width=4", "--quiet", f"--output={root}", "--device=cpu"]
    assert main(["train", *words]) == 0
    return next(root.glob("net-*"))


@pytest.fixture
def trained(net, tmp_path):
    """A run that has only been trained, whatever other tests measured before."""
    return shutil.copytree(net, tmp_path / net.name)


def evaluated(capsys, run, *options):
    capsys.readouterr()
    code = main(["evaluate", str(run), "--device=cpu", "--format=json", *options])
    return code, *capsys.readouterr()


def kept(run, data="Digits"):
    """Return the file of pictures and the outcomes beside it."""
    for path in run.glob("evaluations/*/pictures.parquet"):
        table = OutcomeTable.read(path.parent / "outcomes")
        if table.data == data:
            return path, table
    raise AssertionError("nothing was kept")


def test_pictures_are_kept_beside_the_outcomes_and_made_once(trained, capsys):
    code, out, _ = evaluated(capsys, trained, *ON, "-b", "100")
    assert code == 0
    path, table = kept(trained)
    found = read_pictures(path)
    own = {name: {each.number for each in found if each.condition == name} for name in ON[1:]}
    assert set.intersection(*own.values()) == own["fog/1"]
    assert len(own["fog/1"]) == 12
    labels = dict(table.samples.select("number", "label").iter_rows())
    assert {labels[each] for each in own["fog/1"]} == set(range(10))
    mistakes = {each.condition: {mistake.index for mistake in each.worst} for each in pick_mistakes(table).conditions}
    assert {name: own["fog/1"] | each for name, each in mistakes.items()} == {
        name: each for name, each in own.items() if name in mistakes
    }
    assert {Image.open(io.BytesIO(each)).size for each in found.values()} == {(32, 32)}
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert evaluated(capsys, trained, *ON)[1] == out
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    # Made again, whatever the batches, they are the same file.
    path.unlink()
    assert evaluated(capsys, trained, *ON, "-b", "50")[0] == 0
    assert path.read_bytes() == before[1]


def test_further_conditions_are_added(trained, capsys):
    assert evaluated(capsys, trained, "--on", "clean")[0] == 0
    before = read_pictures(kept(trained)[0])
    assert evaluated(capsys, trained, "--on", "contrast/2")[0] == 0
    after = read_pictures(kept(trained)[0])
    assert before.items() <= after.items()
    assert {each.condition for each in after} - {each.condition for each in before} == {"contrast/2"}


def test_a_report_shows_them(trained, tmp_path, capsys):
    assert evaluated(capsys, trained, *ON)[0] == 0
    assert main(["report", str(trained.parent), "--output", str(tmp_path), "--quiet"]) == 0
    text = (tmp_path / "index.html").read_text()
    assert 'id="mistakes"' in text
    assert text.count('<img src="data:image/jpeg') > 0
    content = json.loads(re.search(r'id="example-data">(.*?)</script>', text, re.DOTALL).group(1))
    assert {"clean", "fog", "gaussian noise"} <= {each["name"] for each in content["cards"]}


def test_a_report_goes_on_without_a_damaged_file_and_names_it(trained, tmp_path, capsys):
    assert evaluated(capsys, trained, *ON)[0] == 0
    path, _ = kept(trained)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert main(["report", str(trained.parent), "--output", str(tmp_path / "report"), "--quiet"]) == 0
    assert path.name in (tmp_path / "report" / "report.md").read_text()
    assert path.name in capsys.readouterr().out
    path.write_bytes(content)


def test_images_that_are_corrupted_already_have_pictures_too(trained, tmp_path, capsys):
    images = np.zeros((50, 32, 32, 3), dtype=np.uint8) + np.arange(50, dtype=np.uint8)[:, None, None, None]
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(50) % 10)
    assert evaluated(capsys, trained, "--data=corrupted-arrays", f"--data.root={tmp_path}")[0] == 0
    path, _ = kept(trained, "CorruptedArrays")
    found = {key: np.asarray(Image.open(io.BytesIO(each))) for key, each in read_pictures(path).items()}
    # Ten images follow one another for each severity.
    assert {key.condition for key in found} == {f"fog/{severity}" for severity in range(1, 6)}
    for key, each in found.items():
        assert np.abs(each.astype(int) - 10 * (int(key.condition[-1]) - 1) - key.number).max() <= 2
