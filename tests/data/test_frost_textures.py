import hashlib
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from withstand.data import frost_textures
from withstand.data.frost_textures import TEXTURES, Texture, read_frost_textures
from withstand.errors import InputError


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty folders of data, cache and packages, and no network."""
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    standard_library = [each for each in sys.path if not each.endswith("site-packages")]
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages"), *standard_library])
    return [tmp_path / "data" / "frost", tmp_path / "cache" / "withstand" / "frost", tmp_path / "packages"]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two small textures, one with an alpha channel, in the place of the five."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 4), dtype=np.uint8)
    found = []
    for number, array in enumerate(pixels):
        name = tmp_path / f"frost{number}.png"
        Image.fromarray(array if number == 0 else array[..., :3]).save(name)
        found.append(Texture(name.name, 4, 6, hashlib.sha256(name.read_bytes()).hexdigest()))
    monkeypatch.setattr(frost_textures, "TEXTURES", tuple(found))
    return tmp_path, torch.from_numpy(pixels[..., :3].transpose(0, 3, 1, 2).copy())


def put(source, folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())


def test_published_textures_have_the_published_sizes(frost_textures):
    assert [tuple(each.shape[1:]) for each in frost_textures] == [(each.height, each.width) for each in TEXTURES]


@pytest.mark.parametrize("place", [0, 1])
def test_textures_are_found_under_the_data_root_and_in_the_cache(place, folders, small):
    source, pixels = small
    put(source, folders[place], "frost0.png", "frost1.png")
    assert torch.equal(torch.stack(read_frost_textures()), pixels)


def test_textures_of_an_installed_package_are_found_without_running_it(folders, small):
    source, pixels = small
    put(source, folders[0], "frost1.png")
    put(source, folders[2] / "imagecorruptions" / "frost", "frost0.png")
    (folders[2] / "imagecorruptions" / "__init__.py").write_text("raise RuntimeError")
    assert torch.equal(torch.stack(read_frost_textures()), pixels)
    assert "imagecorruptions" not in sys.modules


def test_what_is_missing_is_downloaded_to_the_cache(folders, small, monkeypatch):
    source, pixels = small
    put(source, folders[0], "frost0.png")
    asked = []

    def fetch(url, path, *, sha256, **_):
        asked.append((url, sha256))
        put(source, path.parent, path.name)

    monkeypatch.setattr(frost_textures, "fetch", fetch)
    assert torch.equal(torch.stack(read_frost_textures()), pixels)
    assert asked == [(f"{frost_textures.URL}/frost1.png", frost_textures.TEXTURES[1].sha256)]
    assert (folders[1] / "frost1.png").exists()


def test_a_network_that_fails_once_is_not_asked_again(folders, small, monkeypatch):
    source, _ = small
    put(source, folders[2] / "imagecorruptions" / "frost", "frost0.png", "frost1.png")
    (folders[2] / "imagecorruptions" / "__init__.py").touch()
    asked = []

    def fetch(url, path, *, sha256, **_):
        asked.append(url)
        raise InputError("download: no.")

    monkeypatch.setattr(frost_textures, "fetch", fetch)
    assert len(read_frost_textures()) == 2
    assert len(asked) == 1


@pytest.mark.parametrize("place", [0, 1])
def test_a_wrong_file_is_named(place, folders, small):
    source, _ = small
    put(source, folders[place], "frost0.png", "frost1.png")
    (folders[place] / "frost1.png").write_bytes(b"<html>")
    with pytest.raises(
        InputError, match=r"^frost: \S+frost1\.png is not the published file: .* remove or replace it\.$"
    ):
        read_frost_textures()


def test_where_there_is_none_the_message_says_where_it_was_looked_for_and_what_to_do(folders, small):
    with pytest.raises(InputError) as raised:
        read_frost_textures()
    message = str(raised.value)
    for part in (*map(str, folders[:2]), "imagecorruptions", "WITHSTAND_OFFLINE", "--frost procedural"):
        assert part in message
    assert message.count("\n") == 0
