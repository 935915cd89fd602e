"""Pictures on disk: what is read is what was written; examples are the same samples for every model and source."""

import io

import numpy as np
import polars
import pytest
from PIL import Image

from withstand.errors import InputError
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.pictures import (
    MOST_BYTES,
    MOST_EXAMPLES,
    Pictured,
    encoded,
    examples_of,
    read_pictures,
    size_of,
    wanted_pictures,
    write_pictures,
)


def image(value, shape=(8, 6, 3)):
    return encoded(np.full(shape, value, dtype=np.uint8))


PICTURES = {Pictured("fog/5", "b.parquet", 7): image(9), Pictured("clean", "a.parquet", 3): image(200)}


def test_reading_gives_what_was_written_and_the_same_is_the_same_file(tmp_path):
    write_pictures(tmp_path / "a" / "p.parquet", PICTURES)
    write_pictures(tmp_path / "b.parquet", dict(reversed(PICTURES.items())))
    assert (tmp_path / "a" / "p.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["p.parquet"]
    assert read_pictures(tmp_path / "b.parquet") == PICTURES
    assert read_pictures(tmp_path / "c.parquet") == {}


def other_columns(path):
    polars.DataFrame({"number": [1]}).write_parquet(path)


def no_pictures(path):
    write_pictures(path, {Pictured("clean", "a", 1): b"text"})


def cut(path):
    write_pictures(path, PICTURES)
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b""), cut, other_columns, no_pictures])
def test_a_broken_file_is_one_sentence_that_names_it(tmp_path, spoil):
    path = tmp_path / "pictures.parquet"
    spoil(path)
    with pytest.raises(InputError, match=rf"^{path} is damaged .* evaluate again\.$") as error:
        read_pictures(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_small_whatever_they_show(channels):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, channels), dtype=np.uint8)
    assert len(encoded(noise)) <= MOST_BYTES
    assert size_of(encoded(noise[:48])) == (96, 48)
    flat = np.asarray(Image.open(io.BytesIO(image(130, (96, 96, channels)))))
    assert np.abs(flat.astype(int) - 130).max() <= 2


def table(labels, sources=("",), numbers=None, identifiers=None):
    """Return outcomes with a condition per source."""
    parts, conditions = [], []
    for source in sources:
        own = numbers[source] if numbers else list(range(len(labels)))
        parts.append(
            polars.DataFrame(
                {
                    "source": [source] * len(labels),
                    "number": polars.Series(own, dtype=polars.UInt32),
                    "label": polars.Series(labels, dtype=polars.Int32),
                    "identifier": polars.Series(identifiers or [None] * len(labels), dtype=polars.String),
                }
            )
        )
        columns = polars.DataFrame(
            {
                "number": polars.Series(own, dtype=polars.UInt32),
                "prediction": polars.Series(labels, dtype=polars.Int16),
                "confidence": [0.5] * len(labels),
                "correct": [True] * len(labels),
            }
        ).sort("number")
        name = source or "clean"
        conditions.append(ConditionOutcomes(condition=name, measures=(), columns=columns, source=source))
    classes = tuple(f"c{k}" for k in range(max(labels) + 1))
    return OutcomeTable(samples=polars.concat(parts), classes=classes, conditions=tuple(conditions))


def test_examples_are_the_first_ones_of_each_class_in_turn():
    labels = [2, 2, 0, 1, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    (own,) = examples_of(table(labels)).values()
    assert list(own.values()) == [2, 3, 0, 4, 1, 5, 6, 7, 8, 9, 10, 11]


def test_of_many_classes_examples_are_spread_over_all():
    labels = list(range(60)) * 2
    (own,) = examples_of(table(labels)).values()
    assert [labels[each] for each in own.values()] == list(range(0, 60, 5))
    assert len(own) == MOST_EXAMPLES


def test_examples_are_the_same_images_in_sources_with_other_numbers():
    labels, names = [0, 1, 0, 1], ["a.png", "b.png", "c.png", "d.png"]
    numbers = {"fog/1": [0, 1, 2, 3], "fog/2": [13, 12, 11, 10]}
    found = examples_of(table(labels, ("fog/1", "fog/2"), numbers, names))
    one, other = found["fog/1"], found["fog/2"]
    assert list(one) == list(other)
    assert [numbers["fog/1"].index(each) for each in one.values()] == [
        numbers["fog/2"].index(each) for each in other.values()
    ]
    wanted = wanted_pictures(table(labels, ("fog/1", "fog/2"), numbers, names))
    assert wanted == {"fog/1": {0, 1, 2, 3}, "fog/2": {10, 11, 12, 13}}
