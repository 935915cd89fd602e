"""Corruption errors: rows of the cells of ImageNet-C as one number per corruption, and one for all."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from withstand.conditions import CLEAN, IMAGENET_C, NOISE, SEVERITIES, Cell, Saved, parse_cell
from withstand.errors import InputError, brief
from withstand.limits import check_fields, checked
from withstand.study.measures.cells import whole_cells
from withstand.study.measures.row import Row

# Top-1 errors of torchvision's AlexNet on the published files of 224 pixels, severities 1 to 5.
# Source: hendrycks/robustness, issue 10; their means are the constants that later papers divide by, e.g.
# bethgelab/game-of-noise, evaluation_utils.py.
ALEXNET_ERRORS: dict[str, tuple[float, float, float, float, float]] = {
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.94870, 0.98720, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.58430, 0.70048, 0.82108, 0.89750, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.91870, 0.94952),
    "frost": (0.61390, 0.79734, 0.88790, 0.89942, 0.93430),
    "fog": (0.67474, 0.76050, 0.84378, 0.87260, 0.94500),
    "brightness": (0.45140, 0.48502, 0.54048, 0.62166, 0.72440),
    "contrast": (0.64548, 0.76150, 0.88874, 0.97760, 0.99270),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.54620, 0.73728, 0.87092, 0.91262),
    "jpeg_compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
}
ALEXNET_MEANS = {name: sum(errors) / len(errors) for name, errors in ALEXNET_ERRORS.items()}
ALEXNET_CLEAN_ERROR = 1 - 0.56522  # Source: torchvision, its table of published weights.


@dataclass(frozen=True, kw_only=True)
class CorruptionErrors:
    """Errors of one model per corruption, and their means as reported in the literature.

    All values are fractions. Values that cannot be computed are None or left out. Values that are normalised by
    AlexNet's errors are comparable with publications only for the 1,000 classes of ImageNet at 224 pixels, on the
    published files or on images that were corrupted and saved as JPEG in the same way.

    Attributes:
        errors: Mean error over the five severities, for each corruption that has all five.
        clean_error: Error on clean images; None if it was not measured.
        measure: `top1` or `top5`; an error is 1 minus this accuracy. AlexNet's errors are known only for `top1`.
        missing: Conditions without a row, or with too few samples compared with the largest cell; their corruptions are
            left out.

    Source:
        Hendrycks, Dietterich 2019, arXiv 1903.12261, section 4.2: CE and relative CE of a corruption are ratios of sums
        over the severities, and mCE is their mean over the corruptions; the means without noise follow Rusak et al.
        2020, arXiv 2001.06057.

    Example:
        >>> errors = CorruptionErrors(errors={name: 0.5 * error for name, error in ALEXNET_MEANS.items()})
        >>> round(errors.ce_alexnet["fog"], 6), round(errors.mce_alexnet, 6)
        (0.5, 0.5)
        >>> round(errors.mean_corruption_error, 6), errors.relative_mce_alexnet
        (0.394497, None)
    """

    errors: dict[str, float]
    clean_error: float | None = None
    measure: Literal["top1", "top5"] = "top1"
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.errors:
            if name not in IMAGENET_C:
                raise InputError(f"CorruptionErrors: {name} is not one of the 15 corruptions of ImageNet-C.")

    @property
    def ce_alexnet(self) -> dict[str, float]:
        """CE per corruption: the error divided by AlexNet's."""
        if self.measure != "top1":
            return {}
        return {name: error / ALEXNET_MEANS[name] for name, error in self.errors.items()}

    @property
    def relative_ce_alexnet(self) -> dict[str, float]:
        """Relative CE per corruption: its increase over the clean error, divided by the same increase for AlexNet."""
        if self.measure != "top1" or self.clean_error is None:
            return {}
        return {
            name: (error - self.clean_error) / (ALEXNET_MEANS[name] - ALEXNET_CLEAN_ERROR)
            for name, error in self.errors.items()
        }

    @property
    def mean_corruption_error(self) -> float | None:
        """Mean of the errors over the 15 corruptions, not normalised."""
        return _mean(self.errors, noise=True)

    @property
    def mean_corruption_error_without_noise(self) -> float | None:
        """Mean of the errors over the 12 corruptions that are not noise."""
        return _mean(self.errors, noise=False)

    @property
    def mce_alexnet(self) -> float | None:
        """The mCE: mean of CE over the 15 corruptions."""
        return _mean(self.ce_alexnet, noise=True)

    @property
    def mce_alexnet_without_noise(self) -> float | None:
        """Mean of CE over the 12 corruptions that are not noise."""
        return _mean(self.ce_alexnet, noise=False)

    @property
    def relative_mce_alexnet(self) -> float | None:
        """The relative mCE: mean of relative CE over the 15 corruptions."""
        return _mean(self.relative_ce_alexnet, noise=True)

    @property
    def relative_mce_alexnet_without_noise(self) -> float | None:
        """Mean of relative CE over the 12 corruptions that are not noise."""
        return _mean(self.relative_ce_alexnet, noise=False)


