"""Draw the import layers of `pyproject.toml` as docs/images/layers.svg."""

import tomllib
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "layers.svg"
WIDTH, NOTE, HEIGHT, GAP, LEFT, TOP = 520, 250, 24, 6, 40, 34  # pixels
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .note, .head { font-size: 11px; fill: #59636e; }
    rect { fill: #eaf2fb; stroke: #4a7fb5; }
    path { stroke: #59636e; fill: none; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .note, .head { fill: #9198a1; }
      rect { fill: #16283a; stroke: #6ea3d8; }
      path { stroke: #9198a1; }
    }
"""


def contracts() -> list[dict[str, Any]]:
    """Return the import contracts that `lint-imports` checks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["importlinter"]["contracts"]


def layers_of(found: list[dict[str, Any]]) -> list[list[str]]:
    """Return the packages of each layer, top layer first."""
    (layers,) = [each["layers"] for each in found if each["type"] == "layers"]
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def without(found: list[dict[str, Any]], name: str) -> str:
    """Return the libraries that a package must not import, as a note; empty if there are none."""
    forbidden = [
        each for each in found if each["type"] == "forbidden" and f"withstand.{name}" in each["source_modules"]
    ]
    libraries = [library for each in forbidden for library in each["forbidden_modules"]]
    return f"no {', '.join(libraries)}" if libraries else ""


def draw() -> str:
    """Return the picture as SVG text."""
    found = contracts()
    layers = layers_of(found)
    bottom = TOP + len(layers) * (HEIGHT + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + NOTE} {bottom + 4}" role="img">',
        "  <title>Import layers of withstand: each may import the layers below it</title>",
        f"  <style>{STYLE}  </style>",
        f'  <text class="head" x="{LEFT}" y="20">each layer may import the layers below it</text>',
        f'  <path d="M20 {TOP} V{bottom - GAP} m-5 -8 l5 8 l5 -8" />',
    ]
    for place, layer in enumerate(layers):
        y = TOP + place * (HEIGHT + GAP)
        width = (WIDTH - GAP * (len(layer) - 1)) // len(layer)
        for column, name in enumerate(layer):
            x = LEFT + column * (width + GAP)
            lines += [
                f'  <rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="4" />',
                f'  <text x="{x + width // 2}" y="{y + 17}" text-anchor="middle">{escape(name)}</text>',
            ]
        notes = dict.fromkeys(note for name in layer if (note := without(found, name)))
        x = LEFT + WIDTH + 10
        lines += [f'  <text class="note" x="{x}" y="{y + 16}">{escape(note)}</text>' for note in notes]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
