"""Note: a sentence about the numbers under a condition."""

from typing import NamedTuple


class Note(NamedTuple):
    """A sentence about the numbers under a condition, printed below every table.

    Attributes:
        text: The sentence.
        is_doubt: Whether it says that the numbers under attack are not trustworthy, such as with gradient masking.
            Their rows then carry the sentence as their `doubt`: tables mark them, and no model is preferred because of
            them.
    """

    text: str
    is_doubt: bool = False
