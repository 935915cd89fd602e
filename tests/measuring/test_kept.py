"""The table of outcomes on disk: parts, merging, replacing, samples of several sources."""

import re
from dataclasses import dataclass
from typing import Any

import polars
import pytest
import torch
from polars.testing import assert_frame_equal

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Evaluation
from withstand.evaluation.loop import Block
from withstand.measuring.kept import Kept, sample_frame
from withstand.measuring.parts import Parts
from withstand.study.measures.measure import Measure
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable

TOP1 = Measure(name="top1", column="correct", percent=True)
CLASSES = ("a", "b", "c")


def block(start, stop, conditions=("clean", "fog/1"), *, skip=()):
    """Return made-up outcomes of a range of places, whose samples have numbers that run down from 100."""
    places = torch.tensor([each for each in range(start, stop) if each not in skip], dtype=torch.int64)
    number = 100 - places
    generator = torch.Generator().manual_seed(start)
    columns = {
        name: {
            "prediction": (number % 3).int(),
            "confidence": torch.rand(len(number), generator=generator),
            "correct": number % 2 == place,
        }
        for place, name in enumerate(conditions)
    }
    return Block(start, stop, number, number % 3, columns if len(number) else {})


def first_missing(found):
    return found.missing(10**6)[0][0]


def parts(folder, conditions=("clean", "fog/1"), *, seconds=0.0, writes=True):
    return Parts(folder, conditions, seconds=seconds, writes=writes)


def whole():
    found = parts(None)
    for start in range(0, 12, 4):
        found.add(block(start, start + 4))
    return found.frames()


def assert_equal(found, wanted):
    assert_frame_equal(found[0], wanted[0], check_exact=True)
    assert found[1].keys() == wanted[1].keys()
    for name, frame in wanted[1].items():
        assert_frame_equal(found[1][name], frame, check_exact=True)


def test_what_was_kept_in_parts_is_what_was_found_in_memory(tmp_path):
    for seconds in (0.0, 1e9):
        own = parts(tmp_path / str(seconds), seconds=seconds)
        for start in range(0, 12, 4):
            own.add(block(start, start + 4))
        assert_equal(own.frames(), whole())
    samples, frames = whole()
    assert samples["number"].to_list() == list(range(89, 101))
    assert frames["clean"].schema == {
        "number": polars.UInt32,
        "prediction": polars.Int32,
        "confidence": polars.Float32,
        "correct": polars.Boolean,
    }


def test_a_measurement_that_was_stopped_goes_on_behind_its_last_part(tmp_path):
    first = parts(tmp_path)
    for start in (0, 4):
        first.add(block(start, start + 4))
    second = parts(tmp_path)
    assert first_missing(second) == 8
    second.add(block(8, 12))
    assert_equal(second.frames(), whole())


def test_what_was_not_written_yet_is_measured_again(tmp_path):
    first = parts(tmp_path, seconds=1e9)
    first.add(block(0, 4))  # the first part is written at once, so that it shows early whether it can be
    first.add(block(4, 8))
    assert first_missing(parts(tmp_path)) == 4


def test_parts_that_do_not_follow_one_another_are_ignored(tmp_path):
    own = parts(tmp_path)
    for start in range(0, 12, 4):
        own.add(block(start, start + 4))
    (tmp_path / "000000004-000000008.parquet").unlink()
    again = parts(tmp_path)
    assert first_missing(again) == 4
    for start in (4, 8):
        again.add(block(start, start + 4))
    assert_equal(again.frames(), whole())
    # Batches of another size begin elsewhere: parts that overlap count once.
    (tmp_path / "000000002-000000006.parquet").write_bytes((tmp_path / "000000004-000000008.parquet").read_bytes())
    assert_equal(parts(tmp_path).frames(), whole())


def test_only_the_process_that_writes_writes(tmp_path):
    own = parts(tmp_path / "parts", writes=False)
    own.add(block(0, 4))
    assert not (tmp_path / "parts").exists()


