from withstand.errors import InputError, TrainingError, nearest

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
