"""Headline of a report: worst condition, affected classes, preferred model."""

from withstand.reports.findings import different_data
from withstand.reports.groups import Group
from withstand.reports.numbers import number, sentence
from withstand.reports.scores import Score, Scores

MOST_CLASSES, MOST_NAMES, MOST_RIVALS = 3, 4, 2
FEW_CLASSES = 3  # of fewer, naming those that lose most says nothing


def headline(scores: Scores) -> list[tuple[str, str]]:
    """Return two or three statements for the person who decides; no claim goes beyond the numbers.

    Empty without an accuracy. Without a common condition, no combination is preferred.

    Returns:
        The statement, or nothing, and sentences about it.
    """
    clean = next((each for each in scores.groups if each.kind == "clean"), None)
    harms = [each for each in scores.groups if each.kind in ("corruption", "condition", "attack")]
    if clean is None and not harms:
        return []
    if different_data(scores.digest):
        return [("No model is preferred", "the models were measured on different data.")]
    ranking = ranking_group(scores)
    order = ranked(scores, ranking) if ranking else []
    if ranking is None:
        return []
    if not order:
        return [("Robustness is unknown", f"no accuracy {_place(ranking)} is trustworthy; see the warning.")]
    harms = [each for each in harms if not scores.doubt(order[0], each)]
    found = _hurts(scores, order[0], clean, harms, ranking) if clean else []
    if all(each.kind == "clean" for each in scores.groups):
        run = "run `withstand evaluate` with `--on imagenet-c`, then write the report again"
        found = [("Robustness was not measured", f"only clean inputs were evaluated; {run}.")]
    found += _weak(scores, order[0], clean) if clean else []
    return [*found, *_preferred(scores, order, ranking)]


def ranking_group(scores: Scores) -> Group | None:
    """Return the group that combinations are ranked by: one that most of them have; the mean of corruptions first.

    Of several groups of a kind, it is the first with the fewest doubts.
    """
    order = ("mean", "attack", "condition", "corruption", "clean")
    everyone = range(len(scores.digest.combinations))
    counts = {each.name: sum(scores.has(k, each) for k in everyone) for each in scores.groups}
    most = max(counts.values(), default=0)
    there = [each for each in scores.groups if counts[each.name] == most > 0]

    def place(group: Group) -> tuple[int, int]:
        return order.index(group.kind), sum(bool(scores.doubt(k, group)) for k in everyone)

    return min(there, key=place, default=None)


def ranked(scores: Scores, group: Group) -> list[int]:
    """Return the combinations that have a group, the best first.

    A doubtful accuracy may be far too high, so it can lose a comparison but not win one: those that are significantly
    below the best of the others come last, the rest are left out.
    """
    values = {each.index: scores.of(each.index, group) for each in scores.digest.combinations}
    there = {index: own.value for index, own in values.items() if own is not None}
    order = sorted(there, key=lambda index: -group.measure.direction * there[index])
    sound = [each for each in order if not scores.doubt(each, group)]
    return sound + [each for each in order if each not in sound and sound and _is_behind(scores, sound[0], each, group)]


def _hurts(scores: Scores, index: int, clean: Group, harms: list[Group], ranking: Group) -> list[tuple[str, str]]:
    """Return what lowers the accuracy of a combination most, attacks apart from the rest, and of which classes."""
    known = ((each, scores.difference((index, clean), (index, each))) for each in harms)
    drops = [(each, drop.value) for each, drop in known if drop is not None]
    there = [each for each, _ in sorted(drops, key=lambda pair: -pair[1])]
    attacks = [each for each in there if each.kind == "attack"]
    others = [each for each in there if each.kind != "attack"]
    found: list[tuple[str, str]] = []
    more: list[str] = []
    if others:
        found.append(_drop(scores, index, clean, others[0], ranking, of=len(others)))
        more += _classes(scores, index, others[0], clean)
    if attacks and not others:
        return [_drop(scores, index, clean, attacks[0], ranking, of=len(attacks))]
    if attacks:
        lead, told = _drop(scores, index, clean, attacks[0], ranking, of=len(attacks))
        more.append(f"{lead}: {told}")
    return found + ([("", " ".join(more))] if more else [])


