import pytest
from withstand.evaluation.conditions import conditions, split_words

from withstand.errors import InputError

PHOTO, DIGIT = (3, 224, 224), (3, 32, 32)


def names(words, shape, **options):
    return [each.condition for each in conditions(words, shape, **options)[0]]


def test_imagenet_c_is_saved_as_jpeg_where_the_published_one_was():
    assert names(["imagenet-c"], PHOTO)[0] == "gaussian_noise+jpeg/1"
    assert names(["imagenet-c"], DIGIT)[0] == "gaussian_noise/1"
    assert names(["imagenet-c"], DIGIT, pixels=64)[0] == "gaussian_noise+jpeg/1"
    assert names(["imagenet-c-in-memory"], PHOTO)[0] == "gaussian_noise/1"


def test_the_extras_are_in_corruptions_only():
    assert "speckle_noise/1" in names(["corruptions"], PHOTO)
    assert "speckle_noise+jpeg/1" in names(["corruptions+jpeg"], PHOTO)
    assert not {"speckle_noise/1", "speckle_noise+jpeg/1"} & set(names(["imagenet-c", "imagenet-c-in-memory"], PHOTO))


def test_kinds_and_cells_can_be_named_with_and_without_the_file():
    assert names(["contrast/3", "contrast+jpeg/3", "clean+jpeg"], PHOTO) == [
        "contrast/3",
        "contrast+jpeg/3",
        "clean+jpeg",
    ]
    assert names(["contrast+jpeg"], PHOTO) == [f"contrast+jpeg/{severity}" for severity in range(1, 6)]


def test_what_is_named_twice_is_measured_once():
    assert names(["clean", "contrast", "contrast/3", "clean"], PHOTO) == [
        "clean",
        *(f"contrast/{severity}" for severity in range(1, 6)),
    ]


def test_notes_say_protocol_parameters_and_textures():
    assert conditions(["clean"], PHOTO)[1] == ()
    assert conditions(["contrast+jpeg"], PHOTO)[1] == (
        "+jpeg: saved as JPEG of quality 85 and read again, as ImageNet-C was.",
        "Parameters for 224 pixels.",
    )
    assert conditions(["contrast"], (1, 28, 28))[1] == (
        "Corruptions in memory, without JPEG files.",
        "Parameters for 32 pixels (the images have 28 x 28).",
    )
    both = conditions(["contrast", "contrast+jpeg"], PHOTO)[1]
    assert both[1] == "Corruptions without +jpeg: in memory, without JPEG files."


@pytest.mark.parametrize("word", ["contrasst", "contrast/6", "imagenet", "contrast/3+jpeg+jpeg", "noise+jpeg"])
def test_an_unknown_word_is_one_sentence(word):
    with pytest.raises(InputError, match=rf"^on: {word.replace('+', '.')} is not a known condition"):
        conditions([word], PHOTO)


def test_corruptions_need_images():
    with pytest.raises(InputError, match=r"^on: imagenet-c needs images"):
        conditions(["imagenet-c"], (8,))


def noise_distances(*words, shape=PHOTO):
    return [name for each in split_words(words, shape)[1] for name in each.conditions]


def test_both_generators_are_asked_for_by_word_and_what_they_share_is_measured_once():
    assert noise_distances("noise-distance-3x3") == ["gaussian noise", "uniform noise", "adversarial noise 3x3"]
    assert noise_distances("noise-distance-3x3", "noise-distance", "clean") == [
        "gaussian noise",
        "uniform noise",
        "adversarial noise 3x3",
        "adversarial noise 1x1",
    ]


def test_one_kind_of_noise_is_named_as_a_cell_is():
    assert noise_distances("noise-distance/adversarial", "noise-distance-3x3/uniform") == [
        "adversarial noise 1x1",
        "uniform noise",
    ]
    assert split_words(["noise-distance/speckle", "clean"], PHOTO) == (["noise-distance/speckle", "clean"], [])


@pytest.mark.parametrize("word", ["noise-distance-5x5", "noise-distance-3x3/speckle", "noise-distance3x3"])
def test_an_unknown_generator_is_refused_and_the_known_ones_are_named(word):
    with pytest.raises(InputError, match=rf"^on: {word} is not a known condition; did you mean .*noise-distance-3x3"):
        conditions([word], PHOTO)


def test_noise_distances_need_images():
    with pytest.raises(InputError, match=r"^on: noise-distance needs images, got inputs of shape \(8,\)"):
        split_words(["noise-distance"], (8,))
