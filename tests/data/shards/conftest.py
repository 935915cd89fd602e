import io
import tarfile

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Keep the indices of shards, all of them, in a cache of their own."""
    monkeypatch.setattr("withstand.data.shards.shard_index.LEAST_SECONDS", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def pack():
    """Writes an uncompressed tar file from content by name."""

    def write(path, files, *, format=tarfile.PAX_FORMAT):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=format) as archive:
            for name, content in files:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    return write
