"""Reading the one kind of pickle that data sets come in, without giving the file any say over what is run."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from withstand.errors import InputError

ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")  # the module's name before and since numpy 2


def read_array_pickle(who: str, path: Path) -> dict[str, object]:
    """Return a dictionary of byte arrays, lists, numbers and texts from a pickle, of Python 2 or 3.

    Args:
        who: Name of the data set, for messages.
        path: The file.

    Raises:
        InputError: If the file is damaged or asks for any function but the three that arrays of bytes are made
            with; none of what it asks for is called.
    """
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(f"{who}: {path} cannot be read, it is damaged or not a data file ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{who}: {path} must hold a dictionary, got {type(content).__name__}.")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in content.items()}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows three names; to everything else it answers with an error."""

    def find_class(self, module: str, name: str, /) -> Callable[..., object]:
        """Return the harmless function that stands for a name in the file."""
        if name == "_reconstruct" and module in ARRAYS:
            return _empty_array
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no image file needs")


def _array_type(*_: object) -> None:
    raise pickle.UnpicklingError("it makes an array in an unusual way")


def _empty_array(*_: object) -> np.ndarray:
    # The array's shape, type and values follow as its state.
    return np.ndarray((0,), dtype=np.uint8)


def _byte_type(name: str, *_: object) -> np.dtype:
    if name not in ("u1", "uint8", "|u1"):
        raise pickle.UnpicklingError(f"it holds an array of {name!r}, not of bytes")
    return np.dtype(np.uint8, copy=True)


def _encode(text: str, encoding: str) -> bytes:
    # Python 3 writes bytes for Python 2 as text to be encoded.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): _array_type,
    ("numpy", "dtype"): _byte_type,
    ("_codecs", "encode"): _encode,
}
