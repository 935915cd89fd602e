from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from withstand.commands.list import entries
from withstand.data.base import TensorSplit
from withstand.data.corrupted.corrupted_folder import CorruptedFolder
from withstand.data.tables.features import fit_features
from withstand.data.tables.toy import Toy
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.calibration import Calibration
from withstand.evaluation.lipschitz import Lipschitz
from withstand.evaluation.minimal_norm import MinimalNorm
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.evaluation.randomized_smoothing import RandomizedSmoothing
from withstand.evaluation.recall import Recall
from withstand.evaluation.sandwich import Sandwich
from withstand.evaluation.threshold import Threshold
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.changes import Change
from withstand.measuring.question import Question, resolve
from withstand.measuring.words import known_words
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC

BALL = Ball("linf", 0.1)


def asked(given, shape=(3, 32, 32), **options):
    return list(resolve(given, shape, **{"balls": (), "pixels": None, "frost": "procedural", **options}))


@pytest.fixture
def cells(tmp_path):
    """A tree of images in two cells, which hold two images each."""
    for name in ("fog/1/a/1.png", "fog/1/b/2.png", "snow/2/a/1.png", "snow/2/b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 7, dtype=np.uint8)).save(tmp_path / name)
    return CorruptedFolder(root=str(tmp_path), pixels=8)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("clean", Identity()),
        ("Gaussian", Gaussian()),
        ("withstand.Gaussian", Gaussian()),
        (Gaussian, Gaussian()),
        (Gaussian(std=0.1), Gaussian(std=0.1)),
        ("{class_path: Gaussian, init_args: {std: 0.1}}", Gaussian(std=0.1)),
        ({"class_path": "Gaussian", "init_args": {"std": 0.1}}, Gaussian(std=0.1)),
        ("by-class", Recall()),
        ("Recall", Recall()),
        ({"class_path": "NoiseDistance"}, NoiseDistance()),
        (Lipschitz(steps=3), Lipschitz(steps=3)),
        ("{class_path: WorstCase, init_args: {balls: [{norm: l2, radius: 0.3}]}}", WorstCase(balls=(Ball("l2", 0.3),))),
    ],
    ids=str,
)
def test_words_classes_yaml_and_objects_stand_for_objects(given, wanted):
    assert asked(given) == [wanted]


def test_the_benchmark_as_an_object_stands_for_its_cells_with_the_options_of_the_question():
    found = asked(ImageNetC(severities=(2,), jpeg=False), pixels=64)
    assert len(found) == 15
    assert {each.pixels for each in found} == {64}
    assert "frost-procedural/2" in [each.condition for each in found]
    assert asked("ImageNetC")[0].condition == "gaussian_noise/1"
    # What the object says itself comes first.
    own = asked(ImageNetC(severities=(2,), pixels=32, frost="procedural"), pixels=64, frost="published")
    assert {each.pixels for each in own} == {32}
    assert "frost-procedural/2" in [each.condition for each in own]


