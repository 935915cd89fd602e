"""Sweeps, evaluations and copies whose sources and results lie on a server that speaks S3: equal to local ones."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from withstand.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning", "ignore:datetime.datetime.utc:DeprecationWarning"
    ),
]
CHANGES = ("manifest.json", "provenance.json", "sweep.json", "lock")  # hold times, paths and commands


@pytest.fixture(scope="module")
def photographs(store, tmp_path_factory) -> Path:
    """A folder of images, which are in the bucket, too."""
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for number in range(150):
        path = folder / "val" / f"class{number % 3}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
        store.put_file(str(path), f"bucket/photographs/{path.relative_to(folder).as_posix()}")
    return folder


def local(folder: Path) -> dict[str, bytes]:
    found = {each.relative_to(folder).as_posix(): each for each in folder.rglob("*") if each.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "checkpoints/" not in name}


def remote(store, folder: str) -> dict[str, bytes]:
    return {name.removeprefix(f"{folder}/"): store.cat_file(name) for name in store.find(folder)}


def assert_same(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    one, two = ({name: each for name, each in own.items() if Path(name).name not in CHANGES} for own in (one, two))
    assert set(one) == set(two)
    assert one == two


def test_copies(store, photographs, tmp_path):
    options = ["--corruptions", "contrast", "fog", "--size", "32", "--device", "cpu", "-j", "2"]
    assert main(["corrupt", str(photographs / "val"), str(tmp_path / "copy"), *options]) == 0
    source = "s3://bucket/photographs/val"
    assert main(["corrupt", source, "s3://bucket/copy", *options]) == 0
    assert_same(local(tmp_path / "copy"), remote(store, "bucket/copy"))
    before = store.info("bucket/copy/manifest.json")["LastModified"]
    assert main(["corrupt", source, "s3://bucket/copy", *options]) == 0  # complete already
    assert store.info("bucket/copy/manifest.json")["LastModified"] == before
    assert main(["corrupt", source, "s3://bucket/arrays", *options, "--to", "npy"]) == 2


def test_sweeps_and_evaluations(store, tmp_path, capsys):
    path = tmp_path / "s.yaml"
    content = {"model": "small-cnn", "model.width": 4, "epochs": 1, "data": "digits"}
    path.write_text(yaml.safe_dump({"set": content, "vary": {"lr": [0.01, 0.1]}}))
    words = ["sweep", str(path), "--device", "cpu", "-j", "2", "--output"]
    assert main([*words, str(tmp_path / "runs")]) == 0
    assert main([*words, "s3://bucket/runs"]) == 0
    assert_same(local(tmp_path / "runs"), remote(store, "bucket/runs"))
    capsys.readouterr()
    assert main([*words, "s3://bucket/runs"]) == 0
    told = capsys.readouterr()
    assert "withstand-" not in told.out + told.err
    assert "s3://bucket/runs/s" in told.out
    name = next(each.name for each in (tmp_path / "runs" / "s").iterdir() if each.is_dir())
    options = ["--on", "clean", "contrast/3", "--device", "cpu", "-j", "2", "--batch-size", "40"]
    assert main(["evaluate", str(tmp_path / "runs" / "s" / name), *options]) == 0
    assert main(["evaluate", f"s3://bucket/runs/s/{name}", *options]) == 0
    assert_same(local(tmp_path / "runs" / "s" / name), remote(store, f"bucket/runs/s/{name}"))
    assert main(["report", "s3://bucket/runs/s", "--output", str(tmp_path / "report")]) == 0
    assert (tmp_path / "report" / "index.html").is_file()
