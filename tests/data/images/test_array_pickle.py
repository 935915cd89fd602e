import pickle

import numpy as np
import pytest

from withstand.data.images.array_pickle import STAND_INS, read_array_pickle
from withstand.errors import InputError

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)


class Command:
    """What an attacker would put into a file."""

    def __init__(self, function, *arguments):
        self.answer = function, arguments

    def __reduce__(self):
        return self.answer


def python_2_pickle(array, labels):
    """Return the bytes that Python 2 and an old numpy write, after the official files."""
    rows, columns = array.shape
    values = array.tobytes()

    def text(word):
        return b"U" + bytes([len(word)]) + word

    kind = b"cnumpy\ndtype\n(" + text(b"u1") + b"I0\nI1\ntR(I3\n" + text(b"|") + b"NNNI-1\nI-1\nI0\ntb"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt" + text(b"b") + b"tR"
    state = b"(I1\n(" + b"".join(b"I%d\n" % n for n in (rows, columns)) + b"t" + kind + b"I00\n"
    state += b"T" + len(values).to_bytes(4, "little") + values + b"tb"
    numbers = b"(l" + b"".join(b"I%d\na" % n for n in labels)
    return b"\x80\x02}(" + text(b"data") + made + state + text(b"labels") + numbers + b"u."


def read(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=2))
    return read_array_pickle("Who", path)


def test_the_pickle_of_python_2_is_read(tmp_path):
    content = python_2_pickle(ARRAY * 21, [3, 1, 2])
    assert np.array_equal(
        pickle.loads(content.replace(b"I0\nI1\ntR", b"I00\nI01\ntR"), encoding="latin1")["data"], ARRAY * 21
    )
    read_back = read(tmp_path, content)
    assert np.array_equal(read_back["data"], ARRAY * 21)
    assert read_back["labels"] == [3, 1, 2]


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_python_3_are_read(tmp_path, protocol):
    content = {b"data": ARRAY + 200, "labels": [1, 2, 3], "more": "text"}
    read_back = read(tmp_path, pickle.dumps(content, protocol=protocol))
    assert np.array_equal(read_back["data"], ARRAY + 200)
    assert read_back["more"] == "text"


def test_an_array_stored_by_columns_keeps_its_order(tmp_path):
    assert np.array_equal(read(tmp_path, {"data": np.asfortranarray(ARRAY)})["data"], ARRAY)


def test_commands_are_refused_and_not_run(tmp_path):
    ran = tmp_path / "ran"
    for command in (
        Command(exec, f"open({str(ran)!r}, 'w')"),
        Command(eval, f"open({str(ran)!r}, 'w')"),
        Command(print, "hello"),
        Command(__import__, "os"),
    ):
        with pytest.raises(InputError, match=r"Who: .*file is damaged .* asks for .*builtin"):
            read(tmp_path, {"data": ARRAY, "labels": command})
    with pytest.raises(InputError, match=r"it asks for os.system"):
        read(tmp_path, b"\x80\x02cos\nsystem\n(U\x04true\x85R.")
    assert not ran.exists()


def test_a_class_of_numpy_that_runs_nothing_is_refused_too(tmp_path):
    with pytest.raises(InputError, match="asks for numpy"):
        read(tmp_path, {"data": ARRAY, "labels": np.float64(1)})


@pytest.mark.parametrize("name", STAND_INS)
def test_what_is_known_cannot_be_changed_by_a_file(tmp_path, name):
    module, word = (each.encode() for each in name)
    for state in (b"}U\x0c__setstate__Ns", b"N}U\x08__call__Ns\x86"):
        with pytest.raises(InputError):
            read(tmp_path, b"\x80\x02c" + module + b"\n" + word + b"\n" + state + b"b.")
    assert np.array_equal(read(tmp_path, {"data": ARRAY})["data"], ARRAY)


def test_arrays_of_anything_but_bytes_are_refused(tmp_path):
    for array in (ARRAY.astype(np.float32), np.array([{}, None], dtype=object)):
        with pytest.raises(InputError, match="holds an array of"):
            read(tmp_path, {"data": array})


@pytest.mark.parametrize("content", [b"", b"\x80", b"<html>", b"\x80\x02}(", b"\x80\x02K\x01.", b"\x80\x02]."])
def test_damaged_files_and_other_things_are_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"Who: .*file is damaged or not a data file"):
        read(tmp_path, content)


def test_every_beginning_of_a_good_file_is_refused(tmp_path):
    content = python_2_pickle(ARRAY, [1, 2, 3])
    for length in range(len(content)):
        with pytest.raises(InputError):
            read(tmp_path, content[:length])


def test_memory_is_bounded_by_the_size_of_the_file(tmp_path):
    """A bytearray takes the memory that its head names, and texts that are named again become bytes again."""
    with pytest.raises(InputError, match="holds a set or a bytearray"):
        read(tmp_path, b"\x80\x05}\x8c\x01a\x96" + (1 << 28).to_bytes(8, "little") + b"s.")
    text = "a" * (1 << 16)
    start = b"\x80\x02X" + len(text).to_bytes(4, "little") + text.encode() + b"q\x00X\x06\x00\x00\x00latin1q\x01"
    start += b"c_codecs\nencode\nq\x02]"
    with pytest.raises(InputError, match="repeats its bytes"):
        read(tmp_path, start + b"h\x02h\x00h\x01\x86Ra" * 40 + b".")
