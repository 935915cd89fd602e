"""The corruptions of LAION-C, in order."""

from withstand.perturbations.corruptions.laion_c.geometric_shapes import GeometricShapes
from withstand.perturbations.corruptions.laion_c.laion_c import LaionC
from withstand.perturbations.corruptions.laion_c.luminance_checkerboard import LuminanceCheckerboard
from withstand.perturbations.corruptions.laion_c.vertical_lines import VerticalLines

# Source: Li et al. 2025, arXiv 2506.16950.
LAION_C: tuple[type[LaionC], ...] = (
    VerticalLines,
    GeometricShapes,
    LuminanceCheckerboard,
)
