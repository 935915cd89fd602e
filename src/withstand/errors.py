"""Exceptions that commands turn into exit codes, and signals that ask a command to stop."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_SHOWN = 120  # characters of a value in a message
MOST_SAID = 900  # characters of a message

asked: list[int] = []  # signals that asked the running command to stop, in order


class Stopped(KeyboardInterrupt):
    """A signal asks the command to stop: SIGINT (Ctrl-C) or SIGTERM."""


def stop_if_asked() -> None:
    """Raise `Stopped` again after a signal. Every long loop calls this, since other code may have caught the first one.

    Raises:
        Stopped: If a signal asked the running command to stop.
    """
    if asked:
        raise Stopped


class InputError(ValueError):
    """Invalid input. The message is one sentence in one line: the object, the expected value, and the actual value."""

    def __init__(self, message: str) -> None:
        """Escape line breaks and control characters, and shorten a long message."""
        super().__init__(in_one_line(message))


def in_one_line(message: str) -> str:
    r"""Return a message with escapes for line breaks and control characters, and of at most 903 characters.

    Example:
        >>> in_one_line("a\tb"), len(in_one_line("x" * 10_000))
        ('a\\tb', 903)
    """
    text = message if len(message) <= MOST_SAID else f"{message[: MOST_SAID - 300]}...{message[-300:]}"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class BusyError(InputError):
    """Another process holds the lock of a folder."""


class TrainingError(RuntimeError):
    """Training failed on valid input, for example with a non-finite loss."""


class SweepError(RuntimeError):
    """Some runs of a sweep failed; all others are finished."""


def brief(value: object) -> str:
    """Return a value for a message, shortened: printable text unchanged, everything else as its representation.

    Example:
        >>> brief("fog/9"), brief(""), brief(("a", 1))
        ('fog/9', "''", "('a', 1)")
    """
    is_plain = isinstance(value, str) and value.isprintable() and value == value.strip() != ""
    try:
        text = str(value) if is_plain else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, deeply nested lists
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def told(problem: BaseException) -> str:
    """Return what an exception of foreign code says, for a message: its first sentence, or its type if it is silent.

    Example:
        >>> told(ValueError("wrong shape. See the manual.")), told(KeyError())
        ('wrong shape', 'KeyError')
    """
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].split(". ")[0].rstrip(".")


def nearest(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str:
    """Return a suggestion of the known names nearest to an unknown one.

    Args:
        name: The unknown one.
        known: All known ones.
        otherwise: What to say if none is near; None lists the known ones.

    Example:
        >>> nearest("Gausian", ["Gaussian", "Speckle"])
        'did you mean Gaussian?'
        >>> nearest("x", ["Gaussian", "Speckle"])
        'known: Gaussian, Speckle.'
    """
    names = sorted(known)
    lowered = {each.lower(): each for each in reversed(names)}
    close = [lowered[each] for each in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = [*names[:12], "..."] if len(names) > 12 else names
    return otherwise or f"known: {', '.join(shown).removesuffix('.') or 'none'}."
