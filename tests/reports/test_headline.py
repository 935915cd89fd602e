"""The headline says what the numbers say: the largest drop, whom it hits, and which model is significantly better."""

import numpy as np
import pytest
from scipy.stats import t as student

from withstand.reports.headline import headline, ranked, ranking_group
from withstand.reports.scores import Scores
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries

CLASSES = ("a", "b", "c", "d")
LABEL = [k % 4 for k in range(400)]
KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    ),
    "worst": Measure(name="worst", column="worst", kind="attacked", better="higher", percent=True),
}


def answers(share, *, only=range(4), seed=0):
    """Return answers of which a share of those of some classes is wrong."""
    rng = np.random.default_rng(seed)
    return [(each + 1) % 4 if each in only and rng.random() < share else each for each in LABEL]


def scores_of(folder):
    return Scores.gather(Digest.of(Study.of(folder)))


@pytest.fixture
def models(keep_run, tmp_path):
    """One model is hit by snow, above all class c; the other one by everything."""
    good = {"clean": answers(0.02), "fog/1": answers(0.05), "fog/5": answers(0.1, seed=1)}
    good |= {"snow/1": answers(0.3, only=(2,)), "snow/5": answers(0.9, only=(2, 3), seed=2)}
    poor = {"clean": answers(0.02, seed=5)} | {each: answers(0.6, seed=k) for k, each in enumerate(good) if k}
    for name, own in (("good", good), ("poor", poor)):
        keep_run(tmp_path / name, own, label=LABEL, classes=CLASSES)
    return tmp_path, good, poor


def right(own):
    return np.array(own) == np.array(LABEL)


def test_the_headline_names_the_largest_drop_its_classes_and_the_better_model(models):
    folder, good, _ = models
    found = headline(scores_of(folder))
    lead, text = found[0]
    drops = {
        kind: right(good["clean"]) - (0.5 * right(good[f"{kind}/1"]) + 0.5 * right(good[f"{kind}/5"]))
        for kind in ("fog", "snow")
    }
    assert drops["snow"].mean() > drops["fog"].mean()
    assert lead == "Snow hurts most of 2 corruptions"
    half = 1.96 * drops["snow"].std(ddof=1) / 20
    low, high = (100 * (drops["snow"].mean() + side * half) for side in (-1, 1))
    assert f"by {100 * drops['snow'].mean():.1f} points (95 % interval {low:.1f} to {high:.1f}, 400 samples)" in text
    assert "severities 1, 5" in text
    assert found[1][1].startswith("Under snow, these classes lose most: c (")
    assert " and d (" in found[1][1]
    assert " a (" not in found[1][1]
    assert found[2][0] == "Prefer good"
    assert "points more than poor" in found[2][1]
    assert "a significant difference on these samples" in found[2][1]


def test_scores_and_differences_of_single_runs_are_over_the_samples(models):
    folder, good, poor = models
    scores = scores_of(folder)
    group = {each.name: each for each in scores.groups}
    fog = group["fog"]
    share = 0.5 * right(good["fog/1"]) + 0.5 * right(good["fog/5"])
    found = scores.of(0, fog)
    assert found.value == pytest.approx(share.mean())
    assert found.low < found.value < found.high
    assert (found.seeds, found.samples) == (1, 400)
    other = 0.5 * right(poor["fog/1"]) + 0.5 * right(poor["fog/5"])
    gap = scores.difference((0, fog), (1, fog))
    assert gap.value == pytest.approx((share - other).mean())
    assert gap.high - gap.low == pytest.approx(2 * 1.95996 * (share - other).std(ddof=1) / 20, rel=1e-4)
    mean = group["corruptions"]
    assert ranking_group(scores) == mean
    assert ranked(scores, mean) == [0, 1]
    assert scores.of(0, mean).value == pytest.approx(
        np.mean([right(good[each]).mean() for each in good if each != "clean"])
    )


def test_models_that_differ_by_chance_only_are_not_told_apart(keep_run, tmp_path):
    for k, name in enumerate(("one", "other")):
        own = {"clean": answers(0.02, seed=k), "fog/3": answers(0.2, seed=10 + k)}
        keep_run(tmp_path / name, own, label=LABEL, classes=CLASSES)
    lead, text = headline(scores_of(tmp_path))[-1]
    assert lead == "No model is clearly best"
    assert "one and other" in text or "other and one" in text
    assert "includes 0" in text


def test_without_a_drop_nothing_is_said_to_hurt(keep_run, tmp_path):
    keep_run(tmp_path / "net", {"clean": answers(0.1), "fog/3": answers(0.1)}, label=LABEL, classes=CLASSES)
    ((lead, _),) = headline(scores_of(tmp_path))[:1]
    assert lead == "No condition significantly lowers the accuracy of net"


def test_of_clean_inputs_alone_it_says_that_nothing_else_is_known(keep_run, tmp_path):
    keep_run(tmp_path / "net", {"clean": answers(0.1)}, label=LABEL, classes=CLASSES)
    ((lead, text),) = headline(scores_of(tmp_path))
    assert lead == "Robustness was not measured"
    assert "--on imagenet-c" in text


