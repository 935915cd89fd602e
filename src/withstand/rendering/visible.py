"""Escapes for control characters, which could rewrite a terminal or reverse the text."""

import re

# Control characters, line separators, surrogates, and marks that change the direction of writing.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
BREAKS = re.compile("[\t\r\n]+")


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return a text with escapes for control characters, and spaces for line breaks and tabs.

    Args:
        text: Any text, such as that of a file.
        lines: Whether to keep line breaks and tabs.

    Example:
        >>> print(visible("a\x1b[2Jb\nc"))
        a\x1b[2Jb c
    """
    kept = text.replace("\r\n", "\n") if lines else BREAKS.sub(" ", text)
    return HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), kept)