def test_parts_are_removed_with_their_folder_and_nothing_else_is(tmp_path):
    for name in ("one", "two"):
        parts(tmp_path / "parts" / name).add(block(0, 4))
    one, two = (parts(tmp_path / "parts" / name) for name in ("one", "two"))
    one.remove()
    assert (tmp_path / "parts" / "two").is_dir()
    two.remove()
    assert list(tmp_path.iterdir()) == []


def test_samples_that_could_not_be_read_are_left_out_even_all_of_a_batch(tmp_path):
    for folder in (tmp_path, None):
        own = parts(folder)
        own.add(block(0, 4, skip=range(4)))
        own.add(block(4, 8, skip=(5,)))
        samples, frames = own.frames()
        assert samples["number"].to_list() == [93, 94, 96]
        assert frames["clean"]["number"].to_list() == [93, 94, 96]
        assert frames["fog/1"]["correct"].to_list() == [True, False, False]


@dataclass(frozen=True, kw_only=True)
class Wrong(Evaluation):
    """Finds a column of the wrong shape."""

    shape: tuple[int, ...]

    @property
    def conditions(self):
        return ("clean",)

    @property
    def measures(self):
        return (TOP1,)

    def outcomes(self, model, x, y, *, space, state, rng):
        return {"clean": {"correct": torch.zeros(self.shape)}}

    @classmethod
    def examples(cls):
        return []


@pytest.mark.parametrize("shape", [(), (3,), (5,), (4, 1)])
def test_a_column_of_another_shape_is_one_sentence(shape, tiny_split):
    sentence = f"^Wrong: column correct must hold one value per sample \\(4\\), got shape {re.escape(str(shape))} of torch.float32\\.$"
    with pytest.raises(InputError, match=sentence):
        Wrong(shape=shape).measure(torch.nn.Identity(), tiny_split, seed=0, engine=Engine(batch_size=4))


@dataclass(frozen=True, kw_only=True)
class Given(Evaluation):
    """Finds what it was given, under two conditions."""

    first: Any
    second: Any
    column: str = "correct"

    @property
    def conditions(self):
        return ("first", "second")

    @property
    def measures(self):
        return (Measure(name="mine", column=self.column),)

    def outcomes(self, model, x, y, *, space, state, rng):
        return {
            name: {"correct": each}
            for name, each in (("first", self.first), ("second", self.second))
            if each is not None
        }

    @classmethod
    def examples(cls):
        return []


def test_columns_of_one_name_keep_the_type_that_each_condition_gave_them(tiny_split, tmp_path):
    types = [torch.bool, torch.float32, torch.bfloat16, torch.int64]
    wanted = [polars.Boolean, polars.Float32, polars.Float32, polars.Int32]
    for first, second in ((0, 1), (1, 0), (0, 2), (3, 0), (2, 3)):
        columns = [torch.ones(20, dtype=types[each]) for each in (first, second)]
        own = Given(first=columns[0], second=columns[1])
        found = own.measure(torch.nn.Identity(), tiny_split, seed=0, engine=Engine(batch_size=20))
        kept = parts(tmp_path / f"{first}{second}", ("first", "second"))
        kept.add(Block(0, 20, found.number, found.label, found.columns))
        frames = kept.frames()[1]
        assert [frames[name]["correct"].dtype for name in ("first", "second")] == [wanted[first], wanted[second]]


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        (Given(first=torch.ones(20), second=None), r"for the conditions \['first', 'second'\], got \['first'\]"),
        (Given(first=torch.ones(20), second=torch.ones(20), column="absent"), "mine needs the column absent"),
        (Given(first=torch.full((20,), torch.nan), second=torch.ones(20)), "must hold numbers, got NaN"),
    ],
    ids=["a condition", "a column", "NaN"],
)
def test_what_an_evaluation_declares_and_does_not_give_is_one_sentence(own, sentence, tiny_split):
    with pytest.raises(InputError, match=f"^Given: .*{sentence}"):
        own.measure(torch.nn.Identity(), tiny_split, seed=0, engine=Engine(batch_size=20))


