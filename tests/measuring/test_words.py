import pytest

from withstand.conditions import JPEG, OUTSIDE, SUITES
from withstand.data.corrupted.cells import Gap
from withstand.errors import InputError
from withstand.evaluation.calibration import Calibration
from withstand.evaluation.randomized_smoothing import RandomizedSmoothing
from withstand.measuring.words import SETS, WORDS, advice, cell_notes, choose_cells, known_words, meant, notes_on
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg

PHOTO, DIGIT = (3, 224, 224), (3, 32, 32)
CELLS = ["clean", "fog+jpeg/1", "fog+jpeg/2", "fog/1", "snow+jpeg/1", "speckle_noise/3"]


def names(word, shape=PHOTO, **options):
    return [each.condition for each in meant(word, shape, **options)]


def conditions(word, shape=PHOTO):
    return [name for each in meant(word, shape) for name in each.conditions]


def test_imagenet_c_is_saved_as_jpeg_where_the_published_one_was():
    assert names("imagenet-c")[0] == "gaussian_noise+jpeg/1"
    assert names("imagenet-c", DIGIT)[0] == "gaussian_noise/1"
    assert names("imagenet-c", DIGIT, pixels=64)[0] == "gaussian_noise+jpeg/1"
    assert names("imagenet-c-in-memory")[0] == "gaussian_noise/1"


def test_sets_have_as_many_cells_as_their_corruptions_have_severities():
    found = {word: len(set(names(word))) for word in SETS if word not in ("clean", "noise")}
    sizes = {"imagenet-c": 75, "imagenet-c-in-memory": 75, "corruptions": 95}
    sizes |= {"c-bar": 50, "imagenet-c-bar": 50, "cifar10-c-bar": 50, "laion-c": 15, "3dcc": 15, "mnist-c": 15}
    assert found == sizes
    assert len(set(names("noise"))) == 9


def test_the_extras_are_in_corruptions_only():
    assert "speckle_noise/1" in names("corruptions")
    assert "speckle_noise+jpeg/1" in names("corruptions+jpeg")
    assert not {"speckle_noise/1", "speckle_noise+jpeg/1"} & {*names("imagenet-c"), *names("imagenet-c-in-memory")}


def test_c_bar_is_the_suite_of_the_size_of_the_images_as_published():
    assert names("c-bar")[:2] == ["caustic_refraction+jpeg/1", "caustic_refraction+jpeg/2"]
    assert names("c-bar") == names("imagenet-c-bar")
    assert names("c-bar", DIGIT)[:2] == ["blue_noise_sample/1", "blue_noise_sample/2"]
    assert names("c-bar", DIGIT) == names("cifar10-c-bar", DIGIT)
    assert names("c-bar", DIGIT, pixels=224) == names("imagenet-c-bar")
    assert names("c-bar", (3, 96, 96)) == names("imagenet-c-bar")
    assert not set(names("imagenet-c-bar", DIGIT)) & set(names("cifar10-c-bar", DIGIT))


@pytest.mark.parametrize("shape", [PHOTO, DIGIT, (3, 64, 64)])
def test_no_other_word_has_a_corruption_of_another_suite(shape):
    for word in ("imagenet-c", "imagenet-c-in-memory", "corruptions", "corruptions+jpeg", "noise"):
        assert not {name.partition("/")[0].removesuffix(JPEG) for name in names(word, shape)} & {*OUTSIDE}


@pytest.mark.parametrize("suite", ["laion-c", "3dcc", "mnist-c"])
@pytest.mark.parametrize("shape", [PHOTO, (1, 28, 28)], ids=str)
def test_a_suite_is_its_corruptions_in_order_and_lossless(suite, shape):
    severities = (1,) if suite == "mnist-c" else range(1, 6)
    assert names(suite, shape) == [f"{name}/{severity}" for name in SUITES[suite] for severity in severities]
    assert {each.pixels for each in meant(suite, shape)} == {28 if suite == "mnist-c" else 224}


