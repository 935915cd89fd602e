"""The look of all figures, and how they are written: as PNG and SVG, each whole or not at all."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from withstand.results.row import write_whole

INK, FAINT = "#1e1e1e", "#6b6b6b"
# Told apart without seeing colours.
# Source: Okabe, Ito 2008, "Color universal design".
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
WIDTH = 7.2  # inches: two columns of a paper
DOTS_PER_INCH = 300
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures look alike everywhere
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "text.parse_math": False,  # names may hold dollars
    # The same figure is the same file.
    "svg.hashsalt": "withstand",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the style of the house; the user's own settings come back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def new_figure(height: float) -> Figure:
    """Return an empty figure of the usual width that belongs to no window.

    Args:
        height: In inches.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def write_figure(path: Path, figure: Figure) -> tuple[Path, Path]:
    """Write a figure as PNG and SVG; both are drawn before either is written.

    Args:
        path: Without an ending.
        figure: Drawn in the style of the house.

    Returns:
        The two files.
    """
    contents = {}
    with house_style():
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata)
            contents[path.with_name(f"{path.name}.{kind}")] = buffer.getvalue()
    for file, content in contents.items():
        write_whole(file, content)
    png, svg = contents
    return png, svg
