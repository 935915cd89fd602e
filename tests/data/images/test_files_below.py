import os
import socket

import pytest

from withstand.data.images.files_below import subfolders, walk_files, walk_images
from withstand.errors import InputError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_in_any_depth_are_found_and_hidden_ones_are_not(tmp_path):
    touch(tmp_path, "1.jpg", "a/2.PNG", "a/b/c/3.tiff", "a/labels.json", ".hidden.jpg", "a/.checkpoints/2.png")
    assert sorted(walk_files(tmp_path)) == ["1.jpg", "a/2.PNG", "a/b/c/3.tiff", "a/labels.json"]
    assert sorted(walk_images(tmp_path)) == ["1.jpg", "a/2.PNG", "a/b/c/3.tiff"]


@pytest.mark.parametrize("end", ["jpg", "jpeg", "JFIF", "Png", "ppm", "pgm", "BMP", "tif", "TIFF", "webp", "GIF"])
def test_images_are_known_by_their_suffix_in_any_case(tmp_path, end):
    touch(tmp_path, f"image.{end}")
    assert list(walk_images(tmp_path)) == [f"image.{end}"]


def test_pipes_and_sockets_are_skipped_and_links_to_nowhere_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    touch(tmp_path, "1.jpg")
    os.mkfifo("pipe.jpg")
    (tmp_path / "linked.jpg").symlink_to("pipe.jpg")
    (tmp_path / "nowhere.jpg").symlink_to("gone.jpg")
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("socket.jpg")
        assert sorted(walk_files(tmp_path)) == ["1.jpg", "nowhere.jpg"]


def test_every_folder_is_read_once_by_its_own_path_and_none_above(tmp_path):
    root = tmp_path / "root"
    touch(tmp_path, "beside/x.jpg", "above.jpg")
    touch(root, "z/deep/1.jpg")
    (root / "a").symlink_to("z/deep")
    (root / "z" / "deep" / "up").symlink_to("../..")
    (root / "z" / "far_up").symlink_to(tmp_path)
    (root / "m").symlink_to(tmp_path / "beside")
    (root / "n").symlink_to(tmp_path / "beside")
    assert sorted(walk_files(root)) == ["m/x.jpg", "z/deep/1.jpg"]
    assert subfolders(root) == ["a", "m", "z"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "closed/1.jpg")

    def scan(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(InputError, match=r"closed cannot be read \(Permission denied\)"):
        list(walk_files(tmp_path))
