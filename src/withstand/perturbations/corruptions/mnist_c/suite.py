"""The corruptions of MNIST-C, in order."""

from withstand.perturbations.corruptions.mnist_c.mnist_brightness import MnistBrightness
from withstand.perturbations.corruptions.mnist_c.mnist_canny_edges import MnistCannyEdges
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption
from withstand.perturbations.corruptions.mnist_c.mnist_dotted_line import MnistDottedLine
from withstand.perturbations.corruptions.mnist_c.mnist_fog import MnistFog
from withstand.perturbations.corruptions.mnist_c.mnist_glass_blur import MnistGlassBlur
from withstand.perturbations.corruptions.mnist_c.mnist_impulse_noise import MnistImpulseNoise
from withstand.perturbations.corruptions.mnist_c.mnist_motion_blur import MnistMotionBlur
from withstand.perturbations.corruptions.mnist_c.mnist_rotate import MnistRotate
from withstand.perturbations.corruptions.mnist_c.mnist_scale import MnistScale
from withstand.perturbations.corruptions.mnist_c.mnist_shear import MnistShear
from withstand.perturbations.corruptions.mnist_c.mnist_shot_noise import MnistShotNoise
from withstand.perturbations.corruptions.mnist_c.mnist_spatter import MnistSpatter
from withstand.perturbations.corruptions.mnist_c.mnist_stripe import MnistStripe
from withstand.perturbations.corruptions.mnist_c.mnist_translate import MnistTranslate
from withstand.perturbations.corruptions.mnist_c.mnist_zigzag import MnistZigzag

# Source: google-research/mnist-c, corruptions.py, `CORRUPTIONS`.
MNIST_C: tuple[type[MnistCorruption], ...] = (
    MnistShotNoise,
    MnistImpulseNoise,
    MnistGlassBlur,
    MnistMotionBlur,
    MnistShear,
    MnistScale,
    MnistRotate,
    MnistBrightness,
    MnistTranslate,
    MnistStripe,
    MnistFog,
    MnistSpatter,
    MnistDottedLine,
    MnistZigzag,
    MnistCannyEdges,
)
