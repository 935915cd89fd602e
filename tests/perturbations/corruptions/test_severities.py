"""Severities between the published ones, over every corruption there is."""

from dataclasses import replace
from itertools import pairwise
from math import inf, nan
from numbers import Real

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from withstand.cli import main
from withstand.configuration import discover, identity, to_plain
from withstand.copies.image_tree import ImageTree
from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import write_copy
from withstand.data.images.digits import Digits
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import integers, row_streams, stream
from withstand.measuring.question import Question
from withstand.measuring.words import meant
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.imagenet_c.brightness import Brightness
from withstand.perturbations.corruptions.imagenet_c.frost import Frost
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.corruptions.imagenet_c.glass_blur import GlassBlur
from withstand.perturbations.corruptions.imagenet_c.spatter import Spatter
from withstand.perturbations.corruptions.suites import MNIST_C

INDEX = torch.tensor([7, 3])
SINGLE = [cls.examples()[0] for cls in MNIST_C]
EVERY = [cls.examples()[0] for cls in discover(Corruption) if cls not in MNIST_C]
SIZES = [replace(each, pixels=pixels) for each in EVERY for pixels in each.tables]
every_corruption = pytest.mark.parametrize("corruption", EVERY, ids=lambda each: each.published_name())


def at(corruption, severity):
    return replace(corruption, severity=severity)


def drawn(corruption, x, name="noise"):
    rng, y = row_streams(0, name, index=INDEX), torch.zeros(len(x), dtype=torch.long)
    return corruption.draw(x, y, nn.Identity(), space=Space.like(x), num_draws=1, rng=rng).inputs[0]


def photos():
    return integers((2, 3, 32, 32), 0, 256, rng=stream(0, "photos")).float() / 255


def flat(parameters):
    """Return parameters as a list; numbers and whatever else there may be."""
    return [part for each in parameters for part in flat(each)] if isinstance(parameters, tuple) else [parameters]


@pytest.mark.parametrize("corruption", SIZES, ids=lambda each: f"{each.published_name()}-{each.pixels}")
def test_parameters_lie_between_those_of_the_published_severities(corruption):
    pixels = corruption.pixels
    for severity in (1, 2, 3, 4):
        low, middle, high = (
            flat(at(corruption, each).published(pixels, pixels)) for each in (severity, severity + 0.5, severity + 1)
        )
        assert (low, high) == tuple(flat(corruption.tables[pixels][each]) for each in (severity - 1, severity))
        for one, between, other in zip(low, middle, high, strict=True):
            if isinstance(one, Real) and not isinstance(one, bool):
                assert min(one, other) <= between <= max(one, other)
            else:
                assert between in (one, other)
        if low != high:
            near = [flat(at(corruption, severity + share).published(pixels, pixels)) for share in (0.1, 0.9)]
            assert near[0] != near[1]


@every_corruption
@pytest.mark.parametrize("severity", [1.001, 2.5, 3.5, 4.75])
def test_copies_between_are_deterministic_in_the_unit_interval_and_on_the_grid_of_8_bits(corruption, severity):
    x, between = photos(), at(corruption, severity)
    copies = drawn(between, x)
    assert torch.equal(copies, drawn(between, x))
    assert copies.shape == x.shape
    assert copies.min() >= 0
    assert copies.max() <= 1
    assert torch.equal(copies, (copies * 255).round() / 255)
    levels = between.draw_levels((x * 255).round().to(torch.uint8), rng=row_streams(0, "noise", index=INDEX))
    assert torch.equal(levels.float() / 255, copies)


@every_corruption
def test_neighbouring_severities_have_the_same_draws(corruption):
    near = [at(corruption, severity) for severity in (2.37, 2.37 + 1e-6)]
    one, other = (
        flat(each.sample((2, 3, 32, 32), rng=row_streams(0, "noise", index=INDEX), device=None)) for each in near
    )
    for own, its in zip(one, other, strict=True):
        if own is not None:
            torch.testing.assert_close(own, its, rtol=0, atol=1e-4)
    x = photos()
    assert (drawn(near[0], x) - drawn(near[1], x)).abs().mean() < 1e-3
    assert {at(corruption, each).noise for each in (2, 2.25, 2.999)} == {at(corruption, 2).condition}


@every_corruption
def test_a_whole_severity_is_the_same_however_it_is_written(corruption):
    whole = at(corruption, 3)
    for severity in (3.0, np.float32(3), np.int64(3)):
        same = at(corruption, severity)
        assert same == whole
        assert type(same.severity) is int
        assert (same.condition, same.noise, identity(same)) == (whole.condition, whole.condition, identity(whole))
    assert whole.condition.endswith("/3")
    assert to_plain(whole)["init_args"]["severity"] == 3
    assert at(corruption, 2.5).condition == whole.condition.replace("/3", "/2.5")
    assert at(corruption, 2.718281828459045).condition.endswith("/2.718281828459045")


