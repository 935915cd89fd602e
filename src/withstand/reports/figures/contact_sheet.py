"""One image under many conditions, side by side in one picture."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from withstand.files import write_whole

MARGIN, GAP = 12, 4
INK, PAPER = (30, 30, 30), (255, 255, 255)


def contact_sheet(
    original: np.ndarray, tiles: Mapping[str, Sequence[np.ndarray]], *, columns: Sequence[str], width: int = 144
) -> Image.Image:
    """Return a picture with a line of tiles per name: the original first, then the line's own.

    Args:
        original: The image as it was, uint8 (height, width, 3).
        tiles: For each name its images, in the order of the columns.
        columns: Heads of the columns of tiles.
        width: Width of a tile in the picture, in pixels.

    Example:
        >>> grey = np.full((8, 8, 3), 128, dtype=np.uint8)
        >>> contact_sheet(grey, {"fog": [grey]}, columns=["severity 1"], width=32).mode
        'RGB'
    """
    height = max(1, round(width * original.shape[0] / original.shape[1]))
    font = ImageFont.load_default(size=13)
    label = max(int(font.getlength(name)) for name in tiles) + 12
    head = 20
    sheet = Image.new(
        "RGB",
        (
            2 * MARGIN + label + (1 + len(columns)) * (width + GAP) - GAP,
            2 * MARGIN + head + len(tiles) * (height + GAP) - GAP,
        ),
        PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for place, text in enumerate(["clean", *columns]):
        left = MARGIN + label + place * (width + GAP)
        draw.text((left + width / 2, MARGIN), text, fill=INK, font=font, anchor="ma")
    for line, (name, images) in enumerate(tiles.items()):
        top = MARGIN + head + line * (height + GAP)
        draw.text((MARGIN, top + height / 2), name, fill=INK, font=font, anchor="lm")
        for place, image in enumerate([original, *images]):
            # Small images keep their pixels visible.
            kind = Image.Resampling.NEAREST if image.shape[1] < width else Image.Resampling.LANCZOS
            tile = Image.fromarray(image).resize((width, height), kind)
            sheet.paste(tile, (MARGIN + label + place * (width + GAP), top))
    return sheet


def write_png(path: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG file, atomically."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_whole(path, buffer.getvalue())
