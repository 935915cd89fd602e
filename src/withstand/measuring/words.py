"""Named conditions that `--on` accepts."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from withstand.conditions import C_BAR, CLEAN, EXTRAS, IMAGENET_C, JPEG, OUTSIDE, SUITES, parse_cell, severities_of
from withstand.data.corrupted.cells import Gap
from withstand.errors import InputError, brief, nearest
from withstand.evaluation.base import Evaluation
from withstand.evaluation.calibration import Calibration
from withstand.evaluation.lipschitz import Lipschitz
from withstand.evaluation.minimal_norm import minimal_norms
from withstand.evaluation.noise_distance import Noise, NoiseDistance
from withstand.evaluation.randomized_smoothing import RandomizedSmoothing
from withstand.evaluation.recall import Recall
from withstand.evaluation.sandwich import Sandwich
from withstand.evaluation.worst_case import WorstCase
from withstand.measuring.named_corruptions import SUITE_WORDS, named_corruptions
from withstand.measuring.named_thresholds import named_thresholds
from withstand.models.noise_generator import Kernel
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.corruptions.suites import Pixels, others
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg
from withstand.perturbations.speckle import Speckle
from withstand.perturbations.uniform_noise import UniformNoise

SETS = {
    "clean": "unchanged inputs",
    "imagenet-c": "the 15 corruptions of ImageNet-C at severities 1 to 5, saved as JPEG (lossless at 32 pixels)",
    "imagenet-c-in-memory": "the 15 corruptions of ImageNet-C, without JPEG",
    "corruptions": "the 15 corruptions and the 4 extra ones, without JPEG",
    **SUITE_WORDS,
    "noise": "Gaussian, uniform and speckle noise with three standard deviations",
}
NOISE_DISTANCES: dict[str, tuple[Kernel, str]] = {
    "noise-distance": ("1x1", "l2 distance at which Gaussian, uniform or adversarial noise fools the model"),
    "noise-distance-3x3": ("3x3", "the same, with spatially correlated adversarial noise"),
}
DISTANCES = {
    "distance/l1": "l1 distance to the nearest misclassified point that minimum-norm attacks find",
    "distance/l2": "the same in l2",
    "distance/linf": "the same in linf",
    "distance/l0": "number of features that must change, each by at most --radius (linf, default 1)",
}
OTHERS = DISTANCES | {
    "worst-case": "accuracy under the worst perturbation in a ball, and on average in it; needs --radius",
    "sandwich": "certified and worst-case accuracy in a ball, and the gap between them; needs --radius",
    "smoothing": "certified accuracy by randomised smoothing; smoothing/0.5 sets the std of the noise",
    "threshold": "severity of the 15 corruptions at which accuracy falls below 50 %; threshold/fog, threshold/0.8",
    "calibration": "how well confidence agrees with accuracy; calibration/fog under another condition",
    "by-class": "accuracy of every class, and their mean",
    "table-errors": "missing values, typos, mistakes of units and other errors in 5 % of a table's entries",
    "lipschitz": "bounds on the Lipschitz constant of fully connected networks",
}
SEVERITIES = "severities are numbers from 1 to 5; those of corrupted data sets are whole."
SEVERAL = {"imagenet-c", "imagenet-c-in-memory", "corruptions", *SUITE_WORDS} - {"mnist-c"}
OVER_BALLS: dict[str, type[WorstCase] | type[Sandwich]] = {"worst-case": WorstCase, "sandwich": Sandwich}
WORDS = SETS | {name: meaning for name, (_, meaning) in NOISE_DISTANCES.items()} | OTHERS

Asked = Perturbation | Evaluation
Textures = Literal["published", "procedural"]


def meant(
    word: str,
    shape: tuple[int, ...],
    *,
    balls: Sequence[Ball] = (),
    budget: Budget = "standard",
    pixels: Pixels | None = None,
    frost: Textures = "published",
) -> list[Asked]:
    """Return the perturbations and evaluations of a name; empty if it is unknown.

    Args:
        word: See `WORDS`; a corruption (`contrast`), or one at a severity (`contrast/3`, `contrast/2.5`); `+jpeg`
            saves images as JPEG.
        shape: Shape of one input.
        balls: For the words that take a radius; the first gives the unit of `distance/l2`.
        budget: Of the attacks of `worst-case` and `sandwich`.
        pixels: Image size whose corruption parameters apply; None takes the nearest.
        frost: Frost textures.

    Raises:
        InputError: If the name needs images or balls, and there are none.

    Example:
        >>> [each.condition for each in meant("fog", (3, 32, 32))][:2]
        ['fog/1', 'fog/2']
    """
    if word == "clean":
        return [Identity()]
    if word == "noise":
        kinds = (Gaussian, UniformNoise, Speckle)
        return [kind(std=std) for kind in kinds for std in (0.1, 0.25, 0.5)]
    kind, slash, rest = word.partition("/")
    if kind == "smoothing":
        return _smoothings(rest if slash else "0.25", balls)
    if kind == "calibration":
        worst = [PGD(ball=each) for each in balls]
        return _calibrations(meant(rest, shape, pixels=pixels, frost=frost) if slash else [Identity(), *worst])
    if own := _evaluations(word, balls, budget):
        return own
    options: dict[str, Any] = {"side": min(shape[1:]) if len(shape) == 3 else 224, "pixels": pixels, "frost": frost}
    found = _noise_distances(word) or [*named_thresholds(word, **options), *named_corruptions(word, **options)]
    if found and len(shape) != 3:
        raise InputError(f"on: {word} needs images, got inputs of shape {shape}; try clean or noise.")
    return found


def _evaluations(word: str, balls: Sequence[Ball], budget: Budget) -> list[Asked]:
    """Return the evaluation of a name that suits any inputs."""
    if word in OVER_BALLS:
        kind = OVER_BALLS[word]
        if not balls:
            raise InputError(f"on: {word} needs a radius; give --radius, or {kind.__name__}(balls=...) in Python.")
        return [kind(balls=tuple(balls), budget=budget)]
    if word in DISTANCES:
        return [*minimal_norms(word.partition("/")[2], balls)]
    return {"by-class": [Recall()], "lipschitz": [Lipschitz()]}.get(word, [])


def is_evaluation(word: str) -> bool:
    """Return whether a name or YAML applies to already corrupted samples, rather than choosing among them.

    Example:
        >>> is_evaluation("by-class"), is_evaluation("Recall"), is_evaluation("fog/3")
        (True, True, False)
    """
    return word.partition("/")[0] in OTHERS | NOISE_DISTANCES or not word[:1].islower()


def known_words() -> list[str]:
    """Return all names of sets, evaluations and corruptions."""
    return [*WORDS, *IMAGENET_C, *EXTRAS, *OUTSIDE, *dict.fromkeys(each.published_name() for each in others())]


def is_known(word: str) -> bool:
    """Return whether a word is a name of conditions, or begins like one.

    Example:
        >>> is_known("fog+jpeg/9"), is_known("noise"), is_known("resnet18")
        (True, True, False)
    """
    return word.partition("/")[0].removesuffix(JPEG) in known_words()


def advice(word: str, known: Sequence[str]) -> str:
    """Return what to write instead of a word that is not among the known ones.

    Example:
        >>> advice("fog/9", ["fog"]) == SEVERITIES, advice("calibration/fogg", ["fog"]), advice("clean/3", ["clean"])
        (True, 'did you mean calibration/fog?', 'clean has no severities.')
    """
    kind, slash, rest = word.partition("/")
    if slash and kind in (*NOISE_DISTANCES, "smoothing"):
        *first, last = get_args(Noise)
        expected = "a standard deviation above 0" if kind == "smoothing" else f"{', '.join(first)} or {last}"
        return f"expected {expected} after the slash."
    if slash and kind == "threshold":
        return "expected a corruption, a suite, or a share above 0 and below 1 after the slash."
    if slash and kind == "calibration":
        return re.sub("(mean| or) ", r"\1 calibration/", advice(rest, known))
    if slash and is_known(kind):
        if kind.removesuffix(JPEG) in SEVERAL:
            return f"{kind} is measured at all severities; for some, name corruptions with a severity, such as fog/3."
        if kind in WORDS or len(severities_of(kind.removesuffix(JPEG))) == 1:
            return f"{kind} has " + ("no severities." if kind in WORDS else "severity 1 only.")
        return SEVERITIES
    return nearest(word, known, otherwise="`withstand list conditions` shows all.")


def _noise_distances(word: str) -> list[Asked]:
    word, slash, kind = word.partition("/")
    if word not in NOISE_DISTANCES or (slash and kind not in get_args(Noise)):
        return []
    chosen: list[Noise] = [each for each in get_args(Noise) if kind in ("", each)]
    # Only adversarial noise has a kernel; other kinds are equal under both names.
    kernels: dict[Noise, Kernel] = {"adversarial": NOISE_DISTANCES[word][0]}
    return [NoiseDistance(noises=(each,), kernel=kernels.get(each, "1x1")) for each in chosen]


def _calibrations(asked: Sequence[Asked]) -> list[Asked]:
    """Return the calibration under perturbations; nothing if there are evaluations among them."""
    drawn = tuple(each for each in asked if isinstance(each, Perturbation))
    return [Calibration(perturbations=drawn)] if drawn and len(drawn) == len(asked) else []


def _smoothings(std: str, balls: Sequence[Ball]) -> list[Asked]:
    try:
        noise = float(std)
    except ValueError:
        return []
    for each in balls:
        if each.norm != "l2" or not isinstance(each.radius, int | float):
            raise InputError(
                f"on: smoothing certifies l2 balls with one radius, got {each.norm} {each.radius}; give --norm l2."
            )
    asked = [
        RandomizedSmoothing(std=noise, radius=each.radius, unit=each.unit)
        for each in balls
        if isinstance(each.radius, int | float)
    ]
    return [*asked] or [RandomizedSmoothing(std=noise)]


def notes_on(perturbations: Sequence[Perturbation], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return notes on results under perturbations: protocol, parameters, textures."""
    saved = [each for each in perturbations if isinstance(each, SavedAsJpeg)]
    notes = ["+jpeg: saved as JPEG of quality 85 and read again, as ImageNet-C was."] if saved else []
    if any(isinstance(each, Corruption) for each in perturbations):
        kinds = "Corruptions without +jpeg: in memory" if saved else "Corruptions in memory"
        notes.append(f"{kinds}, without JPEG files.")
    inner = [*(each.perturbation for each in saved), *perturbations]
    for pixels in dict.fromkeys(each.pixels or shape[1] for each in inner if isinstance(each, Corruption)):
        size = "" if shape[1:] == (pixels, pixels) else f" (the images have {shape[1]} x {shape[2]})"
        notes.append(f"Parameters for {pixels} pixels{size}.")
    if any(each.condition.startswith("frost-procedural") for each in inner):
        notes.append("frost: procedural textures instead of the published ones; mCE is not reported.")
    return tuple(notes)


