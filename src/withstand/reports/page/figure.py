"""Inline SVG figures with light and dark colours and tooltips."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure

from withstand.reports.figures.tools.colours import ON_BOTH, ON_DARK
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import cleaned, figure_style, write_figure

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
MOST_BYTES = 700_000  # a larger drawing is shown as pixels
REFERENCE = re.compile(r"url\(#([^)]+)\)")
COLOR, STYLE = re.compile(r"#[0-9a-f]{6}"), re.compile(r'style="[^"]*"')
PLACES = ("d", "x", "y", "points")
LONG, TRANSLATE = re.compile(r"(\.\d\d)\d+"), re.compile(r"translate\([^)]*\)")
DROPPED = (f"{{{SVG}}}metadata", f"{{{SVG}}}style")


def draw(picture: Picture, folder: Path, *, prefix: str) -> tuple[Markup, dict[str, Path]]:
    """Write a picture's figure into a folder, and return it as an element of a page.

    Args:
        picture: What to draw.
        folder: Folder of the files.
        prefix: Put before every name in the drawing, since several drawings share a page.

    Returns:
        The element: the drawing in the colours of light and dark pages, or pixels if it is very large; and the
        files by their kind.
    """
    with figure_style():
        figure = picture.draw()
    png, svg = write_figure(folder / picture.name, figure)
    files = {"png": png, "svg": svg}
    light = svg.read_bytes()
    if len(light) > MOST_BYTES:
        return pixels(png.read_bytes(), alt=picture.alt), files
    dark = darkened(light) or drawn(picture.draw, dark=True)
    element = inline(light, dark, prefix=prefix, alt=picture.alt, values=picture.values)
    if picture.narrow is None:
        return element, files
    light = drawn(picture.narrow, dark=False)
    dark = darkened(light) or drawn(picture.narrow, dark=True)
    narrow = inline(light, dark, prefix=f"{prefix}n-", alt=picture.alt, values=picture.values)
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(element, narrow), files


def darkened(light: bytes) -> bytes | None:
    """Return a drawing in the colours of dark pages; None if it has colours that are mixed, which differ there.

    Args:
        light: As matplotlib writes it.
    """
    text = light.decode()
    if not {each for style in STYLE.findall(text) for each in COLOR.findall(style)} <= {*ON_DARK, *ON_BOTH}:
        return None
    swap = partial(COLOR.sub, lambda found: ON_DARK.get(found.group(), found.group()))
    return STYLE.sub(lambda found: swap(found.group()), text).encode()


def drawn(figure: Callable[[], Figure], *, dark: bool) -> bytes:
    """Return a figure as SVG, drawn for light or dark pages."""
    with figure_style(dark=dark):
        buffer = io.BytesIO()
        cleaned(figure()).savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def inline(light: bytes, dark: bytes, *, prefix: str, alt: str, values: Mapping[str, str]) -> Markup:
    """Return a drawing as an element of a page.

    Args:
        light: As matplotlib writes it.
        dark: The same in the colours of dark pages; if it has other parts, the light colours stay.
        prefix: Put before every name in it.
        alt: Text for readers who do not see it.
        values: Text of a mark by its name.
    """
    ElementTree.register_namespace("", SVG)
    root, other = ElementTree.fromstring(light), ElementTree.fromstring(dark)
    parts, others = list(root.iter()), list(other.iter())
    if [each.tag for each in parts] == [each.tag for each in others]:
        for each, night in zip(parts, others, strict=True):
            _follow(each, night)
    for parent in parts:
        for child in [child for child in parent if child.tag in DROPPED]:
            parent.remove(child)
    for each in root.iter():
        text = values.get(each.get("id", ""))
        _rename(each, prefix)
        _shorten(each)
        if text is not None:
            title = ElementTree.Element(f"{{{SVG}}}title")
            title.text = text
            each.insert(0, title)
            for name, value in (("class", "mark"), ("role", "img"), ("aria-label", text)):
                each.set(name, value)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    for name, value in (("class", "drawing"), ("role", "group" if values else "img"), ("aria-label", alt)):
        root.set(name, value)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def pixels(png: bytes, *, alt: str) -> Markup:
    """Return an image as an element of a page."""
    content = base64.b64encode(png).decode()
    return Markup('<img class="drawing" alt="{}" src="data:image/png;base64,{}">').format(alt, content)


def _follow(each: ElementTree.Element, night: ElementTree.Element) -> None:
    """Give an element the colours of light and dark pages."""
    own, darker = each.get("style", ""), night.get("style", "")
    if own == darker or COLOR.sub("", own) != COLOR.sub("", darker):
        return
    both = [
        COLOR.sub(lambda found, dark=dark: f"light-dark({found.group()}, {COLOR.findall(dark)[0]})", part, count=1)
        for part, dark in zip(own.split("; "), darker.split("; "), strict=True)
        if part != dark
    ]
    # Browsers without light-dark() keep the first.
    each.set("style", "; ".join([own, *both]))


def _shorten(each: ElementTree.Element) -> None:
    """Round the places in an element to a hundredth of a point."""
    for name in PLACES:
        if name in each.attrib:
            each.set(name, LONG.sub(r"\1", each.attrib[name]))
    if "translate" in each.get("transform", ""):
        each.set("transform", TRANSLATE.sub(lambda found: LONG.sub(r"\1", found.group()), each.attrib["transform"]))


def _rename(each: ElementTree.Element, prefix: str) -> None:
    """Make the names in an element unique in the page."""
    if "id" in each.attrib:
        each.set("id", prefix + each.attrib["id"])
    target = each.attrib.pop(f"{{{LINK}}}href", None)
    if target is not None:
        each.set("href", f"#{prefix}{target[1:]}" if target.startswith("#") else target)
    for name, value in each.attrib.items():
        if "url(#" in value:
            each.set(name, REFERENCE.sub(rf"url(#{prefix}\1)", value))
