import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withstand.conditions import CORRUPTIONS, EXTRAS, IMAGENET_C, NOISE, Cell, parse_cell, severities_of
from withstand.errors import InputError
from withstand.study.measures.corruption_error import (
    ALEXNET_CLEAN_ERROR,
    ALEXNET_ERRORS,
    ALEXNET_MEANS,
    CorruptionErrors,
    corruption_errors,
)
from withstand.study.measures.row import Row

# Top-1 accuracy in percent, mean over the severities, and CE, of ResNet-50s; then their mCE, and the accuracies with and
# without noise.
# Source: Rusak et al. 2020, arXiv 2001.06057; the mCE without noise follows from the CEs.
PUBLISHED = {
    "vanilla": (
        "29.3/79.8 27.0/81.6 23.8/82.6 38.8/74.7 26.8/88.6 38.7/78.0 36.2/79.9 32.5/77.8 38.1/74.8 45.8/66.1 68.0/56.6 "
        "39.1/71.4 45.2/84.8 44.8/76.9 53.4/76.8",
        (76.70, 75.55, 39.17, 42.29),
    ),
    "speckle": (
        "54.9/50.9 58.1/46.9 49.0/55.2 42.5/70.1 31.6/82.7 39.9/76.5 36.5/79.6 34.0/76.1 41.2/71.1 45.5/66.5 68.0/56.7 "
        "40.6/69.6 47.0/82.1 48.7/71.5 57.9/69.4",
        (68.33, 72.66, 46.36, 44.45),
    ),
    "Gaussian": (
        "59.2/46.0 59.3/45.5 56.8/46.9 46.7/65.1 37.8/75.3 43.6/71.8 41.2/73.6 35.3/74.6 43.8/68.0 43.6/68.8 67.8/57.0 "
        "39.3/71.1 49.6/78.0 54.8/62.9 61.9/62.8",
        (64.50, 69.09, 49.38, 47.12),
    ),
    "ANT": (
        "64.8/39.7 65.7/38.3 64.0/39.1 47.0/64.6 37.0/76.3 43.3/72.1 40.6/74.5 36.7/73.0 45.5/65.9 44.2/68.1 69.7/53.7 "
        "42.1/67.8 48.9/79.1 54.6/63.2 62.4/62.0",
        (62.51, 68.37, 51.09, 47.66),
    ),
    "ANT+SIN": (
        "64.5/40.1 65.0/39.1 63.5/39.6 46.5/65.3 37.5/75.6 45.8/68.9 39.2/76.1 42.1/66.8 46.9/64.3 49.0/62.3 68.9/55.1 "
        "46.5/62.7 50.2/77.0 57.4/59.3 60.1/65.8",
        (61.20, 66.60, 52.20, 49.18),
    ),
}
ALEXNET = {name: dict(enumerate(errors, start=1)) for name, errors in ALEXNET_ERRORS.items()}
MEANS = (
    "mean_corruption_error",
    "mean_corruption_error_without_noise",
    "mce_alexnet",
    "mce_alexnet_without_noise",
    "relative_mce_alexnet",
    "relative_mce_alexnet_without_noise",
)


def rows(errors, *, clean=None, measure="top1", saved="", count=50_000):
    """Return rows from an error per corruption and severity."""
    cells = {
        Cell(name, severity, saved).condition: each for name, own in errors.items() for severity, each in own.items()
    }
    cells |= {} if clean is None else {"clean": clean}
    return [Row(measure=measure, condition=name, value=1 - each, count=count) for name, each in cells.items()]


