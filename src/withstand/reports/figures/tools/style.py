"""The look of all figures, and how they are written: as PNG and SVG, each atomically."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from withstand.files import write_whole
from withstand.rendering.visible import visible
from withstand.reports.figures.tools.colours import FAINT, INK, ON_DARK, SERIES

WIDTH = 7.2  # inches: two columns of a paper
NARROW = 3.5  # inches: one column, or a phone
DOTS_PER_INCH = 300
_ON: ContextVar[bool | None] = ContextVar("figure style", default=None)  # whether it is on, and dark
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures look alike everywhere
    "font.size": 8,
    "text.color": INK,
    "figure.facecolor": "#ffffff",
    "axes.facecolor": "#ffffff",
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
    "axes.prop_cycle": cycler(color=SERIES),
    # The same figure is the same file.
    "svg.hashsalt": "withstand",
}


@contextmanager
def figure_style(*, dark: bool = False) -> Iterator[None]:
    """Draw in the style of the house; the user's own settings come back afterwards.

    Within itself it changes nothing, so that many figures are drawn in one.

    Args:
        dark: Light on dark instead of dark on light; for figures that take their colours from the style.
    """
    if _ON.get() is dark:
        yield
        return
    style = dict(STYLE)
    if dark:
        style = {key: ON_DARK.get(value, value) if isinstance(value, str) else value for key, value in style.items()}
        style["axes.prop_cycle"] = cycler(color=[ON_DARK.get(each, each) for each in SERIES])
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        token = _ON.set(dark)
        try:
            yield
        finally:
            _ON.reset(token)


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """Return an empty figure that belongs to no window.

    Args:
        height: In inches.
        width: In inches.
    """
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def cleaned(figure: Figure) -> Figure:
    """Return a figure without control characters in its texts, which may come from foreign files."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                formatter.seq = [visible(str(each), lines=True) for each in formatter.seq]
    for each in figure.findobj(Text):
        if isinstance(each, Text):
            each.set_text(visible(each.get_text(), lines=True).replace("\t", " "))
    return figure


def write_figure(path: Path, figure: Figure) -> tuple[Path, Path]:
    """Write a figure as PNG and SVG; both are drawn before either is written.

    Args:
        path: Without an ending.
        figure: Drawn in the style of the house.

    Returns:
        The two files.
    """
    drawing = io.BytesIO()
    with figure_style(), ThreadPoolExecutor(1) as worker:
        size, points = _draw(cleaned(figure))
        # Packing the pixels takes as long as drawing them, and leaves the interpreter free for the other drawing.
        packed = worker.submit(_png, size, points)
        figure.savefig(drawing, format="svg", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Date": None})
        contents = {"png": packed.result(), "svg": drawing.getvalue()}
    png, svg = (path.with_name(f"{path.name}.{kind}") for kind in contents)
    write_whole(png, contents["png"])
    write_whole(svg, contents["svg"])
    return png, svg


class _Kept(io.BytesIO):
    """A file that keeps what is written to it, once, without copying it."""

    def write(self, content: Any) -> int:
        """Keep it."""
        self.content = content
        return len(content)


def _draw(figure: Figure) -> tuple[tuple[int, int], Any]:
    """Return a figure's width and height in pixels, and the pixels."""
    buffer = _Kept()
    figure.savefig(buffer, format="rgba", dpi=DOTS_PER_INCH, facecolor="white")
    width, height = (int(each * DOTS_PER_INCH) for each in figure.get_size_inches())
    return (width, height), buffer.content


def _png(size: tuple[int, int], points: Any) -> bytes:
    """Return pixels as a PNG file, as matplotlib writes it."""
    buffer = io.BytesIO()
    image = Image.frombuffer("RGBA", size, points, "raw", "RGBA", 0, 1)
    image.save(buffer, format="png", dpi=(DOTS_PER_INCH, DOTS_PER_INCH), pnginfo=PngInfo())
    return buffer.getvalue()
