import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from withstand.reports.figures.noise import amplification, noise_figure
from withstand.reports.figures.tools import style as figures
from withstand.reports.figures.tools.style import figure_style, new_figure, write_figure
from withstand.study.noise_examples import NoiseExamples, NoisyImages


def examples(size=8, channels=3, scale=1.0, num_images=3):
    generator = np.random.default_rng(0)
    images = generator.random((num_images, size, size, channels), dtype=np.float32)
    radius = scale * images[0].size ** 0.5

    def noisy():
        noise = scale * generator.standard_normal(images.shape, dtype=np.float32)
        return NoisyImages(np.clip(images + noise, 0, 1), noise)

    edges = np.linspace(-8 * scale, 8 * scale, 65)
    density = np.stack([np.histogram(generator.normal(0, scale, 1000), edges, density=True)[0]] * channels)
    return NoiseExamples(
        condition="adversarial noise 3x3",
        radius=radius,
        images=images,
        gaussian=noisy(),
        learned=noisy(),
        edges=edges,
        density=density,
    )


def texts(figure):
    return [each.get_text() for each in figure.texts]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_stands_in_five_tiles_and_every_channel_has_a_density(channels):
    found = noise_figure(examples(channels=channels), model="net")
    assert len([each for each in found.axes if each.images]) == 3 * 5
    assert len([each for each in found.axes if each.lines]) == channels


def test_the_tiles_are_the_given_images_and_the_noise_times_the_factor_that_is_named():
    data = examples(scale=0.3)
    found = noise_figure(data, model="net")
    factor = amplification(data)
    assert f"noise \N{MULTIPLICATION SIGN} {factor:.3g}" in texts(found)
    tiles = [np.asarray(each.images[0].get_array()) for each in found.axes if each.images]
    assert np.array_equal(tiles[0], data.images[0])
    assert np.array_equal(tiles[3], data.learned.moved[0])
    assert np.allclose(tiles[4], np.clip(0.5 + factor * data.learned.noise[0], 0, 1))


def test_of_large_images_the_noise_alone_is_the_centre_only():
    data = examples(size=100, num_images=1)
    found = noise_figure(data, model="net")
    shapes = [each.images[0].get_array().shape for each in found.axes if each.images]
    assert shapes == [(100, 100, 3), (100, 100, 3), (64, 64, 3), (100, 100, 3), (64, 64, 3)]
    assert [each for each in texts(found) if each.endswith(", centre 64 px")]


@pytest.mark.parametrize(("scale", "factor"), [(1.0, 0.2), (0.1, 2.0), (0.004, 60.0)])
def test_the_factor_has_one_digit_and_keeps_nearly_all_values_between_black_and_white(scale, factor):
    data = examples(size=32, scale=scale)
    assert amplification(data) == pytest.approx(factor)
    for each in (data.gaussian, data.learned):
        assert (np.abs(factor * each.noise) <= 0.5).mean() > 0.94


def test_accuracies_are_given_above_the_noise_that_they_belong_to():
    accuracies = {"gaussian noise": 0.75, "adversarial noise 3x3": 0.5, "adversarial noise 1x1": 0.25}
    found = texts(noise_figure(examples(), model="net", accuracies=accuracies))
    assert "Gaussian noise: 75.0 % classified correctly" in found
    assert "Learned noise: 50.0 % classified correctly" in found
    assert not [each for each in found if "25.0" in each]


def test_names_are_shown_as_they_are_and_nothing_is_wider_than_the_figure():
    found = noise_figure(examples(), model="$a_1$" + 30 * "long-name-")
    assert any("$a_1$" in each for each in texts(found))
    renderer = found.canvas.get_renderer()
    for each in found.texts:
        box = each.get_window_extent(renderer)
        assert 0 <= box.x0 < box.x1 <= found.bbox.width


@pytest.mark.slow
def test_the_same_data_give_the_same_files_and_nothing_else(tmp_path):
    written = [write_figure(tmp_path / name / "noise.1", noise_figure(examples(), model="net")) for name in "ab"]
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert [each.name for each in sorted((tmp_path / "a").iterdir())] == ["noise.1.png", "noise.1.svg"]
    assert Image.open(io.BytesIO(written[0][0].read_bytes())).size[0] == 7.2 * 300


def test_a_figure_that_cannot_be_drawn_leaves_nothing_and_what_was_there_before(tmp_path, monkeypatch):
    path = tmp_path / "noise"
    write_figure(path, new_figure(1.0))
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    draw = Figure.savefig

    def fail_at_second(self, buffer, **options):
        if options["format"] == "svg":
            raise OSError("disk")
        draw(self, buffer, **options)

    monkeypatch.setattr(Figure, "savefig", fail_at_second)
    with pytest.raises(OSError, match="disk"):
        write_figure(path, noise_figure(examples(), model="net"))
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_the_settings_of_the_user_neither_matter_nor_change(tmp_path):
    data = examples()
    plain, _ = write_figure(tmp_path / "a", noise_figure(data, model="net"))
    with mpl.rc_context({"font.size": 20.0, "axes.facecolor": "red"}):
        own, _ = write_figure(tmp_path / "b", noise_figure(data, model="net"))
        assert (mpl.rcParams["font.size"], mpl.rcParams["axes.facecolor"]) == (20.0, "red")
    assert plain.read_bytes() == own.read_bytes()
    with figure_style():
        assert mpl.rcParams["font.size"] == figures.STYLE["font.size"]
