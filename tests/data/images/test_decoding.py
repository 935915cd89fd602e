import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from withstand.data.images.decoding import FRAMES, TURNED, TURNS, Decoding

DEEP = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
DEEP[0, 0], DEEP[0, 1] = 0, 65535


def decode(path, **fields):
    notes = []
    with Image.open(path) as image:
        return np.asarray(Decoding(**fields).to_rgb(image, notes.append)), notes


def write_png(path, values):
    """Write a PNG file of 16 bits, grey or RGB."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if channels == 3 else 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def write_tiff(path, values, *, photometric=None):
    """Write an uncompressed TIFF file of 16 bits, grey or RGB."""
    height, width, channels = values.shape
    data = values.astype("<u2").tobytes()
    bits_at = 8 + len(data)
    photometric = photometric if photometric is not None else (2 if channels == 3 else 1)
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, bits_at if channels == 3 else 16),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    head = b"II*\0" + struct.pack("<I", bits_at + 6)
    path.write_bytes(head + data + struct.pack("<3H", 16, 16, 16) + directory)


def write_netpbm(path, values):
    """Write a PGM or PPM file of 16 bits."""
    height, width, channels = values.shape
    path.write_bytes(b"P%d %d %d 65535\n" % (6 if channels == 3 else 5, width, height) + values.astype(">u2").tobytes())


FORMATS = [("png", write_png), ("tif", write_tiff), ("ppm", write_netpbm)]


@pytest.mark.parametrize(("end", "write"), FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_read_by_their_upper_eight_or_refused_in_every_format(tmp_path, end, write, channels):
    path, values = tmp_path / f"image.{end}", DEEP[..., :channels]
    write(path, values)
    with pytest.raises(OSError, match="it has 16 bits per channel, expected 8"):
        decode(path)
    pixels, _ = decode(path, depth=16)
    assert np.array_equal(pixels, np.broadcast_to(values >> 8, (9, 7, 3)))


def test_the_highest_value_of_a_netpbm_file_is_white(tmp_path):
    for magic, channels in ((5, 1), (6, 3)):
        values = np.array([0, 2048, 4095], dtype=">u2").repeat(channels)
        (tmp_path / "image.ppm").write_bytes(b"P%d 3 1 4095\n" % magic + values.tobytes())
        assert decode(tmp_path / "image.ppm", depth=16)[0][0, :, 0].tolist() == [0, 128, 255]


def test_in_tiff_files_0_may_be_white(tmp_path):
    write_tiff(tmp_path / "image.tif", DEEP[..., :1], photometric=0)
    assert np.array_equal(decode(tmp_path / "image.tif", depth=16)[0][..., 0], 255 - (DEEP[..., 0] >> 8))


@pytest.mark.parametrize("values", [np.ones((4, 4), np.float32), np.ones((4, 4), np.int32)])
@pytest.mark.parametrize("depth", [8, 16])
def test_other_numbers_are_refused(tmp_path, values, depth):
    Image.fromarray(values).save(tmp_path / "image.tif")
    with pytest.raises(OSError, match="fractional, signed or longer"):
        decode(tmp_path / "image.tif", depth=depth)


def test_images_of_8_bits_do_not_depend_on_the_depth(tmp_path):
    Image.fromarray((DEEP >> 8).astype(np.uint8)).save(tmp_path / "image.png")
    assert np.array_equal(decode(tmp_path / "image.png", depth=16)[0], decode(tmp_path / "image.png")[0])


@pytest.mark.parametrize("end", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_images_are_turned_upright_or_read_as_stored(tmp_path, end, tag):
    upright = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4).repeat(16, 0).repeat(16, 1) * 20).convert(
        "RGB"
    )
    stored = upright.transpose(TURNS[tag][1]) if tag > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / f"image.{end}"
    stored.save(path, exif=exif, **({"lossless": True} if end == "webp" else {}))
    for orientation, expected in (("apply", upright), ("ignore", stored)):
        pixels, notes = decode(path, orientation=orientation)
        assert pixels.shape == np.asarray(expected).shape
        assert np.abs(pixels.astype(int) - np.asarray(expected)).max() < 6
        assert notes == ([TURNED] if orientation == "ignore" and tag > 1 else [])
        with Image.open(path) as image:
            assert Decoding(orientation=orientation).size(image) == expected.size


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_invalid_orientation_is_upright(tmp_path):
    for tag in (0, 9, 77):
        exif = Image.Exif()
        exif[0x0112] = tag
        Image.new("RGB", (40, 30)).save(tmp_path / "image.jpg", exif=exif)
        assert decode(tmp_path / "image.jpg")[0].shape == (30, 40, 3)
    Image.new("RGB", (40, 30)).save(tmp_path / "image.jpg", exif=b"Exif\0\0II*\0nonsense")
    assert decode(tmp_path / "image.jpg")[0].shape == (30, 40, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize(("alpha", "level"), [("white", 255), ("black", 0)])
def test_transparent_pixels_show_the_background(tmp_path, mode, alpha, level):
    values = np.full((1, 3, 4), 90, dtype=np.uint8)
    values[..., 3] = [0, 128, 255]
    Image.fromarray(values).convert(mode).save(tmp_path / "image.png")
    pixels = decode(tmp_path / "image.png", alpha=alpha)[0][0, :, 0].tolist()
    assert pixels[0] == level
    assert pixels[1] == pytest.approx((90 * 128 + level * 127) / 255, abs=1)
    assert pixels[2] == 90


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
def test_palettes_with_transparency_show_the_background_without_a_warning(tmp_path, transparency):
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "image.png", transparency=transparency)
    assert decode(tmp_path / "image.png")[0].tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_of_several_frames_the_first_is_read_and_noted(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for end in ("gif", "webp", "tif"):
        options = {"lossless": True} if end == "webp" else {}
        frames[0].save(tmp_path / f"image.{end}", save_all=True, append_images=frames[1:], **options)
        pixels, notes = decode(tmp_path / f"image.{end}")
        assert pixels[0, 0].tolist() == [255, 0, 0]
        assert notes == [FRAMES]
        frames[0].save(tmp_path / f"single.{end}", **options)
        assert decode(tmp_path / f"single.{end}")[1] == []