def sweep(folder, values, seeds, *, apart=0):
    """Write a sweep: values by method and condition, one per seed; seeds of the next method are `apart` higher."""
    entries = []
    for k, (method, own) in enumerate(values.items()):
        for seed in range(seeds):
            run = f"{method}-{seed}"
            entries.append(Entry(labels={"method": method}, seed=seed + k * apart, run=run))
            rows = [
                Row(measure="worst" if "linf" in name else "top1", condition=name, value=each[seed], count=100)
                for name, each in own.items()
            ]
            write_rows(folder / run / "rows.jsonl", rows, KNOWN)
    write_entries(folder, entries, command=["withstand", "sweep", "s.yaml"])
    return scores_of(folder)


def test_of_several_seeds_intervals_are_over_the_pairs_of_seeds(tmp_path):
    a, b = (0.8, 0.82, 0.81, 0.84), (0.7, 0.75, 0.71, 0.72)
    scores = sweep(tmp_path, {"a": {"clean": (0.9,) * 4, "fog/2": a}, "b": {"clean": (0.9,) * 4, "fog/2": b}}, 4)
    fog = next(each for each in scores.groups if each.name == "fog")
    gap, pairs = scores.difference((0, fog), (1, fog)), np.subtract(a, b)
    half = student.ppf(0.975, 3) * pairs.std(ddof=1) / 2
    assert (gap.low, gap.high) == pytest.approx((pairs.mean() - half, pairs.mean() + half))
    assert (gap.seeds, gap.samples, gap.is_sure) == (4, 0, True)
    assert headline(scores)[-1][0] == "Prefer a"
    assert "4 seeds" in headline(scores)[-1][1]


def test_a_model_that_is_better_under_attack_is_named_beside_the_best_one(tmp_path):
    ours = {"clean": (0.9, 0.91, 0.92), "fog/2": (0.8, 0.81, 0.8), "linf 0.1, PGD": (0.1, 0.12, 0.11)}
    theirs = {"clean": (0.9, 0.91, 0.92), "fog/2": (0.7, 0.7, 0.7), "linf 0.1, PGD": (0.5, 0.51, 0.5)}
    found = headline(sweep(tmp_path, {"a": ours, "b": theirs}, 3))
    lead, text = found[-1]
    assert lead == "Prefer a, but b against attacks"
    assert "Under attack (linf 0.1) it is 39.3 points below b" in text
    assert "No model is better on clean inputs." in text
    assert found[0][0] == "Fog hurts most"
    assert "Under attack (linf 0.1): the accuracy of a falls from 91.0 % on clean inputs to 11.0 %" in found[1][1]


def test_two_seeds_are_too_few_to_prefer_a_model(tmp_path):
    values = {"a": {"clean": (0.9, 0.9), "fog/2": (0.8, 0.8)}, "b": {"clean": (0.9, 0.9), "fog/2": (0.7, 0.7)}}
    lead, text = headline(sweep(tmp_path, values, 2))[-1]
    assert lead == "No model is clearly best"
    assert "too few seeds" in text


@pytest.mark.parametrize("apart", [1, 2])
def test_with_at_most_one_seed_in_common_there_is_no_interval(tmp_path, apart):
    values = {"a": {"clean": (0.9, 0.9), "fog/2": (0.8, 0.8)}, "b": {"clean": (0.9, 0.9), "fog/2": (0.7, 0.75)}}
    scores = sweep(tmp_path, values, 2, apart=apart)
    fog = next(each for each in scores.groups if each.name == "fog")
    gap = scores.difference((0, fog), (1, fog))
    assert gap is None if apart == 2 else (round(gap.value, 6), gap.low, gap.seeds) == (0.1, None, 1)
    lead, text = headline(scores)[-1]
    assert lead == "No model is clearly best"
    assert ("no seed in common with b" if apart == 2 else "10.0 points more than b (no interval)") in text


def test_models_under_conditions_of_their_own_are_not_ranked(tmp_path):
    values = {"a": {"Gaussian std=0.1": (0.8,)}, "b": {"Gaussian std=0.5": (0.3,)}}
    found = headline(sweep(tmp_path, values, 1))
    assert not any(lead.startswith("Prefer") for lead, _ in found)


def test_an_error_of_a_regression_has_no_headline(tmp_path):
    known = {"rmse": Measure(name="rmse", column="error", words="error", topic=ACCURACY, better="lower")}
    write_rows(tmp_path / "rows.jsonl", [Row(measure="rmse", condition="clean", value=0.3, count=10)], known)
    (tmp_path / "config.yaml").write_text("name: net\nseed: 0\n")
    assert headline(scores_of(tmp_path)) == []


def test_classes_that_are_hardly_recognised_on_clean_inputs_are_named(keep_run, tmp_path):
    wrong = [3 if each == 1 else each for each in LABEL]  # class b is never right
    keep_run(tmp_path / "net", {"clean": wrong, "fog/3": answers(0.6)}, label=LABEL, classes=CLASSES)
    (found,) = [text for _, text in headline(scores_of(tmp_path)) if "on clean inputs, net" in text]
    assert "this class: b (0 % of 100 samples)." in found


def test_a_class_of_few_samples_is_not_called_weak_by_chance(keep_run, tmp_path):
    label = [0] * 200 + [1] * 3
    keep_run(tmp_path / "net", {"clean": [0] * 202 + [1]}, label=label, classes=("a", "b"))
    assert not any("less than half" in text for _, text in headline(scores_of(tmp_path)))
