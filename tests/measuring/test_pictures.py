"""Pictures are drawn again as the model met the samples, once, and only those that are missing."""

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.functional.random import RowStreams, derive_seed, normal
from withstand.measuring import ask as ask_module
from withstand.measuring import pictures as pictures_module
from withstand.measuring.pictures import Drawn, draw_pictures, keep_pictures, thumbnails
from withstand.perturbations.base import Draws
from withstand.perturbations.gaussian import Gaussian
from withstand.study.pictures import Pictured, read_pictures

ENGINE = Engine()


@dataclass(frozen=True, kw_only=True)
class FakeNoise:
    """A perturbation that adds noise from the streams; it has only what drawing needs."""

    condition: str
    noise: str

    def draw(self, x, y, model, *, num_draws, rng, space):
        assert (num_draws, space.shape, model.training) == (1, tuple(x.shape[1:]), False)
        return Draws(inputs=(x + 0.2 * normal(x.shape, rng=rng)).clamp(0, 1)[None])


@pytest.fixture
def split(six):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (6, 3, 8, 8), generator=generator, dtype=torch.uint8)
    # In the split, samples stand in another order than their numbers.
    order = torch.tensor([2, 0, 1, 5, 4, 3])
    y = torch.tensor(six.LABELS)[order]
    return TensorSplit(x, y, classes=("a", "b", "c"), box=(0.0, 1.0), numbers=torch.tensor(six.NUMBERS)[order])


def test_pictures_are_those_of_the_samples_as_the_model_met_them(split):
    noises = {name: FakeNoise(condition=name, noise=f"noise of {name}") for name in ("clean", "noisy")}
    model = torch.nn.Linear(1, 1).train()
    inputs = {name: Drawn(lambda: split, each) for name, each in noises.items()}
    wanted = {"clean": {3, 31}, "noisy": {10, 17, 38}}
    found = {
        (name, number): image for name, number, image in draw_pictures(wanted, inputs, model, seed=5, engine=ENGINE)
    }
    assert set(found) == {(name, each) for name, own in wanted.items() for each in own}
    assert model.training
    x, y, index, *_ = next(iter(split.batches([torch.arange(6)])))
    for name, noise in noises.items():
        rng = RowStreams(derive_seed(5, noise.noise), index)
        moved = noise.draw(x, y, model.eval(), num_draws=1, rng=rng, space=split.space).inputs[0]
        pictures = dict(zip(index.tolist(), thumbnails(moved).numpy(), strict=True))
        assert all(np.array_equal(found[name, each], pictures[each]) for each in wanted[name])


def test_each_set_of_samples_is_read_once(split):
    calls = []

    def load():
        calls.append(1)
        return split

    noises = [FakeNoise(condition=each, noise="n") for each in ("a", "b", "c")]
    inputs = {each.condition: Drawn(load, each) for each in noises}
    list(draw_pictures({key: {3} for key in inputs}, inputs, torch.nn.Identity(), seed=0, engine=ENGINE))
    assert len(calls) == 1


def test_large_images_become_thumbnails_of_96_pixels():
    x = torch.zeros(2, 3, 150, 300)
    x[..., 150:] = 1.0
    small = thumbnails(x).numpy()
    assert (small.shape, small.dtype) == ((2, 48, 96, 3), np.uint8)
    assert (small[:, :, :45].max(), small[:, :, 51:].min()) == (0, 255)


def kept_in(six, folder, own, inputs, name="clean-a"):
    """Write outcomes as an evaluation does, and keep the pictures."""
    path = folder / "outcomes" / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    own.frame.write_parquet(path)
    known = six.table(replace(own, columns=path))
    keep_pictures(folder, known, inputs, torch.nn.Identity, engine=ENGINE)
    return read_pictures(folder / "pictures.parquet")


def test_every_condition_has_the_examples_and_its_most_confident_mistakes(six, split, tmp_path):
    inputs = {"clean": Drawn(lambda: split, FakeNoise(condition="clean", noise="n"))}
    found = kept_in(six, tmp_path, six.outcomes("clean", [1] * 6), inputs)
    assert {each.number for each in found} == set(six.NUMBERS)
    picture = Image.open(io.BytesIO(found[Pictured("clean", "clean-a.parquet", 3)]))
    assert (picture.format, picture.size) == ("JPEG", (8, 8))


def test_a_condition_that_cannot_be_drawn_and_tables_have_no_pictures(six, split, tmp_path):
    other = {"fog/1": Drawn(lambda: split, FakeNoise(condition="fog/1", noise="n"))}
    for inputs in ({}, other):
        assert kept_in(six, tmp_path, six.clean, inputs) == {}
    assert not (tmp_path / "pictures.parquet").exists()


def test_what_is_kept_is_not_drawn_again_and_what_was_measured_again_is(six, split, tmp_path):
    drawn = []

    def inputs_of(name):
        def load():
            drawn.append(name)
            return split

        return {name: Drawn(load, FakeNoise(condition=name, noise="n"))}

    first = kept_in(six, tmp_path, six.clean, inputs_of("clean"))
    before = (tmp_path / "pictures.parquet").stat().st_mtime_ns
    assert kept_in(six, tmp_path, six.clean, inputs_of("clean")) == first
    assert (tmp_path / "pictures.parquet").stat().st_mtime_ns == before
    assert drawn == ["clean"]
    # Another condition is added.
    both = kept_in(six, tmp_path, six.outcomes("fog/5", six.LABELS), inputs_of("fog/5"), name="fog")
    assert {each.condition for each in both} == {"clean", "fog/5"}
    assert drawn == ["clean", "fog/5"]
    # Other outcomes take the place of those of the same name.
    again = kept_in(six, tmp_path, six.clean, inputs_of("clean"), name="clean-b")
    assert {each.outcomes for each in again if each.condition == "clean"} == {"clean-b.parquet"}
    assert {each.outcomes for each in again if each.condition == "fog/5"} == {"fog.parquet"}


def test_pictures_taken_while_measuring_are_those_drawn_afterwards(tmp_path, tiny_split, tiny_model, monkeypatch):
    on, drawn = [Gaussian(std=0.2), Gaussian(std=0.5)], []
    ws.evaluate(tiny_model, tiny_split, on=on, keep=tmp_path / "taken", device="cpu", batch_size=7)
    monkeypatch.setattr(ask_module, "watched", lambda evaluation, split, taken: evaluation)
    monkeypatch.setattr(
        pictures_module, "draw_pictures", lambda *each, **o: drawn.append(each[0]) or draw_pictures(*each, **o)
    )
    ws.evaluate(tiny_model, tiny_split, on=on, keep=tmp_path / "drawn", device="cpu", batch_size=7)
    taken, redrawn = (read_pictures(next((tmp_path / each).rglob("pictures.parquet"))) for each in ("taken", "drawn"))
    assert drawn
    assert len(taken) >= 2 * 12
    assert list(taken.values()) == list(redrawn.values())
