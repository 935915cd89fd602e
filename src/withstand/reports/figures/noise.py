"""Learned noise next to Gaussian noise: on images, alone, and the density of its values."""

from collections.abc import Mapping
from math import ceil, floor, log10

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from withstand.reports.figures.tools.colours import BLUE, FAINT, ORANGE
from withstand.reports.figures.tools.style import WIDTH, figure_style, new_figure
from withstand.study.noise_examples import NoiseExamples

GAUSSIAN = "gaussian noise"
LARGEST_PIECE = 64  # pixels: of noise, whose single pixels are to be seen
LONGEST_NAME = 54  # characters
ROUND = [1, 2, 5, 10]  # steps of the axes
# Densities are shown as far out as this share of every channel lies, at least this many standard deviations.
SHARE_SHOWN, LEAST_STDS = 0.998, 3.0
# Inches.
TILE, GAP, MARGIN, HEAD, PLOT = 1.27, 0.06, 0.15, 0.86, 1.3
FOOT, BETWEEN, LEFT_OF_PLOT, BETWEEN_PLOTS = 0.45, 0.68, 0.5, 0.2


def noise_figure(examples: NoiseExamples, *, model: str, accuracies: Mapping[str, float] | None = None) -> Figure:
    """Return a figure: images clean and under both kinds of noise, the noise alone, and below it its density.

    Args:
        examples: Images and densities.
        model: Name of the model that the noise was learned against.
        accuracies: By condition, at the radius, as fractions; those of `gaussian noise` and of the learned noise are
            given above the images.
    """
    num_lines = len(examples.images)
    images = num_lines * (TILE + GAP) - GAP
    height = HEAD + images + BETWEEN + PLOT + FOOT
    with figure_style():
        figure = new_figure(height)
        factor = amplification(examples)
        _images(figure, examples, height, factor)
        _heads(figure, examples, height, factor, accuracies or {})
        name = model if len(model) <= LONGEST_NAME else f"{model[: LONGEST_NAME // 2]}...{model[-LONGEST_NAME // 2 :]}"
        title = f"Noise learned against {name}"
        figure.text(MARGIN / WIDTH, 1 - 0.13 / height, title, size=10, weight="bold", va="top")
        about = f"{examples.condition}, l2 distance {_number(examples.radius)} after clipping"
        figure.text(MARGIN / WIDTH, 1 - 0.33 / height, about, color=FAINT, va="top")
        _densities(figure, examples, height)
    return figure


def amplification(examples: NoiseExamples) -> float:
    """Return by what both kinds of noise are multiplied to be seen around mid-grey: one digit and a power of ten.

    All but a twentieth of the values then lie between black and white.
    """
    largest = max(float(np.quantile(np.abs(each.noise), 0.95)) for each in (examples.gaussian, examples.learned))
    most = 0.5 / max(largest, 1e-12)
    power = 10.0 ** floor(log10(most))
    return power * floor(most / power * (1 + 1e-9))


