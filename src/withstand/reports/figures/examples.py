"""One image under every condition, as the models met it."""

from collections.abc import Mapping
from functools import partial
from math import ceil
from textwrap import shorten

import numpy as np
from matplotlib.figure import Figure

from withstand.reports.figures.chart import faint
from withstand.reports.figures.picture import Picture
from withstand.reports.figures.style import WIDTH, new_figure
from withstand.reports.page.mistakes import mistakes_of, spoken
from withstand.study.combination import combinations_of
from withstand.study.study import Study

MOST_COLUMNS = 6
LONGEST = 24  # characters above a tile
# Inches.
MARGIN, GAP, HEAD, LARGEST = 0.1, 0.12, 0.32, 1.4


def examples_pictures(study: Study) -> list[Picture]:
    """Return one picture for the study: the example of the first run whose mistakes were kept; nothing without.

    Raises:
        InputError: If a file of mistakes is damaged.
    """
    for each in combinations_of(study):
        found = mistakes_of(study, each)
        if found is None:
            continue
        _, mistakes = found
        images = {own.condition: own.example for own in mistakes.conditions if own.example is not None}
        if not images:
            continue
        rows, columns = next(iter(images.values())).shape[:2]
        names = [", ".join(filter(None, spoken(condition))) for condition in images]
        picture = Picture(
            name="example-images",
            title="Example images",
            caption=f"The first test image of {mistakes.data}, as models meet it: clean and under each condition, of "
            f"corruptions at the highest severity that was asked for; drawn by seed {mistakes.seed}, shown at "
            f"{columns} x {rows} pixels.",
            alt=f"One image {len(images)} times: {'; '.join(names)}.",
            draw=partial(examples_figure, images),
        )
        return [picture]
    return []


def examples_figure(images: Mapping[str, np.ndarray]) -> Figure:
    """Return the figure: a tile per condition, line by line.

    Args:
        images: By condition, at least one; uint8 (height, width, 1 or 3), all of one size.
    """
    per_line = min(MOST_COLUMNS, ceil(len(images) / ceil(len(images) / MOST_COLUMNS)))
    rows, columns = next(iter(images.values())).shape[:2]
    width = min(LARGEST, (WIDTH - 2 * MARGIN - (per_line - 1) * GAP) / per_line)
    tall = width * rows / columns
    height = 2 * MARGIN + ceil(len(images) / per_line) * (HEAD + tall + GAP) - GAP
    figure = new_figure(height)
    for number, (condition, image) in enumerate(images.items()):
        line, column = divmod(number, per_line)
        left, top = MARGIN + column * (width + GAP), MARGIN + line * (HEAD + tall + GAP)
        bottom = height - top - HEAD - tall
        axes = figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, tall / height))
        axes.imshow(
            image.squeeze(2) if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255, interpolation="none"
        )
        axes.set_axis_off()
        name, more = spoken(condition)
        place, name = left / WIDTH, shorten(name, LONGEST, placeholder="...")
        # A name without a severity stands right above its image.
        figure.text(place, 1 - (top + HEAD - (0.16 if more else 0.04)) / height, name, va="bottom", size=7)
        figure.text(place, 1 - (top + HEAD - 0.04) / height, more, va="bottom", size=6.5, color=faint())
    return figure
