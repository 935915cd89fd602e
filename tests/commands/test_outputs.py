"""Folders for results that are named by `file://` or `~`: those that other tools would take."""

from types import SimpleNamespace

import pytest
from PIL import Image

from withstand.cli import main
from withstand.commands.pooling import stored
from withstand.options import start


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """The working folder, which is the home folder as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("text", ["file://{}/runs", "local://{}/runs", "~/runs", "{}/runs"])
def test_a_folder_for_results_is_local_and_absolute(empty, text):
    with stored(text.format(empty)) as (folder, mirrors):
        assert (folder, mirrors) == (empty / "runs", ())
    options = SimpleNamespace(output=text.format(empty), workers=0, device="cpu", quiet=True)
    assert start(options)[2] == empty / "runs"


def test_copies_and_reports_take_local_addresses(empty, capsys):
    for name in "ab":
        (empty / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(empty / "photos" / name / "1.png")
    source = f"file://{empty}/photos"
    words = ["--size", "32", "--corruptions", "contrast", "--severities", "1", "--device", "cpu", "--quiet"]
    assert main(["corrupt", source, f"file://{empty}/copy", *words]) == 0
    assert (empty / "copy" / "manifest.json").is_file()
    assert main(["corrupt", source, f"file://{empty}/photos/copy", *words]) == 2
    assert "outside of" in capsys.readouterr().err
    assert main(["report", f"file://{empty}/photos"]) == 2
    assert "file:" not in capsys.readouterr().err
    assert not (empty / "file:").exists()
