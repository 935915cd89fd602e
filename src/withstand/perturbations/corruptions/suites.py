"""The corruptions of ImageNet-C and of other suites, in order."""

from collections.abc import Iterable, Sequence
from math import log
from typing import Any, Literal, cast, get_args, overload

from withstand.configuration import discover
from withstand.perturbations.base import Corruption, Pixels
from withstand.perturbations.corruptions.c_bar.blue_noise_sample import BlueNoiseSample
from withstand.perturbations.corruptions.c_bar.brownish_noise import BrownishNoise
from withstand.perturbations.corruptions.c_bar.c_bar import CBar
from withstand.perturbations.corruptions.c_bar.caustic_refraction import CausticRefraction
from withstand.perturbations.corruptions.c_bar.checkerboard_cutout import CheckerboardCutout
from withstand.perturbations.corruptions.c_bar.circular_motion_blur import CircularMotionBlur
from withstand.perturbations.corruptions.c_bar.cocentric_sine_waves import CocentricSineWaves
from withstand.perturbations.corruptions.c_bar.inverse_sparkles import InverseSparkles
from withstand.perturbations.corruptions.c_bar.lines import Lines
from withstand.perturbations.corruptions.c_bar.perlin_noise import PerlinNoise
from withstand.perturbations.corruptions.c_bar.pinch_and_twirl import PinchAndTwirl
from withstand.perturbations.corruptions.c_bar.plasma_noise import PlasmaNoise
from withstand.perturbations.corruptions.c_bar.ripple import Ripple
from withstand.perturbations.corruptions.c_bar.single_frequency_greyscale import SingleFrequencyGreyscale
from withstand.perturbations.corruptions.c_bar.sparkles import Sparkles
from withstand.perturbations.corruptions.c_bar.transverse_chromatic_abberation import TransverseChromaticAbberation
from withstand.perturbations.corruptions.imagenet_c.brightness import Brightness
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.corruptions.imagenet_c.defocus_blur import DefocusBlur
from withstand.perturbations.corruptions.imagenet_c.elastic_transform import ElasticTransform
from withstand.perturbations.corruptions.imagenet_c.fog import Fog
from withstand.perturbations.corruptions.imagenet_c.frost import Frost
from withstand.perturbations.corruptions.imagenet_c.gaussian_blur import GaussianBlur
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.corruptions.imagenet_c.glass_blur import GlassBlur
from withstand.perturbations.corruptions.imagenet_c.impulse_noise import ImpulseNoise
from withstand.perturbations.corruptions.imagenet_c.jpeg_compression import JpegCompression
from withstand.perturbations.corruptions.imagenet_c.motion_blur import MotionBlur
from withstand.perturbations.corruptions.imagenet_c.pixelate import Pixelate
from withstand.perturbations.corruptions.imagenet_c.saturate import Saturate
from withstand.perturbations.corruptions.imagenet_c.shot_noise import ShotNoise
from withstand.perturbations.corruptions.imagenet_c.snow import Snow
from withstand.perturbations.corruptions.imagenet_c.spatter import Spatter
from withstand.perturbations.corruptions.imagenet_c.speckle_noise import SpeckleNoise
from withstand.perturbations.corruptions.imagenet_c.zoom_blur import ZoomBlur
from withstand.perturbations.corruptions.laion_c.suite import LAION_C
from withstand.perturbations.corruptions.mnist_c.suite import MNIST_C
from withstand.perturbations.corruptions.three_dcc.suite import THREE_DCC

Group = Literal["noise", "blur", "weather", "digital"]

# The published order: the groups one after the other.
# Source: Hendrycks, Dietterich 2019, arXiv 1903.12261, table 1; the extras: hendrycks/robustness, README.
IMAGENET_C: dict[Group, tuple[type[Corruption], ...]] = {
    "noise": (GaussianNoise, ShotNoise, ImpulseNoise),
    "blur": (DefocusBlur, GlassBlur, MotionBlur, ZoomBlur),
    "weather": (Snow, Frost, Fog, Brightness),
    "digital": (Contrast, ElasticTransform, Pixelate, JpegCompression),
}
EXTRAS: dict[Group, tuple[type[Corruption], ...]] = {
    "noise": (SpeckleNoise,),
    "blur": (GaussianBlur,),
    "weather": (Spatter,),
    "digital": (Saturate,),
}
# Source: Mintun, Kirillov, Xie 2021, arXiv 2102.11273; the tables of levels of augmentation-corruption.
IMAGENET_C_BAR: tuple[type[CBar], ...] = (
    CausticRefraction,
    InverseSparkles,
    Sparkles,
    PerlinNoise,
    BlueNoiseSample,
    PlasmaNoise,
    CheckerboardCutout,
    CocentricSineWaves,
    SingleFrequencyGreyscale,
    BrownishNoise,
)
CIFAR10_C_BAR: tuple[type[CBar], ...] = (
    BlueNoiseSample,
    CheckerboardCutout,
    InverseSparkles,
    PinchAndTwirl,
    Ripple,
    BrownishNoise,
    CircularMotionBlur,
    Lines,
    Sparkles,
    TransverseChromaticAbberation,
)
SUITES: dict[str, tuple[type[Corruption], ...]] = {
    "imagenet-c-bar": IMAGENET_C_BAR,
    "cifar10-c-bar": CIFAR10_C_BAR,
    "laion-c": LAION_C,
    "3dcc": THREE_DCC,
    "mnist-c": MNIST_C,
}


