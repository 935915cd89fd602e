import pytest

from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.functional.changes import Change


@pytest.fixture
def path(tmp_path):
    colours = ["red", "orange", "green", "blue"]
    rows = [f"{k / 7:.3f},{colours[k % 4]},{1 + k % 5},{'ab'[k % 2]}" for k in range(60)]
    file = tmp_path / "homes.csv"
    file.write_text("size,colour,rooms,kind\n" + "\n".join(rows) + "\n")
    return str(file)


def features(path, **options):
    split = Table(path=path, target="kind", **options).load("train")
    assert split.features is not None
    return split.features


def test_a_table_without_changes_has_none(path):
    assert features(path).changes == ()


def test_levels_are_exchanged_and_numbers_added_in_the_units_of_the_inputs(path):
    known = features(path, changes={"rooms": (-1, 1), "colour": ("red", "green", "red")})
    assert known.names == ("size", "colour=blue", "colour=green", "colour=orange", "colour=red", "rooms")
    colour, rooms = known.changes
    assert colour == Change((4, 2), ((1.0, 0.0), (0.0, 1.0)))
    assert rooms.inputs == (5,)
    assert rooms.added
    assert [value * known.scale[5] for (value,) in rooms.values] == pytest.approx([0, -1, 1])
    assert known.movable == (True, False, False, False, False, False)


def test_codes_are_levels_too(path):
    known = features(path, categorical=("rooms",), changes={"rooms": (1, 5)})
    assert [known.names[k] for k in known.changes[0].inputs] == ["rooms=1", "rooms=5"]


def test_a_measured_column_with_changes_is_not_displaced_beside_them(path):
    known = features(path, changes={"size": (0.5,), "rooms": (1,)}, movable=None)
    assert known.movable == (False,) * 6
    assert [len(each.values) for each in known.changes] == [2, 2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"changes": {"color": ("red",)}}, r"changes column 'color' is no feature; did you mean colour\?"),
        (
            {"changes": {"colour": ("red", "gren")}},
            r"column 'colour': changes name the level 'gren', unseen in training",
        ),
        ({"changes": {"colour": ("red", "red")}}, r"expected at least two interchangeable levels"),
        ({"changes": {"colour": (True, False)}}, r"column 'colour': quote words for yes or no"),
        ({"changes": {"rooms": (True,)}}, r"column 'rooms': expected numbers that may be added, got True"),
        ({"changes": {1: (1,)}}, r"changes column '1' is no feature"),
        ({"changes": {"rooms": (0.5,)}}, r"column 'rooms': expected whole numbers that may be added to whole numbers"),
        ({"changes": {"rooms": ("one",)}}, r"column 'rooms': expected numbers that may be added, got 'one'"),
        ({"changes": {"rooms": (float("nan"),)}}, r"changes\['rooms'\]\[0\] must be .* got nan"),
        ({"changes": {"rooms": (0,)}}, r"expected from 1 to 255 numbers other than 0"),
        (
            {"changes": {"rooms": (1,)}, "movable": ("rooms",)},
            r"^Table: column 'rooms' must not be both in movable and",
        ),
    ],
)
def test_changes_that_mean_nothing_are_refused_in_a_sentence(path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        features(path, **options)