def test_conditions_of_different_columns_keep_their_own():
    own = parts(None, ("near", "far"))
    number = torch.arange(3)
    found = {"near": {"distance": torch.tensor([1.0, torch.inf, 0.0])}, "far": {"correct": torch.tensor([True] * 3)}}
    own.add(Block(0, 3, number, number, found))
    frames = own.frames()[1]
    assert [frames[name].columns for name in ("near", "far")] == [["number", "distance"], ["number", "correct"]]
    assert frames["near"]["distance"].to_list() == [1.0, float("inf"), 0.0]
    assert parts(None, ("none",)).frames()[1]["none"].columns == ["number"]


def test_predictions_that_are_not_finite_become_null():
    own = parts(None, ("clean",))
    number = torch.arange(3)
    own.add(Block(0, 3, number, number, {"clean": {"prediction": torch.tensor([2, -1, 0])}}))
    assert own.frames()[1]["clean"]["prediction"].to_list() == [2, None, 0]


def test_a_damaged_part_is_one_sentence_that_names_the_file(tmp_path):
    own = parts(tmp_path)
    own.add(block(0, 4))
    (path,) = tmp_path.glob("*.parquet")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=f"{path}.* damaged"):
        parts(tmp_path).frames()


def kept(folder, **options):
    return Kept(folder, **{"data": "Tiny", "seed": 3, "classes": CLASSES, "shape": (3, 8, 8), **options})


def condition(name="clean", right=(True, False, True), number=(1, 5, 9), **fields):
    frame = polars.DataFrame({"number": polars.Series(number, dtype=polars.UInt32), "correct": list(right)})
    return ConditionOutcomes(condition=name, measures=(TOP1,), columns=frame, **fields)


def samples(number=(1, 5, 9), identifier=("x.png", "y.png", "z.png"), label=(0, 1, 2)):
    return polars.DataFrame(
        {
            "number": polars.Series(number, dtype=polars.UInt32),
            "label": polars.Series(label, dtype=polars.Int32),
            "identifier": polars.Series(identifier, dtype=polars.String),
        }
    )


@pytest.fixture(params=[True, False], ids=["in a folder", "in memory"])
def folder(request, tmp_path):
    return tmp_path / "outcomes" if request.param else None


def test_the_table_in_a_folder_is_the_one_in_memory(tmp_path):
    tables = []
    for place in (tmp_path, None):
        own = kept(place)
        own.add([condition(evaluation={"top": (1, 5)}, numbers={"bound": 2.5})], samples(), source="")
        own.add([condition("fog/1", (False, False, True))], samples(), source="")
        tables.append(own.table)
    tables.append(OutcomeTable.read(tmp_path))
    first, *others = tables
    for other in others:
        assert (other.classes, other.shape, other.data, other.seed) == (first.classes, first.shape, "Tiny", 3)
        assert_frame_equal(other.samples, first.samples, check_exact=True)
        for one, two in zip(first.conditions, other.conditions, strict=True):
            assert (one.condition, one.measures, one.numbers) == (two.condition, two.measures, two.numbers)
            assert (one.source, one.evaluation) == (two.source, two.evaluation)
            assert_frame_equal(one.frame, two.frame, check_exact=True)


def test_a_condition_is_known_by_its_name_and_its_evaluation(folder):
    own = kept(folder)
    own.add([condition(evaluation={"top": (1, 5)})], samples(), source="")
    for again in (own, kept(folder) if folder else own):
        assert again.has("clean", {"top": (1, 5)})
        assert again.has("clean", {"top": [1, 5]})
        assert not again.has("clean", {"top": (1,)})
        assert not again.has("fog/1", {"top": (1, 5)})


def test_another_evaluation_of_the_same_name_takes_the_place_of_the_first(folder):
    own = kept(folder)
    own.add([condition(evaluation={"steps": 1}), condition("fog/1")], samples(), source="")
    own.add([condition(right=(False, False, False), evaluation={"steps": 2})], samples(), source="")
    table = OutcomeTable.read(folder) if folder else own.table
    assert [each.condition for each in table.conditions] == ["fog/1", "clean"]
    assert not own.has("clean", {"steps": 1})
    assert table.reduce().rows[1].value == 0
    if folder:
        names = {each.columns.name for each in table.conditions}
        assert {each.name for each in folder.glob("*.parquet")} == {*names, "samples.parquet"}
        assert not list(folder.glob("*.tmp"))