def imagenet_c(*, severities: Sequence[int] = (1, 2, 3, 4, 5), pixels: Pixels | None = None) -> tuple[Corruption, ...]:
    """Return the corruptions of ImageNet-C in the published order, each with every severity.

    Args:
        severities: From 1 to 5.
        pixels: Image size whose parameters are used; None takes the size of the images.

    Example:
        >>> [each.condition for each in imagenet_c(severities=(1, 5))][:3]
        ['gaussian_noise/1', 'gaussian_noise/5', 'shot_noise/1']
    """
    return _instances(IMAGENET_C, severities, pixels)


def extras(*, severities: Sequence[int] = (1, 2, 3, 4, 5), pixels: Pixels | None = None) -> tuple[Corruption, ...]:
    """Return the extra corruptions, meant for validation; arguments as in `imagenet_c`.

    Example:
        >>> [each.condition for each in extras(severities=(3,))][:1]
        ['speckle_noise/3']
    """
    return _instances(EXTRAS, severities, pixels)


def other_suites(
    *, severities: Sequence[int] = (1, 2, 3, 4, 5), pixels: int | None = None
) -> dict[str, tuple[Corruption, ...]]:
    """Return the corruptions of the suites outside ImageNet-C in the published order, each with every severity it has.

    Args:
        severities: From 1 to 5; corruptions of MNIST-C have severity 1 only.
        pixels: Shorter side of the images; each corruption takes the nearest size, by the ratio, that has parameters.
            None takes the parameters for exactly the size of the images.

    Returns:
        Corruptions by the name of the suite: those of ImageNet-C-bar and CIFAR-10-C-bar, three of LAION-C, three of
        3DCC, and those of MNIST-C.

    Example:
        >>> suites = other_suites(severities=(1, 5))
        >>> [each.condition for each in suites["imagenet-c-bar"]][:3], suites["mnist-c"][4].condition
        (['caustic_refraction/1', 'caustic_refraction/5', 'inverse_sparkles/1'], 'mnist_shear/1')
    """
    return {name: _with_nearest(members, severities, pixels) for name, members in SUITES.items()}


def imagenet_c_bar(*, severities: Sequence[int] = (1, 2, 3, 4, 5), pixels: int | None = None) -> tuple[Corruption, ...]:
    """Return the ten corruptions of ImageNet-C-bar; arguments as in `other_suites`."""
    return _with_nearest(IMAGENET_C_BAR, severities, pixels)


def cifar10_c_bar(*, severities: Sequence[int] = (1, 2, 3, 4, 5), pixels: int | None = None) -> tuple[Corruption, ...]:
    """Return the ten corruptions of CIFAR-10-C-bar; arguments as in `other_suites`."""
    return _with_nearest(CIFAR10_C_BAR, severities, pixels)


def nearest_c_bar(side: int) -> Literal["imagenet-c-bar", "cifar10-c-bar"]:
    """Return the suite that is meant for images with this shorter side in pixels: for 224 or 32, by the ratio.

    Example:
        >>> nearest_c_bar(64), nearest_c_bar(96)
        ('cifar10-c-bar', 'imagenet-c-bar')
    """
    return "cifar10-c-bar" if nearest_pixels(side, side, (224, 32)) == 32 else "imagenet-c-bar"


def others(*, severities: Sequence[int] = (1, 2, 3, 4, 5), pixels: Pixels | None = None) -> tuple[Corruption, ...]:
    """Return the corruptions outside the suites, such as those of plug-ins, by name; arguments as in `imagenet_c`.

    `pixels` applies to those that have parameters for this size.
    """
    members = [member for suite in (IMAGENET_C, EXTRAS) for own in suite.values() for member in own]
    members += [member for own in SUITES.values() for member in own]
    found = [cast(Any, each) for each in discover(Corruption) if each not in members]
    sizes = [pixels if pixels in each.tables else None for each in found]
    return tuple(
        each(severity=severity, pixels=size) for each, size in zip(found, sizes, strict=True) for severity in severities
    )


def group(corruption: Corruption) -> Group:
    """Return the group of a corruption in the benchmark.

    Example:
        >>> group(Brightness())
        'weather'
    """
    for suite in (IMAGENET_C, EXTRAS):
        for name, members in suite.items():
            if isinstance(corruption, members):
                return name
    raise ValueError(f"{type(corruption).__name__} is in neither IMAGENET_C nor EXTRAS.")


@overload
def nearest_pixels(height: int, width: int) -> Pixels: ...


@overload
def nearest_pixels(height: int, width: int, among: Iterable[int]) -> int: ...


def nearest_pixels(height: int, width: int, among: Iterable[int] = get_args(Pixels)) -> int:
    """Return the published size nearest to the shorter side of an image, by the ratio of the two.

    Args:
        height: In pixels.
        width: In pixels.
        among: The sizes to choose from, such as those of the tables of a corruption.

    Example:
        >>> nearest_pixels(28, 28), nearest_pixels(96, 128), nearest_pixels(256, 384)
        (32, 64, 224)
        >>> nearest_pixels(64, 64, PerlinNoise.tables)
        224
    """
    side = min(height, width)
    return min(among, key=lambda pixels: abs(log(pixels / side)))


def _with_nearest(
    members: Sequence[type[Corruption]], severities: Sequence[int], pixels: int | None
) -> tuple[Corruption, ...]:
    sizes = [None if pixels is None else nearest_pixels(pixels, pixels, each.tables) for each in members]
    return tuple(
        cast(Any, member)(severity=severity, pixels=size)
        for member, size in zip(members, sizes, strict=True)
        for severity in severities
        if severity <= member.num_severities()
    )


def _instances(
    suite: dict[Group, tuple[type[Corruption], ...]], severities: Sequence[int], pixels: Pixels | None
) -> tuple[Corruption, ...]:
    members = [cast(Any, member) for members in suite.values() for member in members]
    return tuple(member(severity=severity, pixels=pixels) for member in members for severity in severities)