def test_frost_is_a_word_whichever_textures_are_taken():
    for word in ("frost", "frost/2", "frost+jpeg/2"):
        for textures in ("published", "procedural"):
            found = [getattr(each, "perturbation", each) for each in asked(word, frost=textures)]
            assert {each.textures for each in found} == {textures}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("contrasst", r"on: contrasst is not a known condition; did you mean contrast\?"),
        ("WorstCasse", r"on: WorstCasse is not a known condition; did you mean WorstCase or worst-case\?"),
        ("contrast/9", r"on: contrast/9 is not a known condition; severities are numbers from 1 to 5"),
        ("frost+jpeg/0", r"on: frost\+jpeg/0 is not a known condition; severities are numbers from 1 to 5"),
        ("noise-distance/foo", r"on: noise-distance/foo is not .*; expected gaussian, uniform or adversarial"),
        ("clean/1", r"on: clean/1 is not a known condition; clean has no severities\."),
        ("", r"on: '' is not a known condition"),
        ("a\nb", r"on: 'a\\nb' is not a known condition"),
        ({"class_path": "Gausian"}, r"on: Gausian is not known; did you mean Gaussian"),
        ({"init_args": {}}, "on: expected the name of a class, or class_path and init_args"),
        ("{class_path: [}", "on: .* is not valid YAML"),
        ("{class_path: Gaussian, init_args: {std: -1}}", "Gaussian: std must be"),
        ("{class_path: Gaussian, init_args: {sd: 1}}", "Gaussian: sd is not known"),
        (7, "on: expected names, perturbations or evaluations, got 7"),
        (Ball, "on: expected names, perturbations or evaluations, got .*Ball"),
        (int, "on: expected names, perturbations or evaluations, got .*int"),
    ],
    ids=str,
)
def test_what_stands_for_nothing_is_one_sentence(given, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        asked(given)


def test_every_known_word_can_be_asked_of_images():
    split = TensorSplit(
        torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.arange(4) % 2, classes=("a", "b"), box=(0.0, 1.0)
    )
    words = [each for each in known_words() if each != "table-errors"]
    question = Question.of(split, words, balls=(Ball("l2", 0.1),), frost="procedural")
    assert len(question.conditions) == len(set(question.conditions))
    assert {type(each) for each in question.evaluations} == {
        Accuracy,
        Calibration,
        Lipschitz,
        MinimalNorm,
        NoiseDistance,
        RandomizedSmoothing,
        Recall,
        Sandwich,
        Threshold,
        WorstCase,
    }


@pytest.mark.parametrize("kind", ["conditions", "corruptions", "perturbations", "evaluations"])
def test_what_is_listed_can_be_asked(kind):
    for name in entries(kind):
        if name == "table-errors":
            with pytest.raises(InputError, match="table-errors needs a table"):
                asked(name)
            continue
        assert asked(name, balls=(Ball("l2", 0.1),)), name


def test_nothing_asked_is_clean(tiny_split):
    assert Question.of(tiny_split, None).conditions == ("clean",)


def test_all_perturbations_are_one_evaluation_in_the_order_asked(tiny_split):
    question = Question.of(tiny_split, ["contrast/2", "by-class", Gaussian(std=0.1), "clean", "contrast"])
    first, second = question.evaluations
    assert isinstance(first, Accuracy)
    assert isinstance(second, Recall)
    assert first.conditions == (
        "contrast/2",
        "Gaussian std=0.1",
        "clean",
        *(f"contrast/{each}" for each in (1, 3, 4, 5)),
    )
    assert question.conditions == (*first.conditions, *second.conditions)
    assert first.perturbations[0] == Contrast(severity=2, pixels=32)


def test_what_both_generators_share_is_measured_once(tiny_split):
    question = Question.of(tiny_split, ["noise-distance-3x3", "noise-distance", "noise-distance/uniform"])
    assert question.conditions == (
        "gaussian noise",
        "uniform noise",
        "adversarial noise 3x3",
        "adversarial noise 1x1",
    )


def test_two_evaluations_with_a_condition_in_common_are_refused(tiny_split):
    with pytest.raises(InputError, match=r"^on: conditions must differ, got clean from two evaluations"):
        Question.of(tiny_split, ["clean", Accuracy(top=(1,))])


def test_questions_are_checked_before_the_first_sample_is_fetched(tiny_split, monkeypatch):
    monkeypatch.delattr(TensorSplit, "batches")
    table = TensorSplit(torch.zeros(4, 13), torch.arange(4) % 2, classes=("a", "b"), box=None)
    for split, on, sentence in (
        (tiny_split, "worst-case", "needs a radius"),
        (table, ["clean", "fog"], "fog needs images, got inputs of shape"),
        (table, "NoiseDistance", "radius"),
        (table, ["clean", Contrast(severity=1, pixels=32)], "images"),
        (tiny_split, ["clean", Contrast(severity=1)], "images of 8 x 8 need the field pixels"),
        (table, WorstCase(balls=(Ball("linf", (0.1, 0.2)),)), "radius must be a number, or one per feature"),
        (tiny_split, Accuracy(top=(9,)), "top must hold a number up to 3 classes"),
    ):
        with pytest.raises(InputError, match=sentence):
            Question.of(split, on)


@pytest.mark.parametrize("on", ["frost", "corruptions", ImageNetC()], ids=str)
def test_published_textures_that_are_not_there_are_replaced_unless_they_are_asked_for(
    on, tiny_split, no_frost_textures
):
    found = Question.of(tiny_split, on)
    assert "frost-procedural/1" in str(found.conditions).replace("+jpeg", "")
    assert any("frost: procedural" in note and "mCE" in note for note in found.notes)
    with pytest.raises(InputError, match="frost"):
        Question.of(tiny_split, on, frost="published")


def test_samples_come_from_the_test_part_from_a_split_and_from_pairs(tiny_split):
    assert len(Question.of(Toy(num_test=5)).split) == 5
    assert Question.of(Toy(num_test=5)).data == "Toy"
    assert Question.of(tiny_split).split is tiny_split
    pairs = TensorDataset(torch.rand(4, 1, 8, 8), torch.arange(4) % 2)
    assert Question.of(pairs, num_classes=5).split.classes == ("0", "1", "2", "3", "4")
    with pytest.raises(InputError, match="has no samples"):
        Question.of(tiny_split.select(torch.arange(0)))


def test_every_cell_of_data_that_are_corrupted_already_is_a_task_of_its_own(cells):
    question = Question.of(cells)
    assert question.conditions == tuple(each.source for each in question.tasks)
    assert set(question.conditions) == {"fog/1", "snow/2"}
    assert [len(each.load()) for each in question.tasks] == [2, 2]
    assert question.split is question.tasks[0].load()
    assert question.notes[0] == "Images read from corrupted files."
    assert "fog/2,3,4,5" in question.notes[1]
    assert Question.of(cells, "fog").conditions == ("fog/1",)
    with pytest.raises(InputError, match=r"^on: rain is not among the cells of the data"):
        Question.of(cells, "rain")


def test_cells_of_data_that_are_corrupted_already_are_asked_everything_else_too(cells):
    noise = Gaussian(std=0.1)
    found = Question.of(cells, ["fog", noise, "by-class", "WorstCase"]).conditions
    assert found[:3] == ("fog/1", f"{noise.condition} on fog/1", "clean by class on fog/1")
    assert found[3].startswith("linf 0.0313725, standard")
    assert found[3].endswith(" on fog/1")
    assert len(Question.of(cells, "by-class").conditions) == 4


def test_a_class_that_is_not_the_packages_is_asked_as_it_is():
    @dataclass(frozen=True, kw_only=True)
    class Own(Perturbation):
        def draw(self, x, y, model, *, space, num_draws, rng):
            return Draws(x.expand(num_draws, *x.shape).clone())

        @classmethod
        def examples(cls):
            return []

    assert asked(Own) == [Own()]


def test_a_note_names_the_columns_that_change_within_balls():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    known = fit_features(("width", "height", "age"), x)
    split = TensorSplit(x, torch.arange(20) % 2, classes=("a", "b"), box=None, features=known)
    assert Question.of(split, "worst-case", balls=(BALL,)).notes == ()
    step = Change((2,), ((0.0,), (1.0,)), added=True)
    split.features = known._replace(changes=(step,), movable=(True, True, False))
    (note,) = Question.of(split, "worst-case", balls=(BALL,)).notes
    assert note.endswith(": age.")
    assert Question.of(split, "clean").notes == ()
