"""Numbers and names of measures as texts."""

import math
import re
from dataclasses import replace

from withstand.conditions import CLEAN, JPEG, MEAN, is_of_suite
from withstand.study.measures.measure import ACCURACY, FURTHER, Measure

MANY_SAMPLES = 5000  # from here on a second decimal of a percentage says something
SHORT_WORD, LONGEST_TOPIC = 3, 24  # letters of words that say nothing, and of topics that a name has room for
FIGURES = 4  # significant ones of what is no percentage


def number(measure: Measure, value: float, samples: int | None = None, *, sign: bool = False) -> str:
    """Return a value without unit, with as many decimals as the samples support; bounds are rounded to the safe side.

    Args:
        measure: Measure of the value.
        value: A share, a number, or with a sign a difference of two.
        samples: How many it was measured on; None shows percentages with one decimal.
        sign: Whether it has a sign in front; a difference is no bound, and is rounded to the nearest.

    Example:
        >>> top1 = Measure(name="top1", column="correct", percent=True)
        >>> number(top1, 0.98765, 2087), number(top1, 0.98765, 10000), number(top1, 0.012, sign=True)
        ('98.8', '98.77', '+1.2')
        >>> number(top1, -0.0001, sign=True), number(Measure(name="d", column="d"), 0.012345)
        ('0.0', '0.01235')
        >>> number(Measure(name="b", column="b", kind="upper bound"), 12.3401)
        '12.35'
    """
    if not sign:
        return measure.written(value, decimals=_decimals(measure, value, samples))
    text = replace(measure, kind="").written(value, decimals=_decimals(measure, value, samples))
    if not any(each in text for each in "123456789"):
        return text.lstrip("-")
    return text if text.startswith("-") else f"+{text}"


def with_unit(measure: Measure, value: float, samples: int | None = None) -> str:
    """Return a value with its unit.

    Example:
        >>> with_unit(Measure(name="top1", column="correct", percent=True), 0.5)
        '50.0 %'
    """
    unit = "%" if measure.percent else measure.unit
    return f"{number(measure, value, samples)} {unit}" if unit and math.isfinite(value) else number(measure, value)


def titled(measure: Measure) -> Measure:
    """Return a measure whose words name its topic too, where they would not be understood without it.

    Example:
        >>> titled(Measure(name="w", column="c", words="worst case", topic="Accuracy over balls")).words
        'Accuracy over balls: worst case'
        >>> titled(Measure(name="b", column="c", words="balanced accuracy", topic="Accuracy by class")).words
        'balanced accuracy'
    """
    topic = measure.topic.partition(":")[0]
    said = {each.lower() for each in topic.split() if len(each) > SHORT_WORD} & set(measure.words.lower().split())
    if said or measure.topic in (ACCURACY, FURTHER) or len(topic) > LONGEST_TOPIC:
        return measure
    return replace(measure, words=f"{topic}: {measure.words}")


def named(measure: Measure, condition: str) -> str:
    """Return the label of a measure under a condition with a name: clean inputs, and the mean of corruptions.

    Example:
        >>> top1 = Measure(name="top1", column="correct", words="top-1 accuracy")
        >>> [named(top1, each) for each in ("clean", "corruptions+jpeg", "linf 0.1")]
        ['clean top-1 accuracy', 'mean top-1 accuracy under corruptions (saved as JPEG)', 'top-1 accuracy']
    """
    if condition == CLEAN:
        return titled(replace(measure, words=f"clean {measure.words}")).words
    words = titled(measure).words
    if says_all(condition):
        saved = " (saved as JPEG)" if condition.endswith(JPEG) else ""
        return f"mean {words} under {condition.removesuffix(JPEG)}{saved}"
    return words


def under(measure: Measure, condition: str) -> Measure:
    """Return a measure whose words name the condition, where `named` does."""
    return replace(measure, words=named(measure, condition))


def says_all(condition: str) -> bool:
    """Return whether `named` says the condition."""
    return condition == CLEAN or condition.removesuffix(JPEG) == MEAN or is_of_suite(condition)


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


def _decimals(measure: Measure, value: float, samples: int | None) -> int:
    if measure.percent:
        return 2 if samples is not None and samples >= MANY_SAMPLES else 1
    if not math.isfinite(value) or value == 0:
        return 2
    return min(8, max(0, FIGURES - 1 - math.floor(math.log10(abs(measure.scaled(value))))))
