"""Findings of a study in sentences, with no claim beyond the numbers."""

from withstand.reports.numbers import named, number, says_all, sentence
from withstand.reports.pairs import SamplePairs
from withstand.reports.sandwiches import sandwich_findings, sandwiches_of
from withstand.reports.scores import Scores
from withstand.study.digest import LEAST_PAIRS, Digest
from withstand.study.primary import Column

MOST_MEASURES = 6


def findings(digest: Digest, scores: Scores) -> list[tuple[str, str]]:
    """Return which combination is best on each headline measure, and by how much over the baseline.

    Args:
        digest: The numbers.
        scores: Accuracies by group of conditions.

    Returns:
        The measure, or nothing, and a sentence about it.
    """
    found: list[tuple[str, str]] = []
    pairs = SamplePairs(digest=digest, scores=scores)
    between = {condition for each in sandwiches_of(digest.study) for condition in each.conditions.values()}
    columns = [each for each in digest.columns if digest.measure(each).direction]
    for column in columns[:MOST_MEASURES]:
        if len(digest.combinations) == 1:
            found += [] if column.condition in between else _alone(digest, column)
        elif column.condition is not None:
            found += _best(digest, column, pairs)
        else:
            found += _largest_gain(digest, column, pairs)
    found += sandwich_findings(digest)
    if len(digest.combinations) > 2 and found:
        found.append(
            (
                "",
                "The best combination is selected on the same data, so its lead is biased upwards. Intervals are over "
                "training seeds or, for a single run, over test samples.",
            )
        )
    return found


def tally(digest: Digest) -> str:
    """Return in one sentence how many runs there are, and how many are not."""
    counts = {"done": 0, "failed": 0, "damaged": 0, "missing": 0}
    for each in digest.combinations:
        for trial in each.trials:
            counts[trial.status] += 1
    total, settings = sum(counts.values()), len(digest.combinations)
    wrong = [f"{counts[each]:,} {each}" for each in ("failed", "damaged", "missing") if counts[each]]
    listed = " and ".join(filter(None, (", ".join(wrong[:-1]), *wrong[-1:])))
    end = f"{counts['done']:,} finished, {listed}" if wrong else "all finished"
    runs = "1 run" if total == 1 else f"{total:,} runs"
    return f"{runs} of {settings} combination{'s' if settings > 1 else ''}: {end}."


def warnings(digest: Digest) -> list[str]:
    """Return sentences about runs that are taken together although they may not be alike."""
    found = [*different_data(digest)]
    for each in digest.combinations:
        if each.repeated:
            seeds = ", ".join(map(str, each.repeated))
            found.append(
                f"{each.name}: several runs have seed {seeds}; their mean counts as one. Use different names to "
                "separate them."
            )
    for name in digest.study.conflicts:
        words = digest.study.measures[name].words
        found.append(
            f"{sentence(words)} ({name}): runs declare this measure differently, so values may not be comparable; the "
            "newest declaration is shown."
        )
    return found


def different_data(digest: Digest) -> list[str]:
    """Return a sentence if combinations were measured on data with different classes."""
    names: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for index, data in digest.data.items():
        names.setdefault(data, []).append(digest.combinations[index].name)
    if len(names) < 2:
        return []
    parts = "; ".join(f"{data}: {', '.join([*own[:5], *['...'] * (len(own) > 5)])}" for (data, _), own in names.items())
    return [f"The combinations were measured on different data ({parts}): compare numbers within one data set only."]


def _alone(digest: Digest, column: Column) -> list[tuple[str, str]]:
    line = digest.line(0, column)
    if line is None:
        return []
    left = f" {_doubtful(digest, [0])}" if line["doubt"] else ""
    return [(_what(digest, column), f"{_value(digest, 0, column)}.{left}")]


def _best(digest: Digest, column: Column, pairs: SamplePairs) -> list[tuple[str, str]]:
    """Return the best median, and whether it differs significantly from the baseline."""
    side = digest.measure(column).direction
    lines = {each.index: digest.line(each.index, column) for each in digest.combinations}
    there = {index: line for index, line in lines.items() if line is not None}
    if len(there) < 2:
        return []
    medians = {index: line["q50"] for index, line in there.items() if not line["doubt"]}
    left = _doubtful(digest, [index for index in there if index not in medians])
    if len(medians) < 2:
        alone = [f"{digest.combinations[index].name} has {_value(digest, index, column)}. " for index in medians]
        return [(_what(digest, column), f"{''.join(alone)}{left}")]
    left = f" {left}" if left else ""
    top = max(side * each for each in medians.values())
    best = [index for index, each in medians.items() if side * each == top]
    together = "median" if any(line is not None and line["done"] > 1 for line in lines.values()) else "value"
    if len(best) == len(medians):
        same = (
            f"all have the same {together}, {_value(digest, best[0], column)}{_unmeasured(digest, len(there))}.{left}"
        )
        return [(_what(digest, column), same)]
    names = " and ".join(digest.combinations[index].name for index in best[:3])
    names += f" and {len(best) - 3} others" if len(best) > 3 else ""
    word = "highest" if side > 0 else "lowest"
    start = f"{names} {'has' if len(best) == 1 else 'share'} the {word} {together}, "
    start += f"{_value(digest, best[0], column)}{_unmeasured(digest, len(there))}"
    if best[0] in digest.baseline_indices:
        word = "the" if len(digest.baseline_indices) == 1 else "a"
        return [(_what(digest, column), f"{start}; this is {word} baseline.{left}")]
    return [(_what(digest, column), f"{start}; {_over_baseline(digest, best[0], column, pairs)}.{left}")]