def test_files_of_conditions_with_similar_names_differ(tmp_path):
    own = kept(tmp_path)
    names = ["linf 0.1, PGD", "linf 0.1 PGD", "l2 " + "9" * 300, "../../etc", "Größe", "clean"]
    for each in names:
        own.add([condition(each)], samples(), source="")
    table = OutcomeTable.read(tmp_path)
    assert [each.condition for each in table.conditions] == names
    assert len({each.columns for each in table.conditions}) == len(names)
    assert all(each.columns.parent == tmp_path and len(each.frame) == 3 for each in table.conditions)


def test_samples_of_cells_whose_files_differ_have_a_source_of_their_own(folder):
    own = kept(folder)
    other = samples((1, 5), ("z.png", "x.png"), (2, 0))
    own.add([condition("fog/1")], samples(), source="fog/1")
    own.add([condition("fog/2")], samples(), source="fog/2")
    own.add([condition("snow/1", (True, False), (1, 5))], other, source="snow/1")
    table = OutcomeTable.read(folder) if folder else own.table
    assert [each.source for each in table.conditions] == ["", "", "snow/1"]
    assert len(table.samples) == 5
    assert table.frame("fog/2")["identifier"].to_list() == ["x.png", "y.png", "z.png"]
    assert table.frame("snow/1").select("identifier", "label").rows() == [("z.png", 2), ("x.png", 0)]


def test_fewer_samples_of_the_same_source_do_not_make_another_one(folder):
    own = kept(folder)
    own.add([condition()], samples(), source="")
    own.add([condition("noisy", (True, True), (1, 9))], samples((1, 9), ("x.png", "z.png"), (0, 2)), source="")
    table = OutcomeTable.read(folder) if folder else own.table
    assert [each.source for each in table.conditions] == ["", ""]
    assert table.samples["number"].to_list() == [1, 5, 9]
    assert table.frame("noisy")["identifier"].to_list() == ["x.png", "z.png"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("outcomes.json", b"{"),
        ("outcomes.json", b"[]"),
        ("outcomes.json", b"\xff\xfe"),
        ("outcomes.json", b'{"format": 1}'),
        ("samples.parquet", b"PAR1"),
        ("clean", b""),
        ("clean", None),
    ],
)
def test_a_damaged_file_is_one_sentence_that_names_it(name, content, tmp_path):
    kept(tmp_path).add([condition()], samples(), source="")
    (path,) = tmp_path.glob(f"{name}*")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)) as caught:
        kept(tmp_path).table.reduce()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("change", [{"seed": 4}, {"classes": ("a", "b")}, {"data": "Other"}, {"shape": (1, 8, 8)}])
def test_a_folder_of_something_else_is_refused(change, tmp_path):
    kept(tmp_path).add([condition()], samples(), source="")
    kept(tmp_path)
    with pytest.raises(InputError, match=f"^outcomes: .*{next(iter(change))}"):
        kept(tmp_path, **change)


def test_parts_of_another_measurement_are_not_taken(tmp_path):
    own = kept(tmp_path)
    options = {"seconds": 0.0, "writes": True}
    own.parts({"evaluations": [{"steps": 1}]}, ["clean"], **options).add(block(0, 4, ("clean",)))
    assert first_missing(own.parts({"evaluations": [{"steps": 1}]}, ["clean"], **options)) == 4
    assert first_missing(own.parts({"evaluations": [{"steps": 2}]}, ["clean"], **options)) == 0


def test_samples_are_known_by_number_or_by_what_the_split_calls_them(tiny_split, monkeypatch):
    found = polars.DataFrame({"number": polars.Series([10, 3], dtype=polars.UInt32), "label": [1, 0]})
    assert sample_frame(found, tiny_split)["identifier"].to_list() == [None, None]
    monkeypatch.setattr(TensorSplit, "identifiers", lambda self: {int(each): f"{each}.png" for each in self.numbers})
    frame = sample_frame(found, tiny_split)
    assert frame["identifier"].to_list() == ["10.png", "3.png"]
    assert frame.schema["label"] == polars.Int32