def choose_cells(names: Sequence[str] | None, cells: Iterable[str]) -> list[str]:
    """Return the cells of already corrupted data that names choose.

    Args:
        names: `clean`, `imagenet-c` (the 15), `c-bar` and other suites, `corruptions` (all but clean), kinds (`fog`),
            or cells (`fog/3`), the last two with or without `+jpeg`; None means all.
        cells: All cells.

    Raises:
        InputError: If a name matches none.

    Example:
        >>> choose_cells(["fog"], ["clean", "fog+jpeg/1", "fog+jpeg/2", "snow+jpeg/1"])
        ['fog+jpeg/1', 'fog+jpeg/2']
    """
    there = list(cells)
    if names is None:
        return there
    found: list[str] = []
    for name in names:
        chosen = [each for each in there if _is_meant(name, each)]
        if not chosen:
            known = [*SETS, *dict.fromkeys(each.rsplit("/", 1)[0] for each in there)]
            raise InputError(f"on: {brief(name)} is not among the cells of the data; {advice(name, known)}")
        found += chosen
    return [each for each in there if each in found]


def cell_notes(chosen: Sequence[str], gaps: Sequence[Gap]) -> tuple[str, ...]:
    """Return notes on results on already corrupted data.

    Example:
        >>> cell_notes(["fog/1"], [Gap("snow/2", 0, 50), Gap("snow/3", 0, 50), Gap("fog/1", 49, 50)])
        ('Images read from corrupted files.', 'Missing: snow/2,3.', 'Partial: fog/1 (49 of 50).')
    """
    saved = any(JPEG in each for each in chosen)
    notes = ["Images read from corrupted files" + ("; +jpeg: saved as JPEG." if saved else ".")]
    absent: dict[str, list[str]] = {}
    for gap in gaps:
        if gap.images == 0:
            kind, severity = gap.condition.rsplit("/", 1)
            absent.setdefault(kind, []).append(severity)
    if absent:
        notes.append("Missing: " + ", ".join(f"{kind}/{_span(own)}" for kind, own in absent.items()) + ".")
    partial = [f"{gap.condition} ({gap.images:,} of {gap.expected:,})" for gap in gaps if gap.images]
    if partial:
        notes.append(f"Partial: {', '.join(partial)}.")
    return tuple(notes)


def _is_meant(name: str, condition: str) -> bool:
    plain, cell = name.replace(JPEG, "", 1), parse_cell(condition)
    if cell is None or name == CLEAN:
        return name == condition
    if name == "corruptions":
        return True
    suites = {"imagenet-c": IMAGENET_C, "c-bar": C_BAR, **SUITES}
    if name in suites:
        return cell.corruption in suites[name]
    same = plain in (cell.corruption, f"{cell.corruption}/{cell.severity}")
    return same and (JPEG not in name or cell.saved == JPEG)


def _span(severities: list[str]) -> str:
    return "1-5" if len(severities) == 5 else ",".join(severities)