def test_a_corruption_with_one_severity_has_no_other():
    assert names("mnist_fog") == ["mnist_fog/1"]
    assert names("mnist_fog+jpeg") == ["mnist_fog+jpeg/1"]
    assert names("mnist_fog/2") == []
    assert "1 only" in advice("mnist_fog+jpeg/2", known_words())
    assert choose_cells(["mnist-c"], ["fog/1", "mnist_fog/1"]) == ["mnist_fog/1"]


@pytest.mark.parametrize("word", ["imagenet-c/3", "c-bar/3", "3dcc/1", "corruptions+jpeg/2"])
def test_whoever_wants_a_suite_at_one_severity_learns_how(word):
    assert "fog/3" in advice(word, known_words())


def test_a_corruption_of_c_bar_has_its_own_nearest_size():
    assert {each.pixels for each in meant("perlin_noise", DIGIT)} == {224}
    assert {each.pixels for each in meant("ripple", PHOTO)} == {32}
    assert {each.pixels for each in meant("sparkles", (3, 64, 64))} == {32}


@pytest.mark.parametrize(
    "cell", ["sparkles/3", "sparkles+jpeg/3", "contrast/3", "contrast+jpeg/3", "clean+jpeg", "speckle_noise/1"]
)
def test_a_cell_can_be_named(cell):
    assert names(cell) == [cell]


def test_a_corruption_stands_for_its_severities():
    assert names("contrast+jpeg") == [f"contrast+jpeg/{severity}" for severity in range(1, 6)]


@pytest.mark.parametrize(("shape", "pixels"), [(PHOTO, 224), (DIGIT, 32), ((3, 64, 64), 64), ((3, 300, 300), 299)])
def test_corruptions_have_the_parameters_for_the_nearest_size(shape, pixels):
    assert {each.pixels for each in meant("corruptions", shape)} == {pixels}


@pytest.mark.parametrize(
    "word", ["contrasst", "contrast/6", "imagenet", "contrast/3+jpeg+jpeg", "noise+jpeg", "noise-distance/speckle"]
)
def test_a_word_that_is_not_known_stands_for_nothing(word):
    assert meant(word, PHOTO) == []


@pytest.mark.parametrize("word", ["imagenet-c", "noise-distance", "contrast/3", "clean+jpeg"])
def test_what_needs_images_says_so(word):
    with pytest.raises(InputError, match=rf"^on: {word.replace('+', '.')} needs images, got inputs of shape \(8,\)"):
        meant(word, (8,))


def test_clean_noise_and_evaluations_need_no_images():
    for word in ("clean", "noise", "by-class", "lipschitz"):
        assert meant(word, (8,))


def test_the_worst_case_is_asked_once_per_ball():
    balls = (Ball("linf", 0.1), Ball("l2", 0.5))
    assert [each.balls for each in meant("worst-case", (8,), balls=balls)] == [tuple(balls)]
    with pytest.raises(InputError, match=r"^on: worst-case needs a radius; give --radius"):
        meant("worst-case", (8,))


def test_what_both_generators_share_is_the_same_evaluation():
    one, other = conditions("noise-distance"), conditions("noise-distance-3x3")
    assert one == ["gaussian noise", "uniform noise", "adversarial noise 1x1"]
    assert other == ["gaussian noise", "uniform noise", "adversarial noise 3x3"]
    assert meant("noise-distance", PHOTO)[:2] == meant("noise-distance-3x3", PHOTO)[:2]
    assert conditions("noise-distance-3x3/adversarial") == ["adversarial noise 3x3"]


def test_every_word_that_is_known_stands_for_something():
    assert set(WORDS) < set(known_words())
    for word in set(known_words()) - {"table-errors"}:  # which needs the columns of a table
        assert meant(word, PHOTO, balls=(Ball("l2", 0.1),)), word