def _images(figure: Figure, examples: NoiseExamples, height: float, factor: float) -> None:
    for line, clean in enumerate(examples.images):
        noises = [0.5 + factor * _piece(each.noise[line]) for each in (examples.gaussian, examples.learned)]
        tiles = [clean, examples.gaussian.moved[line], noises[0], examples.learned.moved[line], noises[1]]
        for column, tile in enumerate(tiles):
            bottom = height - HEAD - line * (TILE + GAP) - TILE
            axes = figure.add_axes((_left(column) / WIDTH, bottom / height, TILE / WIDTH, TILE / height))
            axes.imshow(np.clip(tile, 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()


def _heads(
    figure: Figure, examples: NoiseExamples, height: float, factor: float, accuracies: Mapping[str, float]
) -> None:
    size = examples.images.shape[1:3]
    cut = f", centre {LARGEST_PIECE} px" if max(size) > LARGEST_PIECE else ""
    alone = f"noise \N{MULTIPLICATION SIGN} {_number(factor)}{cut}"
    for column, text in enumerate(["clean", "with noise", alone, "with noise", alone]):
        centre = (_left(column) + TILE / 2) / WIDTH
        figure.text(centre, 1 - (HEAD - 0.05) / height, text, ha="center", va="bottom", size=7, color=FAINT)
    kinds = ((1, "Gaussian noise", GAUSSIAN, ORANGE), (3, "Learned noise", examples.condition, BLUE))
    for column, name, condition, color in kinds:
        left, right = _left(column), _left(column + 1) + TILE
        text = (
            name if condition not in accuracies else f"{name}: {100 * accuracies[condition]:.1f} % classified correctly"
        )
        figure.text((left + right) / 2 / WIDTH, 1 - (HEAD - 0.21) / height, text, ha="center", va="bottom", color=color)


def _densities(figure: Figure, examples: NoiseExamples, height: float) -> None:
    edges, std, channels = examples.edges, examples.std, len(examples.density)
    middles = (edges[1:] + edges[:-1]) / 2
    normal = np.exp(-((middles / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    inner = WIDTH - LEFT_OF_PLOT - MARGIN
    width = (inner - BETWEEN_PLOTS * (channels - 1)) / channels
    farthest, highest = _farthest(examples), 1.06 * max(normal.max(), examples.density.max())
    names = ("red", "green", "blue") if channels == 3 else ("",)
    plots: list[Axes] = []
    for channel, (name, density) in enumerate(zip(names, examples.density, strict=True)):
        left = LEFT_OF_PLOT + channel * (width + BETWEEN_PLOTS)
        axes = figure.add_axes((left / WIDTH, FOOT / height, width / WIDTH, PLOT / height))
        axes.stairs(density, edges, fill=True, color=BLUE, alpha=0.25, linewidth=0)
        axes.stairs(density, edges, baseline=None, color=BLUE, label="learned noise")
        label = f"Gaussian noise of the same length, std {_number(std)}"
        axes.plot(middles, normal, color=ORANGE, linestyle=(0, (4, 2)), label=label)
        axes.set(xlim=(-farthest, farthest), ylim=(0, highest))
        axes.text(0.03, 0.97, name, transform=axes.transAxes, va="top")
        axes.tick_params(labelleft=channel == 0)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=ROUND))
        axes.yaxis.set_major_locator(MaxNLocator(3, steps=ROUND))
        plots.append(axes)
    plots[0].set_ylabel("density")
    plots[channels // 2].set_xlabel("value of the noise before clipping, where images lie in [0, 1]")
    top = (FOOT + PLOT + 0.2) / height
    figure.text(MARGIN / WIDTH, top, "Density of the values", weight="bold", va="center")
    handles, labels = plots[0].get_legend_handles_labels()
    place = (1 - MARGIN / WIDTH, top)
    figure.legend(handles, labels, loc="center right", bbox_to_anchor=place, ncols=2, borderaxespad=0, borderpad=0)


def _farthest(examples: NoiseExamples) -> float:
    """Return how far from 0 densities are shown."""
    masses = examples.density * np.diff(examples.edges)
    half = masses.shape[1] // 2
    within = np.cumsum(masses[:, half:] + masses[:, :half][:, ::-1], axis=1)
    bins = max(int(np.searchsorted(each, SHARE_SHOWN * each[-1])) for each in within)
    return max(LEAST_STDS * examples.std, float(examples.edges[half + bins + 1]))


def _piece(image: np.ndarray) -> np.ndarray:
    """Return the centre of an image that is large."""
    rows, columns = (slice(max(0, ceil((side - LARGEST_PIECE) / 2)), None) for side in image.shape[:2])
    return image[rows, columns][:LARGEST_PIECE, :LARGEST_PIECE]


def _left(column: int) -> float:
    # The kinds of noise stand apart from each other and from the clean images.
    group = (column + 1) // 2
    spare = (WIDTH - 2 * MARGIN - 5 * TILE - 2 * GAP) / 2
    return MARGIN + column * TILE + group * spare + (column // 2) * GAP


def _number(value: float) -> str:
    return f"{value:.3g}"
