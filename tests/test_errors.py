import pytest

from withstand.errors import MOST_SHOWN, InputError, TrainingError, brief, nearest

NAMES = ["Gaussian", "Speckle", "UniformNoise", "Uniform", "Identity"]


def test_a_near_spelling_is_suggested():
    assert nearest("gausian", NAMES) == "did you mean Gaussian?"
    assert nearest("GAUSSIAN", NAMES) == "did you mean Gaussian?"
    assert nearest("Unifrom", NAMES).startswith("did you mean Uniform")


def test_a_far_spelling_lists_what_there_is_in_order():
    assert nearest("xyz", NAMES) == "known: Gaussian, Identity, Speckle, Uniform, UniformNoise."
    assert nearest("", {"b": 1, "a": 2}) == "known: a, b."


def test_names_that_differ_in_case_only_are_all_kept_as_they_are_spelled():
    assert nearest("mlp", ["MLP", "SmallCNN"]) == "did you mean MLP?"


def test_the_two_errors_are_ordinary_ones():
    assert issubclass(InputError, ValueError)
    assert issubclass(TrainingError, RuntimeError)


@pytest.mark.parametrize("value", ["", " a", "a\nb", "a\tb", "x" * 1000, ["a\nb"] * 99, [10**5000]])
def test_a_value_in_a_message_is_one_short_line_that_is_never_empty(value):
    assert brief(value).strip()
    assert brief(value).isprintable()
    assert len(brief(value)) <= MOST_SHOWN


def test_a_readable_text_is_shown_unchanged():
    assert brief("fog/9") == "fog/9"


def test_a_message_is_one_line_whatever_is_in_it():
    assert str(InputError("on: a\nb\x1b[31m \u00e9")) == "on: a\\nb\\x1b[31m \u00e9"


def test_a_message_is_short_whatever_is_in_it():
    assert len(str(InputError(f"on: {'x' * 50_000} is not known."))) < 1000
    assert str(InputError(f"on: {'x' * 50_000} is not known.")).endswith(" is not known.")