def random_errors(seed):
    rng = random.Random(seed)
    return {name: {severity: rng.random() for severity in range(1, 6)} for name in IMAGENET_C}


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_accuracies_give_the_published_errors(model):
    text, (mce, mce_without_noise, top1, top1_without_noise) = PUBLISHED[model]
    pairs = [tuple(map(float, each.split("/"))) for each in text.split()]
    published = dict(zip(IMAGENET_C, pairs, strict=True))
    found = CorruptionErrors(errors={name: 1 - accuracy / 100 for name, (accuracy, _) in published.items()})
    for name, (_, ce) in published.items():
        # Half a unit of the accuracy's last digit, divided by AlexNet's error, and half a unit of the CE's.
        assert 100 * found.ce_alexnet[name] == pytest.approx(ce, abs=0.05 / ALEXNET_MEANS[name] + 0.05)
    assert 100 * found.mce_alexnet == pytest.approx(mce, abs=0.02)
    assert 100 * found.mce_alexnet_without_noise == pytest.approx(mce_without_noise, abs=0.02)
    assert 100 - 100 * found.mean_corruption_error == pytest.approx(top1, abs=0.02)
    assert 100 - 100 * found.mean_corruption_error_without_noise == pytest.approx(top1_without_noise, abs=0.02)


def test_the_constants_are_those_that_papers_divide_by():
    means = (
        "0.886428 0.894468 0.922640 0.819880 0.826268 0.785948 0.798360 0.866816 0.826572 0.819324 0.564592 0.853204 "
        "0.646056 0.717840 0.606500"
    )
    assert list(ALEXNET_MEANS) == list(IMAGENET_C)
    assert list(ALEXNET_MEANS.values()) == pytest.approx([float(each) for each in means.split()], abs=1e-12)
    assert sum(ALEXNET_MEANS.values()) / 15 == pytest.approx(0.788993, abs=5e-7)


def test_alexnet_itself_has_errors_of_one():
    found = corruption_errors(rows(ALEXNET, clean=ALEXNET_CLEAN_ERROR))
    assert [*found.ce_alexnet.values(), *found.relative_ce_alexnet.values()] == pytest.approx([1] * 30)
    for name in MEANS[2:]:
        assert getattr(found, name) == pytest.approx(1)
    assert found.mean_corruption_error == pytest.approx(0.788993, abs=5e-7)
    assert found.missing == ()


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_ce_is_the_ratio_of_sums_and_mce_the_mean_of_ratios(seed, clean):
    errors = random_errors(seed)
    found = corruption_errors(rows(errors, clean=clean))
    assert found.clean_error == pytest.approx(clean)
    for name, own in errors.items():
        assert found.errors[name] == pytest.approx(sum(own.values()) / 5)
        assert found.ce_alexnet[name] == pytest.approx(sum(own.values()) / sum(ALEXNET_ERRORS[name]))
        added = sum(each - clean for each in own.values())
        added_to_alexnet = sum(each - ALEXNET_CLEAN_ERROR for each in ALEXNET_ERRORS[name])
        assert found.relative_ce_alexnet[name] == pytest.approx(added / added_to_alexnet)
    for mean, values in zip(MEANS[::2], (found.errors, found.ce_alexnet, found.relative_ce_alexnet), strict=True):
        noise, others = (
            [values[name] for name in IMAGENET_C if (name in NOISE) == is_noise] for is_noise in (True, False)
        )
        assert (len(noise), len(others)) == (3, 12)
        assert getattr(found, mean) == pytest.approx((sum(noise) + sum(others)) / 15)
        assert getattr(found, f"{mean}_without_noise") == pytest.approx(sum(others) / 12)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_share_of_the_errors_is_that_share_of_mce(seed, share):
    errors = random_errors(seed)
    less = {name: {severity: share * each for severity, each in own.items()} for name, own in errors.items()}
    whole, part = (corruption_errors(rows(each)) for each in (errors, less))
    assert part.mce_alexnet == pytest.approx(share * whole.mce_alexnet, abs=1e-9)
    assert min(whole.ce_alexnet.values()) <= whole.mce_alexnet <= max(whole.ce_alexnet.values())


@given(st.permutations(range(76)))
def test_the_order_of_the_rows_does_not_matter(order):
    every = rows(random_errors(0), clean=0.3)
    found, expected = corruption_errors([every[each] for each in order]), corruption_errors(every)
    assert found == expected
    assert list(found.errors) == list(IMAGENET_C)


