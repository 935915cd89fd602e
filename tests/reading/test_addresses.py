import pickle
import sys
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pytest

from withstand.errors import InputError
from withstand.reading import addresses, listings
from withstand.reading.addresses import Address
from withstand.reading.places import open_packed, place_of, read_bytes


@pytest.fixture
def folder():
    """A folder in the file system in memory."""
    from fsspec.implementations.memory import MemoryFileSystem

    root = f"/test-{uuid4().hex}"
    for name, content in {
        "b/2.txt": b"two",
        "b/1.txt": b"one",
        "b-c/3.txt": b"three",
        "b/.hidden/4.txt": b"",
        ".hidden.txt": b"",
        "empty.txt": b"",
    }.items():
        MemoryFileSystem().pipe_file(f"{root}/{name}", content)
    yield place_of(f"memory:/{root}")
    MemoryFileSystem().rm(root, recursive=True)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bucket/a//", Address(text="s3://bucket/a")),
        ("S3://bucket", Address(text="s3://bucket")),
        ("file:///a/b", Path("/a/b")),
        ("C:/a", Path("C:/a")),
        ("c://a", Path("c://a")),
        ("a:b", Path("a:b")),
        ("~nobody-at-all/a", Path("~nobody-at-all/a")),
    ],
)
def test_texts_become_places(text, place):
    assert place_of(text) == place


def test_addresses_have_the_parts_of_paths():
    place = place_of("s3://bucket/a/b.tar.gz")
    assert isinstance(place, Address)
    assert (place.name, place.stem, place.suffix) == ("b.tar.gz", "b.tar", ".gz")
    assert str(place.parent) == "s3://bucket/a"
    assert str(place.with_name("c")) == "s3://bucket/a/c"
    assert str(place.parent.parent.parent) == "s3://bucket"
    assert place / "." == place
    assert str(place.parent / "./c/d") == "s3://bucket/a/c/d"
    assert place.relative_to(place.parent.parent) == PurePosixPath("a/b.tar.gz")
    assert pickle.loads(pickle.dumps(place)) == place


def test_folders_are_listed_like_local_ones(folder):
    assert folder.entries() == {"b": True, "b-c": True, "empty.txt": False}
    assert folder.files() == ["b-c/3.txt", "b/1.txt", "b/2.txt", "empty.txt"]
    assert (folder / "none").files() == []
    assert (folder / "none").entries() == {}
    assert [each.is_dir() for each in (folder, folder / "b", folder / "b/1.txt", folder / "none")] == [
        True,
        True,
        False,
        False,
    ]
    assert [each.is_file() for each in (folder, folder / "b/1.txt", folder / "none")] == [False, True, False]


def test_listings_are_made_again_after_a_minute(folder, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    now = [0.0]
    monkeypatch.setattr(listings.time, "monotonic", lambda: now[0])
    assert len(folder.files()) == 4
    MemoryFileSystem().pipe_file(f"{folder.text.removeprefix('memory:/')}/new.txt", b"")
    now[0] = listings.SECONDS - 1
    assert len(folder.files()) == 4
    now[0] = listings.SECONDS + 1
    assert len(folder.files()) == 5


@pytest.mark.parametrize("at_once", [2, 3, 4, 100])
def test_files_are_read_whole_or_refused(folder, at_once, monkeypatch):
    monkeypatch.setattr(addresses, "AT_ONCE", at_once)
    assert read_bytes(folder / "b/1.txt", most=3) == b"one"
    assert read_bytes(folder / "empty.txt", most=3) == b""
    with pytest.raises(OSError, match="larger than 2 bytes"):
        read_bytes(folder / "b/1.txt", most=2)
    with pytest.raises(FileNotFoundError):
        read_bytes(folder / "none", most=2)


@pytest.mark.parametrize("buffering", [1, 2, 100])
def test_opened_files_can_be_read_anywhere(folder, buffering):
    with (folder / "b-c/3.txt").open("rb", buffering=buffering) as file:
        assert file.read(2) == b"th"
        assert file.seek(-1, 2) == 4
        assert file.read() == b"e"
        assert file.read(1) == b""
        file.seek(1)
        assert (file.read(), file.tell()) == (b"hree", 5)
        file.seek(50)
        assert file.read() == b""
        with pytest.raises(OSError, match="start"):
            file.seek(-60, 1)
    with pytest.raises(FileNotFoundError):
        (folder / "none").open("rb")


def test_files_packed_by_gzip_are_opened(folder):
    import gzip

    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem().pipe_file(f"{folder.text.removeprefix('memory:/')}/a.gz", gzip.compress(b"content"))
    with open_packed(folder / "a.gz") as file:
        assert file.read() == b"content"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"withstand\[remote\]"):
        place_of("s3://bucket/a").is_file()


@pytest.mark.parametrize("text", ["simplecache::s3://a/b", "zip://a::s3://b", "s3://a::b"])
def test_chains_of_file_systems_are_refused_or_paths(text):
    if text.startswith("simplecache"):
        assert isinstance(place_of(text), Path)
        return
    with pytest.raises(InputError, match="one file system"):
        place_of(text)


@pytest.mark.parametrize("name", ["a//b", "../a", "a/../../b", "a/./b"])
def test_paths_that_lead_out_of_a_folder_are_refused(name):
    with pytest.raises(InputError, match="below its folder"):
        listings.check_below("data", name)


def test_a_large_file_of_unknown_size_is_refused_rather_than_cut(folder, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    info = MemoryFileSystem.info
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *args, **kwargs: info(*args, **kwargs) | {"size": None})
    assert (folder / "b/1.txt").read_bytes(most=9) == b"one"
    monkeypatch.setattr(addresses, "AT_ONCE", 2)
    with pytest.raises(OSError, match="size is unknown"):
        (folder / "b/1.txt").read_bytes(most=9)
    with pytest.raises(OSError, match="size is unknown"):
        (folder / "b/1.txt").open()
