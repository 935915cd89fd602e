"""Measures in words: what an axis is called, in which unit, and how a value is written."""

import re
from dataclasses import dataclass
from textwrap import wrap

from withstand.study.condition import CLEAN, JPEG
from withstand.study.corruption_means import MEAN
from withstand.study.lipschitz_table import LIPSCHITZ_MEASURES

FRACTION = re.compile(r"(\w+_)?top\d+|never_fooled|top1_at_radius|recall .*|mce_alexnet")
TOP = re.compile(r"top(\d+)")
LIPSCHITZ_UNIT = "l2 of logits / l2 of input"
UNITS = {"noise_distance": "l2", "training_loss": "nats"}
WORDS = {
    "balanced_top1": "balanced accuracy",
    "validation_top1": "validation accuracy",
    "worst_top1": "worst-draw accuracy",
    "never_fooled": "never fooled",
    "top1_at_radius": "accuracy at the noise's radius",
    "noise_distance": "median noise distance",
    "adversarial_top1": "adversarial accuracy",
    "worst_case_top1": "worst-case accuracy",
    "mean_top1": "mean accuracy over the ball",
}
WORDS |= {
    name: f"Lipschitz {words.replace(', ', ' (')})" for name, words in LIPSCHITZ_MEASURES.items() if "bound, " in words
}
WORDS["lipschitz_local_median"] = "local Lipschitz constant (median over samples)"
WIDEST = 38  # characters in a line of an axis's label


@dataclass(frozen=True)
class Measure:
    """A measure, in words.

    Example:
        >>> Measure("worst_case_top1").label, Measure("top1", "clean").words
        ('worst-case accuracy, %', 'clean accuracy')
        >>> Measure("top1").written(0.7421), Measure("lipschitz_lower").written(12.3456)
        ('74.2 %', '12.35')
    """

    name: str
    condition: str = ""

    @property
    def is_fraction(self) -> bool:
        """Whether values are shares, shown in percent."""
        return FRACTION.fullmatch(self.name) is not None

    @property
    def is_wide(self) -> bool:
        """Whether values differ by factors rather than by amounts, so that an axis is logarithmic."""
        return self.name.startswith("lipschitz") or self.name == "training_loss"

    @property
    def shown(self) -> str:
        """Its name, with the condition where that is a mean over corruptions."""
        return f"{self.name} {self.condition}" if self.condition.startswith(MEAN) else self.name

    @property
    def words(self) -> str:
        """What it is called within a sentence."""
        if found := TOP.fullmatch(self.name):
            kind = "accuracy" if found.group(1) == "1" else f"top-{found.group(1)} accuracy"
            where = {CLEAN: "clean ", MEAN: "mean corruption "}.get(self.condition.removesuffix(JPEG), "")
            return where + kind + (" (saved as JPEG)" if self.condition == MEAN + JPEG else "")
        return WORDS.get(self.name, self.name.replace("_", " "))

    @property
    def label(self) -> str:
        """What an axis is called, with the unit."""
        unit = "%" if self.is_fraction else UNITS.get(self.name, "")
        if self.name.startswith("lipschitz"):
            return "\n".join([*wrap(self.words, WIDEST), LIPSCHITZ_UNIT])
        return f"{self.words}, {unit}" if unit else self.words

    def scaled(self, value: float) -> float:
        """Return a value as it stands on an axis."""
        return 100 * value if self.is_fraction else value

    def number(self, value: float) -> str:
        """Return a value without unit."""
        return f"{100 * value:.1f}" if self.is_fraction else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"

    def written(self, value: float) -> str:
        """Return a value with its unit, where that is short."""
        return self.number(value) + (" %" if self.is_fraction else "")


def sentence(text: str) -> str:
    """Return a text that begins with a capital.

    Example:
        >>> sentence("l2 is meant, Lipschitz too"), sentence("clean accuracy")
        ('l2 is meant, Lipschitz too', 'Clean accuracy')
    """
    return text if re.match(r"l(1|2|inf)\b", text) else text[:1].upper() + text[1:]


def slug(text: str) -> str:
    """Return a text as a file's name: small letters, digits and dashes.

    Example:
        >>> slug("worst_case_top1, linf 0.1")
        'worst-case-top1-linf-0-1'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
