"""Every reader of a file refuses a pipe, a folder, a device, a loop of links and an impossible name."""

import os
import shlex
import struct
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from withstand import plugins
from withstand.cli import COMMANDS, main
from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.download import check_sha256
from withstand.data.images.array_pickle import read_array_pickle
from withstand.data.images.cifar import read_binary
from withstand.data.images.cifar10 import CIFAR10
from withstand.data.images.class_map import ClassMap
from withstand.data.images.idx import read_idx
from withstand.data.images.image_file import read_image
from withstand.errors import InputError
from withstand.models.external.external import External
from withstand.models.weights import read_tensors
from withstand.options import read_experiment
from withstand.reading import places
from withstand.reading.places import check_output, check_unpacked, read_bytes
from withstand.study.records import read_json
from withstand.sweeps.sweep_file import load

DOORS = {
    "config": lambda path: read_experiment(["--config", str(path)]),
    "sweep": lambda path: load(str(path)),
    "plug-in": lambda path: plugins.load(f"{path}.py"),
    "weights": read_tensors,
    "model": lambda path: External(source=f"{path}.onnx").make((3, 8, 8), 2),
    "program": lambda path: External(source=f"{path}.pt2").make((3, 8, 8), 2),
    "script": lambda path: External(source=f"{path}.pt").make((3, 8, 8), 2),
    "idx": lambda path: read_idx("Mnist", path, num_axes=1),
    "cifar": lambda path: read_binary(CIFAR10, path),
    "pickle": lambda path: read_array_pickle("Cifar10", path),
    "class map": lambda path: ClassMap.read("ImageFolder", str(path)),
    "labels": lambda path: CorruptedArrays(root=str(path.parent), corruption="fog", severity=1).load("test"),
    "checksum": lambda path: check_sha256("frost", path, "0" * 64),
    "image": lambda path: _as_input(read_image, path),
    "record": read_json,
}
PLACES = ("pipe", "folder", "device", "loop", "nowhere", "long")


def _as_input(read, path):
    try:
        read(path, pixels=8, resize=None)
    except (OSError, ValueError) as problem:
        raise InputError(str(problem)) from problem


def strange(kind, folder):
    path = folder / ("labels.npy" if kind != "long" else "x" * 3000)
    if kind == "long":
        return path
    np.save(folder / "fog.npy", np.zeros((5, 2, 2, 3), np.uint8))
    for end in ("", ".py", ".onnx", ".pt2", ".pt"):
        each = path.with_name(path.name + end)
        if kind == "pipe":
            os.mkfifo(each)
        elif kind == "folder":
            each.mkdir()
        elif kind == "device":
            each.symlink_to("/dev/zero")
        elif kind == "loop":
            each.symlink_to(each.name)
    return path


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("kind", PLACES)
def test_what_is_no_file_is_refused_and_never_opened(door, kind, tmp_path):
    with pytest.raises(InputError):
        door(strange(kind, tmp_path))


@pytest.mark.parametrize("command", [each for each in COMMANDS if each not in ("list", "quickstart")])
@pytest.mark.parametrize("place", ["file", "file/x", "file/x/y", "pipe/x", "loop", "loop/x", "x" * 3000])
def test_an_output_where_no_folder_can_be_is_wrong_usage(command, place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sweep.yaml").write_text("set: {data: toy, epochs: 0}\n")
    (tmp_path / "images" / "a").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a" / "1.png")
    words = {
        "train": ["--data", "toy", "--model", "mlp", "--epochs", "0", "--output", place],
        "evaluate": ["--model", "mlp", "--data", "toy", "--weights", "file", "--output", place],
        "sweep": ["sweep.yaml", "--output", place],
        "report": ["images", "--output", place],
        "corrupt": ["images", place, "--size", "original", "--corruptions", "fog"],
    }[command]
    assert main([command, *words]) == 2
    if command != "report":  # which looks for runs first
        assert "expected a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_does_not_exist_yet_can_be_an_output(tmp_path):
    check_output("output", tmp_path / "a" / "b")
    check_output("output", tmp_path)


def test_a_folder_that_cannot_be_made_is_refused_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # whoever runs the tests may write everywhere
    with pytest.raises(InputError) as found:
        check_output("output", tmp_path / "a" / "b")
    assert str(found.value) == f"output: cannot make {tmp_path / 'a' / 'b'}; {tmp_path} is not a writable folder."
    check_output("output", tmp_path)  # it exists: what is read from it needs no right to write


def test_no_more_than_the_largest_size_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, most=5) == b"12345"
    with pytest.raises(OSError, match="larger"):
        read_bytes(path, most=4)
    os.truncate(path, 1 << 40)  # sparse
    with pytest.raises(OSError, match="larger"):
        read_bytes(path, most=1 << 20)


@pytest.mark.parametrize("end", [".pth", ".pt", ".pt2"])
def test_archives_that_unpack_without_end_are_refused(end, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "MARGIN", 1 << 16)
    path = tmp_path / f"model{end}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1 << 22))
    read = read_tensors if end == ".pth" else lambda path: External(source=str(path)).make((3, 8, 8), 2)
    with pytest.raises(InputError, match="unpack"):
        read(path)


def test_an_archive_on_several_disks_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 2) + b"PK\x05\x06" + bytes(18))
    with pytest.raises(InputError, match=r"model\.pth is damaged"):
        read_tensors(path)


def test_weights_of_pytorch_are_no_archive_that_unpacks_without_end(tmp_path):
    torch.save({"a": torch.zeros(10_000)}, tmp_path / "a.pth")
    check_unpacked("weights", tmp_path / "a.pth")
    assert len(read_tensors(tmp_path / "a.pth")["a"]) == 10_000


def test_the_command_after_a_training_is_quoted(tmp_path, capsys):
    words = ["--data", "toy", "--model", "mlp", "--epochs", "0", "--output", str(tmp_path / "$(id) `id`")]
    assert main(["train", *words]) == 0
    suggested = capsys.readouterr().err.partition("next: ")[2].strip()
    assert shlex.split(suggested)[2].startswith(str(tmp_path / "$(id) `id`"))
