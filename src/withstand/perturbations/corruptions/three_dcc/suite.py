"""The corruptions of 3DCC, in order."""

from withstand.perturbations.corruptions.three_dcc.color_quant import ColorQuant
from withstand.perturbations.corruptions.three_dcc.iso_noise import IsoNoise
from withstand.perturbations.corruptions.three_dcc.low_light import LowLight
from withstand.perturbations.corruptions.three_dcc.three_dcc import ThreeDCC

# Source: Kar et al. 2022, arXiv 2203.01441.
THREE_DCC: tuple[type[ThreeDCC], ...] = (
    IsoNoise,
    LowLight,
    ColorQuant,
)