@checked
def corruption_errors(
    rows: Iterable[Row], *, measure: Literal["top1", "top5"] = "top1", saved: Saved = ""
) -> CorruptionErrors:
    """Return the corruption errors of one model.

    Args:
        rows: Rows of this model, in any order. Only the condition `clean` and the cells of the 15 corruptions are used;
            extra corruptions are not.
        measure: Measure whose rows are used.
        saved: Which cells are used: `+jpeg` for images that were saved as JPEG files after the corruption.

    Raises:
        InputError: If a condition has two rows.

    Example:
        >>> rows = [Row(measure="top1", condition=f"fog/{s}", value=0.9 - 0.1 * s, count=100) for s in range(1, 6)]
        >>> errors = corruption_errors(rows)
        >>> {name: round(error, 6) for name, error in errors.errors.items()}, errors.mce_alexnet, len(errors.missing)
        ({'fog': 0.4}, None, 70)
    """
    chosen: dict[str, Row] = {}
    rows = list(rows)
    for row in rows:
        if not isinstance(row, Row):
            raise InputError(f"corruption_errors: rows must be of the type Row, got {brief(row)}.")
        cell = parse_cell(row.condition)
        counts = cell is not None and cell.corruption in IMAGENET_C and cell.saved == saved
        if row.measure != measure or not (counts or row.condition == CLEAN):
            continue
        if row.condition in chosen:
            raise InputError(f"corruption_errors: expected one row of {measure} under {row.condition}, got two.")
        chosen[row.condition] = row
    clean = chosen.pop(CLEAN, None)
    counts = {row.condition: row.count for row in rows if row.measure == measure}
    whole_by_kind = whole_cells(counts, saved=saved)
    errors: dict[str, float] = {}
    missing: list[str] = []
    for name in IMAGENET_C:
        cells = {each: chosen.get(each) for each in (Cell(name, severity, saved).condition for severity in SEVERITIES)}
        whole = [row for name_of, row in cells.items() if row is not None and name_of in whole_by_kind.get(name, ())]
        missing += [condition for condition, row in cells.items() if row not in whole]
        if len(whole) == len(SEVERITIES):
            errors[name] = 1 - sum(row.value for row in whole) / len(whole)
    return CorruptionErrors(
        errors=errors,
        clean_error=None if clean is None else 1 - clean.value,
        measure=measure,
        missing=tuple(missing),
    )


def _mean(values: dict[str, float], *, noise: bool) -> float | None:
    """Return the mean over the corruptions, of a published set only, so that one name means one thing."""
    names = [name for name in IMAGENET_C if noise or name not in NOISE]
    return sum(values[name] for name in names) / len(names) if values.keys() >= set(names) else None
