"""Options of clusters: what cannot be used is refused before anything is read or written."""

from shutil import which

import pytest

from withstand.cli import main

pytest.importorskip("submitit")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--address", "locl"], "must be auto, local, HOST:PORT or ray://HOST:PORT, got locl"),
        (["--slurm", "--slurm-options", "cluster=local,timout_min=3"], "timout_min"),
        (["--slurm", "--slurm-options", "partition"], "must be NAME=VALUE"),
        pytest.param(
            ["--slurm"], "found no srun", marks=pytest.mark.skipif(which("srun") is not None, reason="has Slurm")
        ),
    ],
)
def test_what_no_cluster_takes_is_refused_and_nothing_is_written(words, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "photographs"
    source.mkdir()
    for command in (
        ["corrupt", str(source), str(tmp_path / "copy")],
        ["evaluate", "a-run"],
        ["sweep", "toy-landscapes", "--small"],
    ):
        assert main([*command, *words]) == 2
        err = capsys.readouterr().err
        assert text in err, err
        assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [source]
