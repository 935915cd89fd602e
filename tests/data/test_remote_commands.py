"""Commands with data in an object store and in tar shards: rows equal those of a local folder."""

import json
import tarfile

import pytest

from withstand.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def rows(folder):
    """The rows of a run, without what names the data and when."""
    found = [json.loads(each) for path in folder.rglob("rows.jsonl") for each in path.read_text().splitlines()]
    left_out = ("run", "data", "started", "finished", "seconds", "identity", "source")
    return [{name: value for name, value in each.items() if name not in left_out} for each in found]


def test_training_and_evaluation_give_equal_rows(every_layout, in_memory, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos = every_layout / "photos"
    (tmp_path / "shards").mkdir()
    names = sorted(each.name for each in (photos / "val").iterdir() if each.is_dir())
    for part in ("train", "val"):
        with tarfile.open(tmp_path / f"shards/{part}-0.tar", "w") as archive:
            for name in names:
                archive.add(photos / part / name, name, filter=lambda each: None if "txt" in each.name else each)
    address, shards = in_memory(photos), in_memory(tmp_path / "shards")
    sources = {
        "local": ["image-folder", "--data.root", str(photos)],
        "remote": ["image-folder", "--data.root", address],
        "shards": ["web-dataset", "--data.path", f"{shards}/val-{{0..0}}.tar", "--data.train", f"{shards}/train-0.tar"],
    }
    sources["names"] = [*sources["shards"], "--data.classes", json.dumps(names)]
    found = {}
    for name, words in sources.items():
        fields = ["--data.pixels", "32", "--data.resize", "null", "--data.on_bad_image", "skip"]
        options = ["--model", "mlp", "--epochs", "1", "--batch_size", "4", "-j", "2"]
        options += ["--output", str(tmp_path / name), "--device", "cpu", "--quiet"]
        assert main(["train", "--data", *words, *fields, *options]) == 0
        (run,) = [each.parent for each in (tmp_path / name).rglob("config.yaml")]
        assert main(["evaluate", str(run), "--on", "clean", "contrast/2", "-j", "0", "--device", "cpu", "--quiet"]) == 0
        found[name] = rows(tmp_path / name)
    assert found["local"]
    assert found["local"] == found["remote"] == found["shards"] == found["names"]
