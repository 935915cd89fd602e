"""`withstand corrupt` from addresses and from tar shards: the files are those of a local folder."""

import tarfile

import pytest

from withstand.cli import main
from withstand.data.images.image_folder import ImageFolder


@pytest.fixture
def photos(every_layout, tmp_path, monkeypatch):
    """The readable photographs of the test part, and the same in shards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = every_layout / "photos/train"
    (tmp_path / "shards").mkdir()
    for number, name in enumerate(sorted(each.name for each in source.iterdir())):
        with tarfile.open(tmp_path / f"shards/{number}.tar", "w") as archive:
            archive.add(source / name, name)
    return source


def run(*words):
    return main(["corrupt", *words, "--severities", "2", "--device", "cpu", "--quiet"])


def sums(folder):
    return (folder / "SHA256SUMS").read_text()


def test_copies_equal_those_of_a_local_folder(photos, tmp_path, in_memory):
    address, shards = in_memory(photos), in_memory(tmp_path / "shards")
    sources = [
        str(photos),
        address,
        str(tmp_path / "shards"),
        f"{tmp_path}/shards/{{0..2}}.tar",
        f"{shards}/{{0..2}}.tar",
    ]
    found = set()
    for number, source in enumerate(sources):
        run(source, str(tmp_path / f"copy{number}"), "--corruptions", "contrast", "--size", "32", "--workers", "0")
        found.add(sums(tmp_path / f"copy{number}"))
    assert len(found) == 1
    assert len(found.pop().splitlines()) == len(ImageFolder(root=str(photos)).load("test"))


def test_copies_of_whole_images_equal_those_of_a_local_folder(every_layout, tmp_path, in_memory):
    words = ["--corruptions", "contrast", "--size", "original", "--workers", "0", "--data.on_bad_image", "skip"]
    for name, source in (("local", every_layout / "photos"), ("remote", in_memory(every_layout / "photos"))):
        run(str(source), str(tmp_path / name), *words)
    assert sums(tmp_path / "local") == sums(tmp_path / "remote")
    assert "notes.txt" in sums(tmp_path / "remote")


@pytest.mark.parametrize(
    ("source", "more", "told"),
    [
        ("memory://nothing/here", [], "no folder of images, image or shard at memory://nothing/here"),
        ("unheard-of://a/b", [], "protocol"),
        ("missing-{0..1}.tar", [], "missing-0.tar"),
        ("missing.tar", ["--size", "original"], "unpack"),
    ],
)
def test_sources_that_cannot_be_read_are_one_sentence(source, more, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(source, "copy", *more) == 2
    message = capsys.readouterr().err
    assert told in message
    assert "Traceback" not in message
    assert not (tmp_path / "copy").exists()