def test_a_corruption_without_all_severities_does_not_count():
    errors = random_errors(0)
    del errors["fog"][3]
    found = corruption_errors(rows(errors, clean=0.3))
    assert found.missing == ("fog/3",)
    assert list(found.errors) == [name for name in IMAGENET_C if name != "fog"]
    assert {getattr(found, name) for name in MEANS} == {None}


def test_without_noise_only_the_means_without_noise_are_known():
    errors = {name: own for name, own in random_errors(0).items() if name not in NOISE}
    found = corruption_errors(rows(errors, clean=0.3))
    assert [getattr(found, name) is None for name in MEANS] == [True, False] * 3
    assert found.missing == tuple(f"{name}/{severity}" for name, severity in product(NOISE, range(1, 6)))


def test_a_cell_with_fewer_samples_does_not_count_unless_it_is_few_fewer():
    every = rows(random_errors(0))
    for count, missing in ((49_500, ()), (49_499, ("shot_noise/2",)), (1, ("shot_noise/2",))):
        changed = [
            Row(measure="top1", condition=row.condition, value=row.value, count=count)
            if row.condition == "shot_noise/2"
            else row
            for row in every
        ]
        found = corruption_errors(changed)
        assert found.missing == missing
        assert (found.mce_alexnet is None) == bool(missing)
        assert found.mce_alexnet_without_noise == corruption_errors(every).mce_alexnet_without_noise


def test_other_conditions_and_measures_do_not_enter():
    every = rows(random_errors(0), clean=0.3)
    others = [
        *rows({name: {1: 0.9, 2: 0.9} for name in (*EXTRAS, "frost-procedural")}, count=10**6),
        *rows(random_errors(1), saved="+jpeg"),
        *rows(random_errors(2), clean=0.1, measure="top5"),
        *rows({"rain": {1: 0.5}}),
        Row(measure="top1", condition="Gaussian std=0.5", value=0.0, count=10**6),
        Row(measure="top1", condition="clean+jpeg", value=0.0, count=10**6),
    ]
    assert corruption_errors([*others, *every]) == corruption_errors(every)
    assert (
        corruption_errors([*others, *every], saved="+jpeg").errors == corruption_errors(rows(random_errors(1))).errors
    )


def test_extra_corruptions_have_no_corruption_error():
    with pytest.raises(InputError, match="saturate is not one of the 15 corruptions"):
        CorruptionErrors(errors={"saturate": 0.5})


def test_top5_errors_are_divided_by_nothing():
    found = corruption_errors(rows(random_errors(0), clean=0.3, measure="top5"), measure="top5")
    assert found.mean_corruption_error == corruption_errors(rows(random_errors(0))).mean_corruption_error
    assert not found.ce_alexnet
    assert not found.relative_ce_alexnet
    assert {getattr(found, name) for name in MEANS[2:]} == {None}


def test_without_clean_rows_nothing_is_relative():
    found = corruption_errors(rows(random_errors(0)))
    assert found.clean_error is None
    assert not found.relative_ce_alexnet
    assert (found.relative_mce_alexnet, found.relative_mce_alexnet_without_noise) == (None, None)


def test_no_rows_give_no_errors():
    found = corruption_errors([])
    assert not found.errors
    assert len(found.missing) == 75
    assert {getattr(found, name) for name in MEANS} == {None}


def test_two_rows_of_one_condition_are_refused():
    with pytest.raises(InputError, match=r"expected one row of top1 under fog/1, got two\."):
        corruption_errors(rows({"fog": {1: 0.5}}) * 2)


@pytest.mark.parametrize("saved", ["", "+jpeg"])
def test_cells_are_written_and_read_alike(saved):
    for name, severity in product(CORRUPTIONS, range(1, 6)):
        cell = Cell(name, severity, saved)
        assert parse_cell(cell.condition) == (cell if severity in severities_of(name) else None)


@pytest.mark.parametrize(
    "condition", ["clean", "clean+jpeg", "fog", "fog/0", "fog/6", "fog/13", "rain/1", "fog/1/2", "+jpeg/1"]
)
def test_what_is_no_cell_is_not_read_as_one(condition):
    assert parse_cell(condition) is None
