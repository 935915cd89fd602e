"""Decoding: how the pixels of an image file become 8-bit RGB."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, TiffImagePlugin

Orientation = Literal["apply", "ignore"]
Depth = Literal[8, 16]
Alpha = Literal["white", "black"]
Note = Callable[[str], None]

# What is noted of an image, and its explanation for any number of images.
TURNED, FRAMES = "turned", "frames"
NOTES = {
    TURNED: "{} with an EXIF orientation tag, which is ignored; the field `orientation: apply` turns them upright",
    FRAMES: "{} with several frames; only the first is read",
}
UPRIGHT = 1
ORIENTATION = 0x0112  # EXIF and TIFF
WIDTH, HEIGHT, BITS, PHOTOMETRIC = 256, 257, 258, 262  # TIFF
# By orientation tag: turns the stored image upright, and back.
TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_LEFT_RIGHT),
    3: (Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_180),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.FLIP_TOP_BOTTOM),
    5: (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSPOSE),
    6: (Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_90),
    7: (Image.Transpose.TRANSVERSE, Image.Transpose.TRANSVERSE),
    8: (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270),
}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the pixels of an image file become 8-bit RGB.

    Attributes:
        orientation: `apply` turns images upright as their EXIF orientation tag says; `ignore` reads them as stored.
        depth: Most bits per channel; of 16-bit images, 16 reads the upper 8 bits, and 8 rejects them.
        alpha: Background of transparent pixels.
    """

    orientation: Orientation = "apply"
    depth: Depth = 8
    alpha: Alpha = "white"

    def size(self, image: Image.Image) -> tuple[int, int]:
        """Return width and height of the decoded image, from the header of an opened one."""
        width, height = _stored_size(image)
        return (height, width) if self.turn(image) >= 5 else (width, height)

    def turn(self, image: Image.Image) -> int:
        """Return the orientation tag by which an opened image is turned; 1 if it is read as stored."""
        return orientation_of(image) if self.orientation == "apply" else UPRIGHT

    def check(self, image: Image.Image) -> int:
        """Return the bits per channel of an opened image.

        Raises:
            OSError: If they are more than `depth`, or not whole numbers of up to 16 bits.
        """
        if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
            raise OSError("its values are fractional, signed or longer than 16 bits")
        bits = _bits(image)
        if bits > self.depth:
            raise OSError(f"it has {bits} bits per channel, expected 8; the field `depth: 16` reads 16")
        return bits

    def to_rgb(self, image: Image.Image, note: Note = lambda _: None) -> Image.Image:
        """Decode an opened image; a JPEG file may have a `draft` size.

        Args:
            image: The image.
            note: Callback with the key in `NOTES` of anything to report.

        Raises:
            OSError: See `check`; decoders may raise other exceptions.
        """
        bits, tag = self.check(image), orientation_of(image)
        if image.format != "MPO" and getattr(image, "is_animated", False):
            note(FRAMES)
        rgb = _upper_bits(image, bits) if bits > 8 else None
        rgb = self._compose(image if rgb is None else rgb)
        if tag == UPRIGHT:
            return rgb
        # Pillow turns a TIFF file upright when it decodes it, and then removes the tag.
        is_upright = isinstance(image, TiffImagePlugin.TiffImageFile) and ORIENTATION not in image.tag_v2
        if self.orientation == "ignore":
            note(TURNED)
            return rgb.transpose(TURNS[tag][1]) if is_upright else rgb
        return rgb if is_upright else rgb.transpose(TURNS[tag][0])

    def _compose(self, image: Image.Image) -> Image.Image:
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, self.alpha), image).convert("RGB")


def orientation_of(image: Image.Image) -> int:
    """Return the orientation tag of an opened image, 1 (upright) to 8; 1 if there is none or it is invalid."""
    if image.format == "PNG":
        image.load()  # as `getexif` does; decoding a damaged image twice would hide its error
    try:
        tag = image.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # damaged metadata; a damaged image fails when it is decoded
        return UPRIGHT
    return tag if tag in TURNS else UPRIGHT


def _stored_size(image: Image.Image) -> tuple[int, int]:
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow gives the upright size
        return image.tag_v2[WIDTH], image.tag_v2[HEIGHT]
    return image.size


def _bits(image: Image.Image) -> int:
    """Return the bits per channel of an opened image that is not yet decoded."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(BITS, (1,)))
    coding = image.tile[0].args if getattr(image, "tile", None) else ""  # type: ignore[attr-defined]
    if image.format == "PPM" and isinstance(coding, tuple):
        return int(coding[1]).bit_length()  # the highest value
    return 16 if image.mode.startswith("I") or ";16" in str(coding) else 8


def _upper_bits(image: Image.Image, bits: int) -> Image.Image | None:
    """Return the upper 8 bits of an image with more; None if Pillow takes them itself."""
    if image.format == "PPM" and image.mode == "RGB":
        tile = image.tile[0]  # type: ignore[attr-defined]
        if tile.codec_name != "ppm":
            return None
        width, height = image.size
        image.fp.seek(tile.offset)  # type: ignore[attr-defined]
        content = image.fp.read(6 * width * height)  # type: ignore[attr-defined]
        if len(content) < 6 * width * height:
            raise OSError("image file is truncated")
        values = np.frombuffer(content, ">u2")
        levels = values.astype(np.uint32) * 65535 // tile.args[1] >> 8
        return Image.fromarray(levels.astype(np.uint8).reshape(height, width, 3))
    if not image.mode.startswith("I"):
        return None
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    inverted = image.tag_v2.get(PHOTOMETRIC) == 0  # 0 is white; Pillow leaves it so
    levels = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
    return Image.fromarray(255 - levels if inverted else levels)