def test_notes_say_protocol_parameters_and_textures():
    def notes(*words, shape=PHOTO):
        return notes_on([each for word in words for each in meant(word, shape)], shape)

    assert notes("clean") == ()
    assert notes("contrast+jpeg") == (
        "+jpeg: saved as JPEG of quality 85 and read again, as ImageNet-C was.",
        "Parameters for 224 pixels.",
    )
    assert notes("contrast", shape=(1, 28, 28)) == (
        "Corruptions in memory, without JPEG files.",
        "Parameters for 32 pixels (the images have 28 x 28).",
    )
    assert notes("contrast", "contrast+jpeg")[1] == "Corruptions without +jpeg: in memory, without JPEG files."
    suite = ImageNetC(pixels=32, frost="procedural").cells(32, 32)
    frost = [each for each in suite if "frost" in each.condition]
    assert "mCE" in notes_on(frost, DIGIT)[-1]
    assert "mCE" in notes_on([SavedAsJpeg(perturbation=frost[0])], DIGIT)[-1]


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        (None, CELLS),
        (["clean"], ["clean"]),
        (["fog"], ["fog+jpeg/1", "fog+jpeg/2", "fog/1"]),
        (["fog+jpeg"], ["fog+jpeg/1", "fog+jpeg/2"]),
        (["fog/1"], ["fog+jpeg/1", "fog/1"]),
        (["imagenet-c"], CELLS[1:5]),
        (["corruptions"], CELLS[1:]),
        (["snow", "clean", "clean"], ["clean", "snow+jpeg/1"]),
    ],
    ids=str,
)
def test_cells_are_chosen_by_name_in_the_order_of_the_data(words, cells):
    assert choose_cells(words, CELLS) == cells


@pytest.mark.parametrize("word", ["rain", "fog/3", "noise", "snow+jpeg/2"])
def test_a_cell_that_the_data_do_not_have_is_refused(word):
    with pytest.raises(InputError, match=rf"^on: {word.replace('+', '.')} is not among the cells of the data"):
        choose_cells([word], CELLS)


def test_notes_on_cells_say_what_is_missing_and_partial():
    gaps = [Gap(f"fog/{each}", 0, 50) for each in range(1, 6)] + [Gap("snow/2", 0, 50), Gap("frost/1", 49, 50)]
    assert cell_notes(["snow/1"], gaps)[1:] == ("Missing: fog/1-5, snow/2.", "Partial: frost/1 (49 of 50).")
    assert "saved as JPEG" in cell_notes(["snow+jpeg/1"], [])[0]


def test_smoothing_takes_its_noise_behind_a_slash_and_its_radii_from_balls():
    assert meant("smoothing", PHOTO) == [RandomizedSmoothing()]
    assert meant("smoothing/0.5", (3,)) == [RandomizedSmoothing(std=0.5)]
    balls = [Ball("l2", radius, unit="raw") for radius in (0.25, 0.5)]
    assert meant("smoothing/1", (3,), balls=balls) == [
        RandomizedSmoothing(std=1.0, radius=radius, unit="raw") for radius in (0.25, 0.5)
    ]


@pytest.mark.parametrize("word", ["smoothing/", "smoothing/much", "calibration/", "calibration/by-class"])
def test_what_smoothing_and_calibration_cannot_take_stands_for_nothing(word):
    assert meant(word, PHOTO) == []


@pytest.mark.parametrize("std", ["-1", "nan", "inf", "0"])
def test_noise_without_a_spread_is_rejected(std):
    with pytest.raises(InputError, match="RandomizedSmoothing: std"):
        meant(f"smoothing/{std}", PHOTO)


def test_only_l2_balls_are_certified():
    with pytest.raises(InputError, match=r"smoothing .* linf 0\.1"):
        meant("smoothing", PHOTO, balls=[Ball("linf", 0.1)])


def test_calibration_is_measured_under_another_condition_and_in_balls():
    ball = Ball("linf", 0.1)
    assert meant("calibration", (3,)) == [Calibration()]
    assert meant("calibration", (3,), balls=[ball]) == [Calibration(perturbations=(Identity(), PGD(ball=ball)))]
    (found,) = meant("calibration/fog/3", PHOTO)
    assert found.conditions == ("fog/3 calibration",)
    (found,) = meant("calibration/noise", (3,))
    assert found.perturbations[0] == Gaussian(std=0.1)
    with pytest.raises(InputError, match="images"):
        meant("calibration/fog", (3,))
