import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from withstand.data.shards.tar_members import walk_members

NAMES = ("a.jpg", "folder/" + "long" * 60 + ".jpg", "caf\u00e9/1.jpg", "x" * 99, "d/" * 60 + "end.jpg")


def found(content):
    return list(walk_members(io.BytesIO(content), len(content)))


def archive(format=tarfile.PAX_FORMAT, members=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as made:
        for name, content in members or [(name, name.encode() * 30) for name in NAMES]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members_are_those_that_tarfile_finds(format):
    content = archive(format)
    with tarfile.open(fileobj=io.BytesIO(content)) as expected:
        wanted = [(each.name, each.offset_data, each.size) for each in expected]
    assert [(each.name, each.start, each.size) for each in found(content)] == wanted
    assert all(content[each.start :][: each.size] == each.name.encode() * 30 for each in found(content))


def test_links_and_folders_are_no_files():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind in (
            ("d", tarfile.DIRTYPE),
            ("s", tarfile.SYMTYPE),
            ("l", tarfile.LNKTYPE),
            ("p", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            made.addfile(info)
    assert [(each.is_file, each.is_folder) for each in found(buffer.getvalue())] == [
        (False, True),
        *[(False, False)] * 3,
    ]


def test_numbers_of_members_beyond_eight_gigabytes_are_read():
    info = tarfile.TarInfo("big.jpg")
    info.size = 9 << 30
    header = info.tobuf(tarfile.GNU_FORMAT)
    assert next(walk_members(io.BytesIO(header + bytes(512)), 10 << 30)).size == 9 << 30


def test_every_cut_is_noticed():
    content = archive(members=[("a.jpg", b"1" * 600), ("b.jpg", b"2")])
    end = content.rstrip(b"\0").rfind(b"2") + 1
    end = -(-end // 512) * 512
    for stop in [*range(0, end, 100), end, end + 511]:
        with pytest.raises(OSError, match=r"incomplete|damaged"):
            found(content[:stop])
    assert len(found(content[: end + 512])) == 2


def header(name="a.jpg", *, size=0, kind=tarfile.REGTYPE, raw_size=None):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if raw_size is not None:
        block[124:136] = raw_size
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "content",
    [
        header(raw_size=b"\xff" * 12),  # -1
        header(raw_size=b"\xff" + b"\0" * 11),
        header(size=1 << 40),
        header(kind=b"x", size=1 << 30),
        header(kind=b"x", raw_size=b"\xff" * 12),
        header(kind=b"L", size=100),
        header(kind=b"S"),
        header(kind=b"x", size=20) + b"99 path=a.jpg\n".ljust(512, b"\0") + header(),
        header(kind=b"x", size=14) + b"14 size=-5000\n".ljust(512, b"\0") + header(),
        header(kind=b"x", size=16) + b"16 GNU.sparse=1\n".ljust(512, b"\0") + header(),
        b"no archive" * 200,
        header()[:148] + b"0000000\0" + header()[156:],  # checksum
    ],
)
def test_hostile_headers_are_refused(content):
    with pytest.raises(OSError, match=r"damaged|incomplete|sparse"):
        found(content + bytes(1024))


@pytest.mark.parametrize("start", [b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
def test_compressed_archives_are_refused(start):
    with pytest.raises(OSError, match="compressed"):
        found(start + bytes(1024))


@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=20), stop=st.integers(0, 1 << 16)
)
@settings(max_examples=100)
def test_damage_ends_in_members_or_an_error(changes, stop):
    content = bytearray(archive())
    for place, value in changes:
        content[place % len(content)] = value
    content = bytes(content[:stop] if stop < len(content) else content)
    try:
        members = found(content)
    except OSError:
        return
    assert all(0 <= each.start <= each.start + each.size <= len(content) for each in members)
