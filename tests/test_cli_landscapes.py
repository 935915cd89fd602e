"""Figures of decisions over a plane, on the command line."""

from functools import partial

import pytest
from PIL import Image

from withstand.cli import main
from withstand.commands import drawing
from withstand.evaluation.landscape import draw_landscape

BALL = ["--on", "clean", "worst-case", "--radius", "0.1"]


def train(root, name, *options):
    words = [f"--name={name}", "--model=mlp", "--epochs=1", "--quiet", f"--output={root}", "--device=cpu", *options]
    assert main(["train", *words]) == 0
    return next(root.glob(f"{name}-*"))


@pytest.fixture(autouse=True)
def _small_figures(monkeypatch):
    monkeypatch.setattr("withstand.reports.figures.tools.style.DOTS_PER_INCH", 60)
    monkeypatch.setattr(drawing, "draw_landscape", partial(draw_landscape, num_ticks=41))


@pytest.fixture(scope="module")
def moons(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    toy = ["--data=toy", "--data.num-test=40", "--data.num-train=100"]
    return [train(root, f"net{seed}", *toy, f"--seed={seed}") for seed in (0, 1)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    lines = [f"{each % 2 * 3 + each / 100},{each % 7},{each / 5},{'ab'[each % 2]}" for each in range(60)]
    (root / "t.csv").write_text("\n".join(["width,height,depth,kind", *lines]) + "\n")
    return train(root, "table", "--data=table", f"--data.path={root}/t.csv", "--data.target=kind")


def evaluated(capsys, runs, folder, *options):
    capsys.readouterr()
    words = ["evaluate", *map(str, runs), "--device=cpu", "--format=json", "--figures", str(folder), *options]
    code = main(words)
    return code, *capsys.readouterr()


def names(folder):
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.slow
def test_every_model_and_all_of_them_together_get_a_figure_and_rows_stay(moons, tmp_path, capsys):
    code, _, err = evaluated(capsys, moons, tmp_path / "figures", *BALL)
    stems = ["landscapes-linf-0.1", *(f"{run.name[:-17]}-landscape-linf-0.1" for run in moons)]
    assert code == 0
    assert names(tmp_path / "figures") == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg"))
    for stem in stems:
        png = tmp_path / "figures" / f"{stem}.png"
        assert f"Figure: {png} (and .svg)" in err
        assert len(Image.open(png).getcolors(2**24)) > 100
    # What was measured before is drawn alike, and the rows are those without figures.
    code, again, err = evaluated(capsys, moons[:1], tmp_path / "again", *BALL)
    assert (code, "measured already" in err) == (0, True)
    first = tmp_path / "again" / f"{stems[1]}.png"
    assert first.read_bytes() == (tmp_path / "figures" / first.name).read_bytes()
    assert main(["evaluate", str(moons[0]), "--device=cpu", "--format=json", *BALL]) == 0
    assert capsys.readouterr().out == again


def test_data_without_two_features_get_none_beside_data_that_have_them(moons, table, tmp_path, capsys):
    code, out, _ = evaluated(capsys, [moons[0], table], tmp_path, "--on", "clean")
    assert (code, f'"{table.name[:-17]}"' in out) == (0, True)
    assert names(tmp_path) == [f"{moons[0].name[:-17]}-landscape.{kind}" for kind in ("png", "svg")]
