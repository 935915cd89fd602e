"""Evidence: the parts of a run's outcomes that a report uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from withstand.reports.groups import Group
from withstand.study.combination import Combination, Trial
from withstand.study.digest import Digest
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.reductions import class_words
from withstand.study.mistakes import Mistakes
from withstand.study.picked_mistakes import COLUMNS, pick_mistakes
from withstand.study.pictures import Pictures, examples_of, pictured, pictures_of


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model says about a sample under a condition.

    Attributes:
        predicted: The class, from 0; -1 where the output is not finite.
        confidence: Probability (softmax) of that class, a fraction.
        is_correct: Whether it is the sample's class.
    """

    predicted: int
    confidence: float
    is_correct: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What a report takes from the outcomes of one run.

    Attributes:
        combination: Combination of the run.
        trial: The run.
        data: Name of the data set.
        seed: Seed of every draw.
        classes: Names of the classes.
        mistakes: The worst classes and the most confident mistakes; None without predictions.
        examples: Answers by condition and key of the example.
        numbers: Number and class of every example, by key.
        pictures: JPEG by condition and number.
        keys: Number by condition and key of the example.
        labels: Class of every sample by its place, -1 if it is not known.
        shares: Share of the conditions under which a sample is right, by name of the group and place; NaN if it was
            not measured.
    """

    combination: Combination
    trial: Trial
    data: str
    seed: int
    classes: tuple[str, ...]
    mistakes: Mistakes | None
    examples: Mapping[str, Mapping[int, Answer]] = field(repr=False)
    numbers: Mapping[int, tuple[int, int]] = field(repr=False)
    pictures: Mapping[tuple[str, int], bytes] = field(repr=False)
    keys: Mapping[str, Mapping[int, int]] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    shares: Mapping[str, np.ndarray] = field(repr=False)

    @property
    def question(self) -> tuple[str, int, tuple[str, ...]]:
        """What must agree for two runs to be compared sample by sample."""
        return self.data, self.seed, self.classes


def evidence_of(digest: Digest, groups: Sequence[Group]) -> dict[int, Evidence]:
    """Return the evidence of the first run of every combination whose outcomes were kept, by index.

    Args:
        digest: The numbers.
        groups: Groups of conditions.
    """
    found: dict[int, Evidence] = {}
    for each in digest.combinations:
        for trial in each.trials:
            table = digest.study.table_of(trial.run)
            if table is not None and table.conditions:
                found[each.index] = _evidence(digest, each, trial, table, groups)
                break
    return found


def _evidence(
    digest: Digest, combination: Combination, trial: Trial, table: OutcomeTable, groups: Sequence[Group]
) -> Evidence:
    chosen = examples_of(table)
    keys: dict[str, Mapping[int, int]] = {}
    for own in table.conditions:
        if set(own.frame.columns) >= COLUMNS and own.source in chosen:
            keys.setdefault(own.condition, chosen[own.source])
    return Evidence(
        combination=combination,
        trial=trial,
        data=table.data,
        seed=table.seed,
        classes=class_words(table.classes),
        mistakes=pick_mistakes(table),
        examples={name: _answers(table, name, own) for name, own in keys.items()},
        numbers=_numbers(table, chosen),
        pictures=digest.study.spare(lambda: _pictures(table), {}),
        keys=keys,
        labels=_labels(table),
        shares=_shares(table, groups),
    )


def _answers(table: OutcomeTable, condition: str, keys: Mapping[int, int]) -> dict[int, Answer]:
    """Return the answers on the examples under a condition, by key."""
    frame = table.of(condition).frame
    own = frame.filter(frame["number"].is_in(list(keys.values()))).select("number", *sorted(COLUMNS))
    known = {
        number: Answer(
            predicted=-1 if predicted is None else predicted, confidence=confidence or 0.0, is_correct=correct >= 0.5
        )
        for number, confidence, correct, predicted in own.iter_rows()
    }
    return {key: known[number] for key, number in keys.items() if number in known}


def _numbers(table: OutcomeTable, chosen: Mapping[str, Mapping[int, int]]) -> dict[int, tuple[int, int]]:
    """Return number and class of every example by key, as in the first source."""
    found: dict[int, tuple[int, int]] = {}
    for source, keys in chosen.items():
        own = table.samples.filter((table.samples["source"] == source) & table.samples["number"].is_in(keys.values()))
        labels = dict(own.select("number", "label").iter_rows())
        for key, number in keys.items():
            found.setdefault(key, (number, labels[number]))
    return found


def _pictures(table: OutcomeTable) -> dict[tuple[str, int], bytes]:
    """Return the pictures of the outcomes as they are now: those of an earlier measurement are left out."""
    pictures: Pictures = pictures_of(table)
    current = {pictured(own, 0)[:2] for own in table.conditions}
    return {(key.condition, key.number): image for key, image in pictures.items() if key[:2] in current}


def _labels(table: OutcomeTable) -> np.ndarray:
    labels = np.full(len(table.empty()), -1)
    known = table.samples.join(table.keys, on=["source", "number"], how="left").drop_nulls("label")
    labels[known["key"].to_numpy()] = known["label"].to_numpy()
    return labels


def _shares(table: OutcomeTable, groups: Sequence[Group]) -> dict[str, np.ndarray]:
    """Return the share of the conditions of each group under which a sample is right, for the groups that are whole."""
    known = {own.condition: own for own in reversed(table.conditions)}
    values: dict[tuple[str, str], np.ndarray] = {}
    places: dict[str, np.ndarray] = {}
    found: dict[str, np.ndarray] = {}
    for group in groups:
        column = group.measure.column
        own = [known[name] for name in group.conditions if name in known and column in known[name].frame.columns]
        if group.measure.reduction != "mean" or len(own) < len(group.conditions):
            continue
        total = np.zeros(len(table.empty()))
        for each in own:
            if (column, each.condition) not in values:
                if each.source not in places or len(places[each.source]) != len(each.frame):
                    places[each.source] = table.places(each)
                values[column, each.condition] = np.full(len(total), np.nan)
                values[column, each.condition][places[each.source]] = each.frame[column].cast(float).to_numpy()
            total += values[column, each.condition]
        found[group.name] = total / len(own)
    return found
