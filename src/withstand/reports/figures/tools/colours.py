"""Colours of the figures."""

INK, FAINT = "#1e1e1e", "#6b6b6b"
# Told apart without seeing colours.
# Source: Okabe, Ito 2008, "Color universal design".
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, AMBER, OLIVE = "#56b4e9", "#e69f00", "#8a8000"
# On a dark background everything that is dark on paper has a light counterpart.
ON_DARK = {
    INK: "#e8e8e8",
    FAINT: "#a0a6ad",
    "#ffffff": "#16181c",
    BLUE: SKY,
    SKY: "#f0e442",
    OLIVE: "#3d8fd1",
}
# What series have besides, and matplotlib's own black and grey, are the same on both.
ON_BOTH = (ORANGE, GREEN, PINK, AMBER, "#000000", "#b0b0b0")
# In the order of the series of a figure.
SERIES = (BLUE, ORANGE, GREEN, PINK, SKY, AMBER, INK, OLIVE)