def _drop(scores: Scores, index: int, clean: Group, worst: Group, ranking: Group, *, of: int) -> tuple[str, str]:
    """Return how far the accuracy of a combination falls from clean inputs to a group."""
    before, after = scores.of(index, clean), scores.of(index, worst)
    drop = scores.difference((index, clean), (index, worst))
    assert before is not None
    assert after is not None
    assert drop is not None
    name = scores.digest.combinations[index].name
    several = len(scores.digest.combinations) > 1
    interval = _interval(worst, drop, of=worst.kind != "attack")
    points = f"{number(worst.measure, drop.value, drop.samples or None)} points{interval}"
    if drop.low is not None and not drop.is_sure:
        return (
            f"No condition significantly lowers the accuracy of {name}",
            f"{worst.words} lowers it most, by {points}.",
        )
    severities = f" ({worst.severities})" if worst.severities else ""
    fall = f"from {_shown(clean, before)} % on clean inputs to {_shown(worst, after)} %{severities}, by {points}."
    if worst.kind == "attack":
        return f"Under {worst.words}", f"the accuracy of {name} falls {fall}"
    kinds = "corruptions" if worst.kind == "corruption" else "conditions"
    lead = f"{sentence(worst.words)} hurts most{f' of {of} {kinds}' if of > 1 else ''}"
    return lead, f"the accuracy of {name}{f', highest {_place(ranking)},' if several else ''} falls {fall}"


def _classes(scores: Scores, index: int, worst: Group, clean: Group) -> list[str]:
    """Return which classes lose most under a group."""
    evidence, classes = scores.evidence.get(index), scores.classes(index, worst, clean)[:MOST_CLASSES]
    if evidence is None or len(evidence.classes) <= FEW_CLASSES or not classes:
        return []
    seed = f" (seed {evidence.trial.seed})" if len(evidence.combination.planned) > 1 else ""
    parts = [f"{name} ({100 * a:.0f} to {100 * b:.0f} %)" for name, a, b, _ in classes]
    least = min(count for *_, count in classes)
    of = (
        f"of {least:,} samples each"
        if least == max(count for *_, count in classes)
        else f"of at least {least:,} samples each"
    )
    plural = "these classes lose" if len(classes) > 1 else "this class loses"
    return [f"Under {worst.words}, {plural} most{seed}: {_listed(parts)}, {of}."]


def _weak(scores: Scores, index: int, clean: Group) -> list[tuple[str, str]]:
    """Return a sentence about the classes that a combination hardly recognises on clean inputs, if any."""
    classes, evidence = scores.weak_classes(index, clean), scores.evidence.get(index)
    if not classes or evidence is None:
        return []
    seed = f", seed {evidence.trial.seed}" if len(evidence.combination.planned) > 1 else ""
    parts = [f"{name} ({100 * value:.0f} % of {count:,} samples)" for name, value, count in classes[:MOST_CLASSES]]
    parts += [f"{len(classes) - MOST_CLASSES} more"] if len(classes) > MOST_CLASSES else []
    name = scores.digest.combinations[index].name
    whose = f"Even on clean inputs, {name}{seed} has less than half of its accuracy on"
    return [("", f"{whose} {'these classes' if len(classes) > 1 else 'this class'}: {_listed(parts)}.")]


def _preferred(scores: Scores, order: list[int], ranking: Group) -> list[tuple[str, str]]:
    """Return which combination is best, whether significantly, and what it costs on clean inputs."""
    if len(scores.digest.combinations) == 1:
        return []
    left = _doubtful(scores, order, ranking)
    if len(order) == 1:
        return [("No model is preferred", left or "the combinations share no condition.")]
    left = f" {sentence(left)}" if left else ""
    names = [scores.digest.combinations[each].name for each in order]
    best = scores.of(order[0], ranking)
    gap = scores.difference((order[0], ranking), (order[1], ranking))
    assert best is not None
    value = f"{_shown(ranking, best)} % {ranking.measure.words} {_place(ranking)}"
    if gap is None:
        return [
            (
                "No model is clearly best",
                f"{names[0]} leads with {value}, but has no seed in common with {names[1]}.{left}",
            )
        ]
    points = number(ranking.measure, gap.value, gap.samples or None)
    least = "at least " if scores.doubt(order[1], ranking) else ""
    lead = f"{least}{points} points more than {names[1]}{_interval(ranking, gap)}"
    if gap.is_sure:
        chance = "a significant difference" + (" on these samples, of one training run each" if gap.samples else "")
        rival, costs = _rivals(scores, order[0], ranking)
        prefer = f"Prefer {names[0]}" + (f", but {rival} against attacks" if rival else "")
        if any(scores.doubt(order[0], each) for each in scores.groups):
            prefer = "No model is preferred"
        return [(prefer, f"{names[0]} has {value}, {lead}, {chance}.{costs}{left}")]
    level = [name for name, index in zip(names, order, strict=True) if not _is_behind(scores, order[0], index, ranking)]
    if gap.low is None or gap.high is None:
        why = "there is no interval"
    else:
        why = "the interval includes 0" if gap.low <= 0 <= gap.high else "there are too few seeds"
    level = level if len(level) <= MOST_NAMES else [*level[:MOST_NAMES], f"{len(level) - MOST_NAMES} more"]
    told = f"{_listed(level)} do not differ significantly {_place(ranking)}. "
    told += f"{names[0]} leads with {value}, {lead}; {why}." if gap.value else f"{names[0]} has {value}."
    return [("No model is clearly best", told + _under_attack(scores, ranking) + left)]