def _largest_gain(digest: Digest, column: Column, pairs: SamplePairs) -> list[tuple[str, str]]:
    """Return the largest gain over a baseline, where combinations are measured under conditions of their own."""
    side = digest.measure(column).direction
    lines = {each.index: digest.pair(each.index, column) for each in digest.combinations}
    gains = {
        index: side * line["difference"]
        for index, line in lines.items()
        if line and not digest.doubt_of_pair(index, column)
    }
    if not gains:
        return []
    best = max(gains, key=lambda index: gains[index])
    name, condition = digest.combinations[best].name, digest.condition(best, column) or ""
    what = f"{_what(digest, column)}, each combination under its own condition"
    if gains[best] <= 0:
        return [(what, f"no combination has a better mean than {digest.baseline_name} under the same condition.")]
    sentence = f"{name} gains most, {_value(digest, best, column)} under {condition.partition(', ')[0]}"
    return [(what, f"{sentence}; {_over_baseline(digest, best, column, pairs)}.")]


def _over_baseline(digest: Digest, index: int, column: Column, pairs: SamplePairs) -> str:
    """Return how a combination compares with the baseline, with the interval."""
    line, own = digest.pair(index, column), digest.line(index, column)
    if line is None or own is None:
        return f"no seed of it can be paired with {digest.baseline_name}"
    if digest.doubt_of_pair(index, column):
        return f"the value of {digest.baseline_name} is not trustworthy"
    measure = digest.measure(column)
    difference, low, high = (
        "" if line[name] is None else number(measure, line[name], own["samples"], sign=True)
        for name in ("difference", "low", "high")
    )
    unit = " points" if measure.percent else f" {measure.unit}" if measure.unit else ""
    if line["pairs"] < 2:
        shown = _on_samples(digest, index, column, pairs) or "from one pair of runs, without an interval"
        return f"{difference}{unit} against {digest.baseline_name}, {shown}"
    interval = f"95 % interval {low} to {high}, {line['pairs']} pairs"
    verdict = "" if line["low"] > 0 or line["high"] < 0 else ", includes 0: not significant"
    if line["pairs"] < LEAST_PAIRS:
        verdict = ", too few pairs for a conclusion"
    return f"{difference}{unit} on average against {digest.baseline_name} ({interval}{verdict})"


def _on_samples(digest: Digest, index: int, column: Column, pairs: SamplePairs) -> str:
    """Return the interval of the difference of two single runs on the same samples; empty if it is unknown."""
    gap, measure = pairs.of(index, column), digest.measure(column)
    if gap is None:
        return ""
    low, high = (number(measure, each, gap.samples, sign=True) for each in (gap.low, gap.high))
    chance = "" if gap.p is None else f", McNemar p {'< 0.001' if gap.p < 0.001 else f'= {gap.p:.3f}'}"
    return f"on the same samples (95 % interval {low} to {high}{chance})"


def _value(digest: Digest, index: int, column: Column) -> str:
    line, measure = digest.line(index, column), digest.measure(column)
    assert line is not None
    names = ("q50", "q10", "q90") if line["done"] > 1 else ("q50", "sample_low", "sample_high")
    middle, low, high = ("" if line[name] is None else number(measure, line[name], line["samples"]) for name in names)
    unit = " %" if measure.percent else f" {measure.unit}" if measure.unit else ""
    runs = f"{line['done']} of {line['planned']} seeds" if line["missing"] else f"{line['done']} seeds"
    if line["done"] > 1:
        return f"{middle}{unit} (10-90 %: {low} to {high}, {runs})"
    interval = f", 95 % interval over the samples {low} to {high}" if low and high else ""
    return f"{middle}{unit} (one run{interval})"


def _what(digest: Digest, column: Column) -> str:
    measure, condition = digest.measure(column), column.condition
    words = sentence(named(measure, condition or ""))
    if condition is None or says_all(condition):
        return words
    # A condition has the budget of all its attacks in its name; a measure of it may have spent less.
    return f"{words}, {condition.partition(', ')[0]} ({measure.budget})" if measure.budget else f"{words}, {condition}"


def _doubtful(digest: Digest, indices: list[int]) -> str:
    """Return a sentence about the combinations whose value is not trustworthy, if any."""
    names = ", ".join(digest.combinations[index].name for index in indices)
    return f"Not trustworthy, see the warning: {names}." if names else ""


def _unmeasured(digest: Digest, number_of: int) -> str:
    left = len(digest.combinations) - number_of
    return "" if not left else f" among the {number_of} combinations that have one"