@every_corruption
@pytest.mark.parametrize("severity", [0, 0.999, 5.1, -3, nan, inf, True, "3", None])
def test_other_severities_are_refused(corruption, severity):
    with pytest.raises(InputError, match=rf"^{type(corruption).__name__}: severity must be (a number )?from 1 to 5, "):
        at(corruption, severity)


@pytest.mark.parametrize("corruption", SINGLE, ids=lambda each: each.published_name())
def test_a_corruption_of_one_severity_has_no_other(corruption):
    for severity in (1.5, 2, 2.5):
        with pytest.raises(InputError, match=rf"^{type(corruption).__name__}: severity must be 1, got {severity}"):
            at(corruption, severity)
        with pytest.raises(InputError, match="severity"):
            Question.of(Digits(), f"{corruption.published_name()}/{severity}")


def test_noise_grows_with_the_severity_also_between_the_published_ones():
    noise = [drawn(GaussianNoise(severity=1 + step / 8, pixels=224), photos()).std() for step in range(33)]
    assert all(one < other for one, other in pairwise(noise))


def test_whole_numbers_are_rounded_and_what_is_done_changes_in_the_middle():
    assert GlassBlur(severity=1.75, pixels=224).published(1, 1) == (pytest.approx(0.85), 2, 1)
    assert Spatter(severity=3.25, pixels=224).published(1, 1) == (0.65, 0.3, 1.75, pytest.approx(0.6725), 0.5, False)
    assert Spatter(severity=3.75, pixels=224).published(1, 1) == (0.65, 0.3, 1.25, pytest.approx(0.6575), 1.5, True)
    assert Spatter(severity=1.5, pixels=224).published(1, 1)[4] == 0.6


@pytest.mark.parametrize(
    ("word", "condition"), [("fog/2.5", "fog/2.5"), ("fog/3.0", "fog/3"), ("fog+jpeg/1.25", "fog+jpeg/1.25")]
)
def test_a_severity_between_is_a_word(word, condition):
    assert [each.condition for each in meant(word, (3, 32, 32))] == [condition]


def test_it_is_a_word_of_every_corruption_and_other_numbers_are_not():
    for each in EVERY:
        found = meant(f"{each.published_name()}/4.5", (3, 32, 32), frost="procedural")
        assert [(type(one), one.severity) for one in found] == [(type(each), 4.5)]
    for severity in ("0.5", "5.1", "6", "nan", "inf", "-2.5", "2.5e0", "2,5", "2.", ".5", "\u0663.5", "2.5/3"):
        assert not meant(f"fog/{severity}", (3, 32, 32)), severity


@pytest.mark.parametrize(
    "on", ["fog/5.1", "fog/0", "fog/nan", "{class_path: Fog, init_args: {severity: .nan}}", "{class_path: Fog, "
           "init_args: {severity: true}}", "{class_path: Fog, init_args: {severity: 5.1}}"]
)  # fmt: skip
def test_the_command_line_refuses_other_severities_in_one_sentence(on, capsys):
    assert main(["evaluate", "resnet18", "--data=digits", "--on", on, "--device=cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "from 1 to 5" in line


def test_textures_of_frost_have_their_name_between_as_well():
    assert Frost(severity=2.5, textures="procedural").condition == "frost-procedural/2.5"
    assert Frost(severity=2.5, textures="procedural").noise == "frost-procedural/2"


def test_corrupted_files_have_the_parameters_between_in_their_manifest(tmp_path):
    copy = CorruptedCopy(data=Digits(test=0.01), corruptions=(Brightness(severity=2.5, pixels=32),), format="png")
    manifest = write_copy(copy, tmp_path / "copy")
    assert manifest["corruptions"]["brightness/2.5"]["parameters"] == pytest.approx(0.125)
    assert (tmp_path / "copy" / "brightness" / "2.5").is_dir()
    Image.new("RGB", (32, 32)).save(tmp_path / "image.png")
    original = replace(copy, data=ImageTree(path=str(tmp_path / "image.png")), format="same")
    manifest = write_copy(original, tmp_path / "original")
    assert manifest["corruptions"]["brightness/2.5"]["parameters_for_pixels"] == {32: pytest.approx(0.125)}
    with pytest.raises(InputError, match="five severities"):
        replace(copy, format="npy")