def _doubtful(scores: Scores, order: list[int], ranking: Group) -> str:
    """Return a sentence about the combinations that are not ranked since their accuracy is not trustworthy."""
    names = [
        each.name
        for each in scores.digest.combinations
        if each.index not in order and scores.doubt(each.index, ranking)
    ]
    if not names:
        return ""
    names = names if len(names) <= MOST_NAMES else [*names[:MOST_NAMES], f"{len(names) - MOST_NAMES} more"]
    return f"the accuracy of {_listed(names)} {_place(ranking)} is not trustworthy; see the warning."


def _under_attack(scores: Scores, ranking: Group) -> str:
    """Return sentences about attacks under which the best combination is significantly above the next or the last."""
    text = ""
    for group in [each for each in scores.groups if each.kind == "attack" and each is not ranking][:MOST_RIVALS]:
        order = ranked(scores, group)
        for best, other in [(order[0], each) for each in order[1:2] + order[2:][-1:]]:
            gap = scores.difference((best, group), (other, group))
            if gap is not None and gap.is_sure:
                first, second = (scores.digest.combinations[each].name for each in (best, other))
                points = number(group.measure, gap.value, gap.samples or None)
                text += f" Under {group.words} {first} is {points} points above {second}{_interval(group, gap)}."
                break
    return text


def _place(group: Group) -> str:
    known = {"clean": "on clean inputs", "mean": f"on average over {group.words}"}
    return known.get(group.kind, f"under {group.words}")


def _is_behind(scores: Scores, best: int, index: int, group: Group) -> bool:
    gap = scores.difference((best, group), (index, group))
    return index != best and gap is not None and gap.is_sure and gap.value > 0


def _rivals(scores: Scores, best: int, ranking: Group) -> tuple[str, str]:
    """Return which combination is significantly better under attack, and what the best one costs elsewhere."""
    name, text = "", ""
    others = [each for each in scores.groups if each.kind in ("clean", "attack") and each is not ranking]
    for group in others[:MOST_RIVALS]:
        top = next((each for each in ranked(scores, group)), best)
        where = "on clean inputs" if group.kind == "clean" else f"under {group.words}"
        if scores.doubt(best, group):
            text += f" {sentence(where)} its accuracy is not trustworthy; see the warning."
            continue
        cost = scores.difference((top, group), (best, group))
        rival = scores.digest.combinations[top].name
        if top != best and cost is None:
            text += f" {sentence(where)} it has no seed in common with {rival}, the best one there."
            continue
        if cost is None or top == best or cost.value <= 0:
            which = (
                "other model with a trustworthy accuracy"
                if _doubtful(scores, ranked(scores, group), group)
                else "model"
            )
            text += f" No {which} is better {where}."
            continue
        chance = "" if cost.is_sure else ", not significant"
        points = number(group.measure, cost.value, cost.samples or None)
        text += f" {sentence(where)} it is {points} points below {rival}{_interval(group, cost, of=False)}{chance}."
        if cost.is_sure and group.kind == "attack":
            name = name or rival
    return name, text


def _interval(group: Group, score: Score, *, of: bool = True) -> str:
    """Return the interval of a difference in brackets, with the samples or seeds that it is over."""
    if score.low is None or score.high is None:
        return " (no interval)"
    low, high = (number(group.measure, each, score.samples or None, sign=True) for each in (score.low, score.high))
    over = f", {score.samples:,} samples" if score.samples else f", {score.seeds} seeds"
    return f" (95 % interval {low.lstrip('+')} to {high.lstrip('+')}{over if of else ''})"


def _shown(group: Group, score: Score) -> str:
    return number(group.measure, score.value, score.samples or None)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
