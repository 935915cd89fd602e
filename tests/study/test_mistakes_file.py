"""The file of mistakes: what is read is what was written, and anything else is one sentence."""

import io
import json

import numpy as np
import pytest

from withstand.errors import InputError
from withstand.study.mistakes import (
    ConditionMistakes,
    Mistake,
    Mistakes,
    read_mistakes,
    write_mistakes,
)


def image(value, channels=3):
    return np.full((4, 6, channels), value, dtype=np.uint8)


def mistakes(*, pictures=True, channels=3):
    worst = (Mistake(7, 0, 2, 0.9876, image(9, channels)), Mistake(3, 1, 0, 0.5, image(8, channels)))
    worst = worst if pictures else tuple(each._replace(thumbnail=None) for each in worst)
    sizes = np.array([4, 5, 0])
    known = [("clean", np.array([4, 5, 0]), ()), ("fog/5", np.array([3, 1, 0]), worst)]
    conditions = tuple(
        ConditionMistakes(
            condition=name,
            hits=hits,
            sizes=sizes,
            worst=own,
            example=image(k, channels) if pictures else None,
            outcomes=f"{k}.parquet",
        )
        for k, (name, hits, own) in enumerate(known)
    )
    return Mistakes(data="Digits", seed=3, classes=("a", "<b>", "ß"), conditions=conditions)


@pytest.mark.parametrize("options", [{}, {"channels": 1}, {"pictures": False}])
def test_reading_gives_what_was_written_and_the_same_is_the_same_file(tmp_path, options):
    one, other = tmp_path / "a" / "mistakes.npz", tmp_path / "b.npz"
    write_mistakes(one, mistakes(**options))
    write_mistakes(other, mistakes(**options))
    assert one.read_bytes() == other.read_bytes()
    assert [each.name for each in one.parent.iterdir()] == ["mistakes.npz"]
    found, wanted = read_mistakes(one), mistakes(**options)
    assert (found.data, found.seed, found.classes) == (wanted.data, wanted.seed, wanted.classes)
    for own, other in zip(found.conditions, wanted.conditions, strict=True):
        assert (own.condition, own.outcomes) == (other.condition, other.outcomes)
        assert np.array_equal(own.hits, other.hits)
        assert np.array_equal(own.sizes, other.sizes)
        assert [each[:4] for each in own.worst] == [each[:4] for each in other.worst]
        pictures = [
            (own.example, other.example),
            *((a.thumbnail, b.thumbnail) for a, b in zip(own.worst, other.worst, strict=True)),
        ]
        assert all(np.array_equal(a, b) if b is not None else a is None for a, b in pictures)


def test_the_worst_classes_are_those_with_the_lowest_accuracy_and_any_mistakes():
    found = mistakes()
    assert found.worst_classes(found.conditions[0]) == []
    assert found.worst_classes(found.conditions[1]) == [("<b>", 1, 5), ("a", 3, 4)]
    assert found.worst_classes(found.conditions[1], 1) == [("<b>", 1, 5)]
    assert found.conditions[1].error == pytest.approx(5 / 9)


def changed(path, **changes):
    """Write the file with some of its arrays changed; None leaves one out."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays["about"].tobytes()) | changes.pop("about", {})
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **{name: each for name, each in (arrays | changes).items() if each is not None})
    return buffer.getvalue()


BROKEN = {
    "empty": lambda _: b"",
    "text": lambda _: b"hello",
    "cut": lambda path: path.read_bytes()[:-30],
    "flipped": lambda path: path.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05", 1),
    "no hits": lambda path: changed(path, hits=None),
    "more hits than samples": lambda path: changed(path, hits=np.full((2, 3), 99)),
    "hits of another type": lambda path: changed(path, hits=np.zeros((2, 3))),
    "no class": lambda path: changed(path, about={"classes": [], "conditions": []}),
    "names that are numbers": lambda path: changed(path, about={"classes": [1, 2, 3]}),
    "label of no class": lambda path: changed(path, about={"worst": [[], [[7, 0, 9, 0.9], [3, 1, 0, 0.5]]]}),
    "probability above one": lambda path: changed(path, about={"worst": [[], [[7, 0, 2, 1.9], [3, 1, 0, 0.5]]]}),
    "too many thumbnails": lambda path: changed(path, about={"worst": [[], [[7, 0, 2, 0.9]]]}),
    "thumbnails of floats": lambda path: changed(path, thumbnails=np.zeros((2, 4, 6, 3))),
    "examples of two channels": lambda path: changed(path, examples=np.zeros((2, 4, 6, 2), dtype=np.uint8)),
    "an object": lambda path: changed(path, hits=np.array([{}], dtype=object)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_one_sentence_that_names_it(tmp_path, kind):
    path = tmp_path / "mistakes.npz"
    write_mistakes(path, mistakes())
    path.write_bytes(BROKEN[kind](path))
    with pytest.raises(InputError) as error:
        read_mistakes(path)
    assert str(error.value).startswith("results: expected mistakes as `withstand evaluate` writes them, got ")
    assert str(path) in str(error.value)
    assert str(error.value).endswith("evaluate again.")


def test_a_missing_file_is_the_same_sentence(tmp_path):
    with pytest.raises(InputError, match="missing, damaged or of another kind"):
        read_mistakes(tmp_path / "mistakes.npz")
