"""Safe reader of pickled byte arrays: no code from the file runs."""

import math
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from withstand.errors import InputError, told
from withstand.reading.addresses import Address


def read_array_pickle(who: str, path: Path | Address) -> dict[str, object]:
    """Return a dictionary of byte arrays, lists, numbers or text from a pickle of Python 2 or 3.

    Args:
        who: Name of the data set, for messages.
        path: The file.

    Raises:
        InputError: If the file is damaged, or names a function or class other than those of byte arrays. These are
            replaced by placeholders; nothing that the file names is called.
    """
    try:
        if not path.is_file():
            raise OSError("it is not a file")
        with path.open("rb") as file:
            reader = _ArrayUnpickler(file, encoding="latin1")
            reader.room += 2 * path.stat().st_size
            content = reader.load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dictionary")
        return {
            key.decode("latin1") if isinstance(key, bytes) else key: (
                value.array() if isinstance(value, _Array) else value
            )
            for key, value in content.items()
        }
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        raise InputError(f"{who}: {path} is damaged or not a data file ({told(error)}).") from error


class _Array:
    """Placeholder for a numpy array."""

    def __init__(self, *_: object) -> None:
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        _, shape, kind, by_column, values = self.state
        values = values.encode("latin1") if isinstance(values, str) else values
        if not isinstance(kind, _Type) or math.prod(shape) != len(values):
            raise pickle.UnpicklingError(f"its array has {len(values)} bytes for the shape {shape}")
        return np.frombuffer(values, dtype=np.uint8).reshape(shape, order="F" if by_column else "C")


class _Type:
    """Placeholder for a numpy type; only bytes are supported."""

    def __init__(self, name: str, *_: object) -> None:
        if name not in ("u1", "|u1"):
            raise pickle.UnpicklingError(f"it holds an array of {name}, not of bytes")

    def __setstate__(self, state: tuple) -> None:
        pass


class _Bytes:
    """Placeholder for `_codecs.encode`, with which Python 3 pickles bytes for Python 2."""

    def __new__(cls, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it holds bytes in the encoding {encoding}")
        return text.encode("latin1")

    def __setstate__(self, state: tuple) -> None:
        pass


# All define __setstate__; otherwise a pickle could set any attribute.
STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,  # before numpy 2
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Bytes,
}


_InPython: Any = vars(pickle)["_Unpickler"]


class _ArrayUnpickler(_InPython):
    """An unpickler without imports, in which names are text.

    The hash of a tuple of tuples, each named twice, takes longer than a lifetime, so no other key is hashed. Only the
    unpickler in Python can tell.
    """

    dispatch: ClassVar[dict] = dict(_InPython.dispatch)
    room = 1 << 20  # characters of texts that may become bytes; those that are named again and again become many

    def _reduce(self) -> None:
        if self.stack[-2:-1] == [_Bytes]:
            self.room -= sum(len(each) for each in self.stack[-1] if isinstance(each, str))
            if self.room < 0:
                raise pickle.UnpicklingError("it repeats its bytes without end")
        super().load_reduce()

    def _set_item(self) -> None:
        self._check_keys(self.stack[-2:-1])
        super().load_setitem()

    def _set_items(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def _make_dict(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_dict()

    def _refuse(self) -> None:
        raise pickle.UnpicklingError("it holds a set or a bytearray")

    def _check_keys(self, keys: list[object]) -> None:
        if not all(isinstance(each, str | bytes) for each in keys):
            raise pickle.UnpicklingError("it holds names that are not text")

    dispatch |= {
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.DICT[0]: _make_dict,
        pickle.REDUCE[0]: _reduce,
        pickle.BYTEARRAY8[0]: _refuse,  # takes the memory before it reads
        pickle.ADDITEMS[0]: _refuse,
        pickle.FROZENSET[0]: _refuse,
    }

    def find_class(self, module: str, name: str, /) -> type:
        """Return the placeholder of a name in the file."""
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not part of a byte array")
        return STAND_INS[module, name]
