"""The headline of a report: what hurts most and whom, and which model to prefer."""

from withstand.reports.groups import Group
from withstand.reports.numbers import number, sentence
from withstand.reports.scores import Score, Scores

MOST_CLASSES = 3
FEW_CLASSES = 3  # of fewer, naming those that lose most says nothing


def verdict(scores: Scores) -> list[str]:
    """Return two or three sentences for the person who decides; no claim goes beyond the numbers.

    Empty without an accuracy. Where combinations have no condition in common, nothing is said about which is better.
    """
    clean = next((each for each in scores.groups if each.kind == "clean"), None)
    harms = [each for each in scores.groups if each.kind in ("corruption", "condition", "attack")]
    if clean is None and not harms:
        return []
    ranking = ranking_group(scores)
    order = ranked(scores, ranking) if ranking else []
    if not order or ranking is None:
        return []
    found = [*_hurts(scores, order[0], clean, harms)] if clean else []
    if not harms:
        found.append(
            "Only clean inputs were measured, so nothing is known about robustness: run `withstand evaluate` with "
            "`--on corruptions`, then write the report again."
        )
    return [*found, *_preferred(scores, order, ranking, clean)]


def ranking_group(scores: Scores) -> Group | None:
    """Return the group that combinations are ranked by: one that most of them have; the mean of corruptions first."""
    order = ("mean", "attack", "condition", "corruption", "clean")
    everyone = range(len(scores.digest.combinations))
    counts = {each.name: len([k for k in everyone if scores.of(k, each)]) for each in scores.groups}
    most = max(counts.values(), default=0)
    there = [each for each in scores.groups if counts[each.name] == most > 0]
    return min(there, key=lambda each: order.index(each.kind), default=None)


def ranked(scores: Scores, group: Group) -> list[int]:
    """Return the combinations that have a group, the best first."""
    values = {each.index: scores.of(each.index, group) for each in scores.digest.combinations}
    there = {index: own.value for index, own in values.items() if own is not None}
    return sorted(there, key=lambda index: -group.measure.direction * there[index])


def _hurts(scores: Scores, index: int, clean: Group, harms: list[Group]) -> list[str]:
    """Return what lowers the accuracy of a combination most, attacks apart from the rest, and of which classes."""
    found: list[str] = []
    shared = [each for each in harms if each.kind != "attack"]
    for kind, own in (("", shared), ("attack", [each for each in harms if each.kind == "attack"])):
        drops = {each.name: scores.difference((index, clean), (index, each)) for each in own}
        there = [each for each in own if drops[each.name] is not None]
        if not there:
            continue
        worst = max(there, key=lambda each: _value(drops[each.name]))
        found.append(_drop(scores, index, clean, worst, of=len(there), is_first=not found, is_attack=bool(kind)))
        classes = scores.classes(index, worst, clean)[:MOST_CLASSES]
        evidence = scores.evidence.get(index)
        if classes and not kind and evidence is not None and len(evidence.classes) > FEW_CLASSES:
            seeds = f" (seed {evidence.trial.seed})" if len(evidence.combination.planned) > 1 else ""
            parts = [f"{name} (from {_percent(a)} to {_percent(b)} %, {count:,} samples)" for name, a, b, count in classes]
            found.append(f"Under it, these classes lose most{seeds}: {_listed(parts)}.")
    return found


def _drop(
    scores: Scores, index: int, clean: Group, worst: Group, *, of: int, is_first: bool, is_attack: bool
) -> str:
    """Return in a sentence how far the accuracy falls from clean inputs to a group."""
    before, after = scores.of(index, clean), scores.of(index, worst)
    drop = scores.difference((index, clean), (index, worst))
    assert before and after and drop
    severities = f" ({worst.severities})" if worst.severities else ""
    what = sentence(f"{worst.words}{severities}")
    name = scores.digest.combinations[index].name
    whom = f"{name} falls" if is_first else "the accuracy falls"
    measure = worst.measure
    fall = f"from {_shown(clean, before)} % on clean inputs to {_shown(worst, after)} %"
    points = f"by {number(measure, drop.value)} points{_interval(worst, drop)}"
    if drop.low is not None and not drop.is_sure:
        return f"No condition lowers the accuracy of {name} beyond chance; the largest drop is under {worst.words}, {points}."
    if is_attack:
        return f"Under {worst.words}, {whom} {fall}, {points}."
    most = f"hurts most of {of} kinds of conditions" if of > 1 else "hurts"
    return f"{what} {most}: {whom} {fall}, {points}."


def _preferred(scores: Scores, order: list[int], ranking: Group, clean: Group | None) -> list[str]:
    """Return which combination is best, whether it is told apart from the next one, and what it costs on clean inputs."""
    if len(scores.digest.combinations) == 1:
        return []
    if len(order) == 1:
        return ["The combinations were measured under conditions of their own, so none can be preferred here."]
    names = [scores.digest.combinations[each].name for each in order]
    best = scores.of(order[0], ranking)
    gap = scores.difference((order[0], ranking), (order[1], ranking))
    assert best and gap
    where = "clean inputs" if ranking.kind == "clean" else ranking.words
    mean = "mean over " if ranking.kind == "mean" else "under "
    where = "on clean inputs" if ranking.kind == "clean" else f"{mean}{where}"
    value = f"{_shown(ranking, best)} % {ranking.measure.words}, {where}"
    lead = f"{number(ranking.measure, gap.value, sign=True)} points against {names[1]}{_interval(ranking, gap)}"
    if not gap.is_sure:
        level = [name for name, index in zip(names, order, strict=True) if not _is_behind(scores, order[0], index, ranking)]
        why = "the interval includes 0" if gap.low is not None else "there is no interval"
        why = why if gap.low is None or gap.low <= 0 <= (gap.high or 0) else "there are too few seeds"
        return [
            f"No model is clearly best: {_listed(level)} cannot be told apart by the {ranking.measure.words} {where} "
            f"({names[0]} leads with {_shown(ranking, best)} %, {lead}; {why})."
        ]
    found = f"Prefer {names[0]}: {value}, which is {lead}, beyond chance"
    return [f"{found}{_price(scores, order, ranking, clean)}."]


def _is_behind(scores: Scores, best: int, index: int, group: Group) -> bool:
    gap = scores.difference((best, group), (index, group))
    return index != best and gap is not None and gap.is_sure


def _price(scores: Scores, order: list[int], ranking: Group, clean: Group | None) -> str:
    """Return how much clean accuracy the best combination has, against the best on clean inputs."""
    if clean is None or ranking.kind == "clean":
        return ""
    top = next(iter(ranked(scores, clean)), order[0])
    if top == order[0]:
        return "; it is also the best on clean inputs"
    cost = scores.difference((order[0], clean), (top, clean))
    if cost is None:
        return ""
    name = scores.digest.combinations[top].name
    chance = "" if cost.is_sure else ", not beyond chance"
    return (
        f". On clean inputs it has {number(clean.measure, cost.value, sign=True)} points against {name}"
        f"{_interval(clean, cost)}{chance}"
    )


def _interval(group: Group, score: Score) -> str:
    if score.low is None or score.high is None:
        return " (one run, no interval)"
    low, high = (number(group.measure, each, score.samples or None, sign=True) for each in (score.low, score.high))
    over = f"{score.samples:,} samples" if score.samples else f"{score.seeds} seeds"
    return f" (95 % interval {low.lstrip('+')} to {high.lstrip('+')}, {over})"


def _shown(group: Group, score: Score) -> str:
    return number(group.measure, score.value, score.samples or None)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _value(score: Score | None) -> float:
    return -1.0 if score is None else score.value


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
