"""Numbers for detectors under corruption."""

from withstand.detection.performance import Performance as Performance
from withstand.detection.performance import mpc as mpc
