"""Names of conditions: corruptions, their severities, balls."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

Saved = Literal["", "+jpeg"]
Norm = Literal["l1", "l2", "linf"]

CLEAN = "clean"
MEAN = "corruptions"  # the mean over all cells of a run, extra corruptions and other suites apart
JPEG: Saved = "+jpeg"
SEVERITIES = (1, 2, 3, 4, 5)
NUMBER = re.compile(r"(?<![\w.\-])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")
HOLE = "[]"
CORRECT_AT = "correct at "  # and a severity: columns of the outcomes of a threshold
NORMS: tuple[Norm, ...] = get_args(Norm)
DRAWS = ("Uniform", "Sobol")  # over a ball; all else in a ball searches for its worst point

# In the published order; the first three are the group noise.
# Source: Hendrycks, Dietterich 2019, arXiv 1903.12261, table 1; the extras: hendrycks/robustness, README.
IMAGENET_C = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
NOISE = IMAGENET_C[:3]
EXTRAS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
VARIANTS = ("frost-procedural",)  # not published: the same corruption with other textures
# Suites outside ImageNet-C, by their names; both of C-bar have some of the corruptions.
# Source: Mintun, Kirillov, Xie 2021, arXiv 2102.11273; the tables of levels of augmentation-corruption. Li et al. 2025,
# arXiv 2506.16950. Kar et al. 2022, arXiv 2203.01441. Mu, Gilmer 2019, arXiv 1906.02337; google-research/mnist-c.
SUITES: dict[str, tuple[str, ...]] = {
    "imagenet-c-bar": (
        "caustic_refraction",
        "inverse_sparkles",
        "sparkles",
        "perlin_noise",
        "blue_noise_sample",
        "plasma_noise",
        "checkerboard_cutout",
        "cocentric_sine_waves",
        "single_frequency_greyscale",
        "brownish_noise",
    ),
    "cifar10-c-bar": (
        "blue_noise_sample",
        "checkerboard_cutout",
        "inverse_sparkles",
        "pinch_and_twirl",
        "ripple",
        "brownish_noise",
        "circular_motion_blur",
        "lines",
        "sparkles",
        "transverse_chromatic_abberation",
    ),
    "laion-c": ("vertical_lines", "geometric_shapes", "luminance_checkerboard"),
    "3dcc": ("iso_noise", "low_light", "color_quant"),
    "mnist-c": (
        "mnist_shot_noise",
        "mnist_impulse_noise",
        "mnist_glass_blur",
        "mnist_motion_blur",
        "mnist_shear",
        "mnist_scale",
        "mnist_rotate",
        "mnist_brightness",
        "mnist_translate",
        "mnist_stripe",
        "mnist_fog",
        "mnist_spatter",
        "mnist_dotted_line",
        "mnist_zigzag",
        "mnist_canny_edges",
    ),
}
PARTIAL = {"laion-c": "3 of 6", "3dcc": "3 of 12"}  # suites of which only some corruptions are included
C_BAR = tuple(dict.fromkeys((*SUITES["imagenet-c-bar"], *SUITES["cifar10-c-bar"])))
MNIST_C = SUITES["mnist-c"]
# The corruptions outside ImageNet-C by the names of their suites in tables.
BEYOND = {"C-bar": C_BAR, "LAION-C": SUITES["laion-c"], "3DCC": SUITES["3dcc"], "MNIST-C": MNIST_C}
OUTSIDE = tuple(name for names in BEYOND.values() for name in names)
CORRUPTIONS = (*IMAGENET_C, *EXTRAS, *VARIANTS, *OUTSIDE)

# What each corruption does to an image, in coarse categories, so that related corruptions share one.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "noise": (
        *(*NOISE, "speckle_noise", "snow", "blue_noise_sample", "iso_noise", "low_light"),
        *("mnist_shot_noise", "mnist_impulse_noise"),
    ),
    "filter": (
        *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow", "gaussian_blur", "circular_motion_blur"),
        *("transverse_chromatic_abberation", "mnist_glass_blur", "mnist_motion_blur", "mnist_canny_edges"),
    ),
    "tone": (
        *("brightness", "contrast", "saturate", "low_light", "color_quant", "luminance_checkerboard"),
        *("mnist_brightness",),
    ),
    "geometry": (
        *("zoom_blur", "elastic_transform", "transverse_chromatic_abberation", "mnist_shear", "mnist_scale"),
        *("mnist_rotate", "mnist_translate"),
    ),
    "warp": ("glass_blur", "elastic_transform", "caustic_refraction", "pinch_and_twirl", "ripple", "mnist_glass_blur"),
    "waves": ("cocentric_sine_waves", "single_frequency_greyscale"),
    "random field": ("fog", "perlin_noise", "plasma_noise", "brownish_noise", "mnist_fog"),
    "overlay": ("snow", "frost", "frost-procedural", "spatter", "mnist_spatter"),
    "light": ("caustic_refraction", "sparkles", "inverse_sparkles"),
    "occlusion": (
        *("checkerboard_cutout", "lines", "vertical_lines", "geometric_shapes"),
        *("mnist_stripe", "mnist_dotted_line", "mnist_zigzag"),
    ),
    "resolution": ("pixelate",),
    "compression": ("jpeg_compression",),
}


def operations_of_corruption(corruption: str) -> frozenset[str] | None:
    """Return what a corruption does to an image; None if it is not known.

    Example:
        >>> sorted(operations_of_corruption("snow"))
        ['filter', 'noise', 'overlay']
    """
    found = frozenset(name for name, corruptions in OPERATIONS.items() if corruption in corruptions)
    return found or None


def severities_of(corruption: str) -> tuple[int, ...]:
    """Return the published severities of a corruption.

    Example:
        >>> severities_of("fog"), severities_of("mnist_fog")
        ((1, 2, 3, 4, 5), (1,))
    """
    return SEVERITIES[:1] if corruption in MNIST_C else SEVERITIES


class Cell(NamedTuple):
    """One corruption at one severity.

    Attributes:
        corruption: Its name.
        severity: 1 to 5.
        saved: `+jpeg` if the corrupted image was saved as a JPEG file; else empty.

    Example:
        >>> Cell("fog", 3, "+jpeg").condition
        'fog+jpeg/3'
    """

    corruption: str
    severity: int
    saved: Saved = ""

    @property
    def condition(self) -> str:
        """The condition of rows."""
        return f"{self.corruption}{self.saved}/{self.severity}"


def parse_cell(condition: str) -> Cell | None:
    """Return the cell that a condition is, or None for any other condition.

    Example:
        >>> parse_cell("fog+jpeg/3")
        Cell(corruption='fog', severity=3, saved='+jpeg')
        >>> parse_cell("clean"), parse_cell("Gaussian std=0.5")
        (None, None)
    """
    kind, _, severity = condition.partition("/")
    corruption = kind.removesuffix(JPEG)
    if corruption not in CORRUPTIONS or severity not in map(str, severities_of(corruption)):
        return None
    return Cell(corruption, int(severity), JPEG if kind.endswith(JPEG) else "")


def parse_corruption(condition: str) -> tuple[str, Saved] | None:
    """Return the corruption that a condition without a severity is, and how it was saved; None for any other condition.

    Example:
        >>> parse_corruption("fog+jpeg"), parse_corruption("fog/3"), parse_corruption("clean")
        (('fog', '+jpeg'), None, None)
    """
    kind = condition.removesuffix(JPEG)
    return (kind, JPEG if condition.endswith(JPEG) else "") if kind in CORRUPTIONS else None


def in_words(corruption: str) -> str:
    """Return the display name of a corruption, saved as JPEG or not.

    Example:
        >>> in_words("gaussian_noise"), in_words("fog+jpeg")
        ('gaussian noise', 'fog, saved as JPEG')
    """
    words = corruption.removesuffix(JPEG).replace("_", " ")
    return f"{words}, saved as JPEG" if corruption.endswith(JPEG) else words


def is_attack(condition: str) -> bool:
    """Return whether a condition is a search for the worst point of a ball.

    Example:
        >>> is_attack("linf 0.1, PGD-10"), is_attack("linf 0.1, Uniform"), is_attack("fog/3")
        (True, False, False)
    """
    ball, _, method = condition.partition(", ")
    return ball.partition(" ")[0] in NORMS and method.partition(" ")[0] not in ("", *DRAWS)


def is_mean(condition: str) -> bool:
    """Return whether a condition is a mean over corruptions: over those of a run, or over those of another suite.

    Example:
        >>> [is_mean(each) for each in ("corruptions+jpeg (8 cells)", "corruptions of cifar10-c-bar", "fog/3")]
        [True, True, False]
    """
    return condition.startswith(MEAN)


def is_of_suite(condition: str) -> bool:
    """Return whether a condition is the mean over the corruptions of a suite besides ImageNet-C.

    Example:
        >>> is_of_suite("corruptions of cifar10-c-bar"), is_of_suite("corruptions")
        (True, False)
    """
    return condition.startswith(f"{MEAN} of ")


def in_order(conditions: Iterable[str]) -> list[str]:
    """Return conditions in the given order, except that those that differ only in a number are together, ascending.

    Example:
        >>> in_order(["clean", "linf 0.1, quick", "linf 0.1, standard", "linf 0.05, quick"])
        ['clean', 'linf 0.05, quick', 'linf 0.1, quick', 'linf 0.1, standard']
    """
    families: dict[str, list[tuple[float, str]]] = {}
    for each in dict.fromkeys(conditions):
        place = along(each) or Along(each, 0.0)
        families.setdefault(place.text, []).append((place.value, each))
    return [each for own in families.values() for _, each in sorted(own)]


class Along(NamedTuple):
    """A condition with a number in it, such as the radius of a ball.

    Attributes:
        text: The condition with `[]` in the place of its first number.
        value: This number.
    """

    text: str
    value: float

    @property
    def family(self) -> str:
        """The condition without its number."""
        return self.text.replace(f" {HOLE}", "").replace(HOLE, "").strip(" =")


def along(condition: str) -> Along | None:
    """Return a condition apart from the first number in it; None if there is none, or it is a cell of corruptions.

    Example:
        >>> along("linf 0.1, PGD-40 x 3"), along("clean")
        (Along(text='linf [], PGD-40 x 3', value=0.1), None)
        >>> along("linf 0.1, PGD-40 x 3").family, along("Gaussian std=0.5").family
        ('linf, PGD-40 x 3', 'Gaussian std')
    """
    found = NUMBER.search(condition)
    if found is None or parse_cell(condition) is not None:
        return None
    return Along(f"{condition[: found.start()]}{HOLE}{condition[found.end() :]}", float(found.group()))


def severities_tried(columns: Iterable[str]) -> dict[float, str]:
    """Return the columns of a threshold's outcomes by their severities, ascending.

    Example:
        >>> severities_tried(["number", "correct at 2", "correct at 1.5", "finite"])
        {1.5: 'correct at 1.5', 2.0: 'correct at 2'}
    """
    return dict(sorted((float(each.removeprefix(CORRECT_AT)), each) for each in columns if each.startswith(CORRECT_AT)))
