"""Rows of suites: values against the closed arithmetic of corruption errors, intervals against whole samples drawn again."""

from dataclasses import replace

import numpy as np
import polars
import pytest

from withstand.conditions import EXTRAS, IMAGENET_C, NOISE, SUITES, severities_of
from withstand.study.measures.corruption_error import corruption_errors
from withstand.study.measures.intervals import wilson
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.suites import CE, ERROR, MCE, MEAN_ERROR, RELATIVE_MCE, Suite, mean_condition, suite_rows

TOP1 = Measure(name="top1", column="correct", better="higher", percent=True, topic=ACCURACY)
TOP5 = Measure(name="top5", column="top5", better="higher", percent=True, topic=ACCURACY, primary=False)
CLASSES = tuple(map(str, range(1000)))
NUM = 300


def right(kinds, *, saved="+jpeg", severities=range(1, 6), seed=0):
    """Some samples are harder than others, under all cells."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=NUM)
    cells = {
        f"{kind}{saved}/{severity}": 0.2 * severity
        for kind in kinds
        for severity in severities
        if severity in severities_of(kind)
    }
    return {name: {"correct": rng.normal(size=NUM) + hard > level} for name, level in {"clean": -1, **cells}.items()}


@pytest.fixture
def imagenet(made_up_outcomes):
    columns = right((*IMAGENET_C, *EXTRAS))
    for own in columns.values():
        own["top5"] = own["correct"] | (np.arange(NUM) % 3 == 0)
    return made_up_outcomes(columns, [TOP1, TOP5], classes=CLASSES, shape=(3, 224, 224))


def found(table, rows=None):
    reduced = table.reduce()
    made = suite_rows(reduced.rows if rows is None else rows, reduced.measures, table)
    return {(row.measure, row.condition): row for row in made.rows}, made.measures


def test_values_are_those_of_the_closed_arithmetic(imagenet):
    own, measures = found(imagenet)
    rows = imagenet.reduce().rows
    expected = corruption_errors(rows, saved="+jpeg")
    for kind in IMAGENET_C:
        assert own[ERROR, f"{kind}+jpeg"].value == pytest.approx(expected.errors[kind])
        assert own[CE, f"{kind}+jpeg"].value == pytest.approx(expected.ce_alexnet[kind])
    for measure, name in ((MEAN_ERROR, "mean_corruption_error"), (MCE, "mce_alexnet"), (RELATIVE_MCE, RELATIVE_MCE)):
        assert own[measure, "15 corruptions+jpeg"].value == pytest.approx(getattr(expected, name))
        without = getattr(expected, f"{name}_without_noise")
        assert own[measure, "12 corruptions without noise+jpeg"].value == pytest.approx(without)
    cells = [row.value for row in rows if row.measure == "top5" and row.condition.partition("+")[0] in IMAGENET_C]
    assert own["top5", "corruptions+jpeg"].value == pytest.approx(np.mean(cells))
    assert own["top1", "corruptions+jpeg"].value == pytest.approx(1 - expected.mean_corruption_error)
    assert set(measures) == {"top1", "top5", ERROR, MEAN_ERROR, CE, MCE, RELATIVE_MCE}
    assert {each.better for name, each in measures.items() if name not in ("top1", "top5")} == {"lower"}


def drawn_again(table, statistic, replicates=400):
    """Return the 2.5 % and 97.5 % quantiles of a statistic of the cells under a bootstrap of whole samples."""
    rng = np.random.default_rng(5)
    cells = {own.condition: own.frame["correct"].to_numpy() for own in table.conditions}
    values = []
    for _ in range(replicates):
        chosen = rng.integers(NUM, size=NUM)
        values.append(statistic({name: each[chosen].mean() for name, each in cells.items()}))
    return np.quantile(values, (0.025, 0.975))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ((MEAN_ERROR, "15 corruptions+jpeg"), "mean_corruption_error"),
        ((MCE, "15 corruptions+jpeg"), "mce_alexnet"),
        ((MCE, "12 corruptions without noise+jpeg"), "mce_alexnet_without_noise"),
        ((RELATIVE_MCE, "15 corruptions+jpeg"), "relative_mce_alexnet"),
    ],
)
def test_intervals_are_those_of_whole_samples(imagenet, key, name):
    own = found(imagenet)[0][key]
    (row, *_) = imagenet.reduce().rows

    def statistic(cells):
        rows = [replace(row, condition=condition, value=value) for condition, value in cells.items()]
        return getattr(corruption_errors(rows, saved="+jpeg"), name)

    low, high = drawn_again(imagenet, statistic, replicates=200)
    assert (own.low, own.high) == pytest.approx((low, high), abs=0.15 * (high - low))
    # Cells of one sample are alike: as independent numbers they would give a much narrower interval.
    single = next(each for each in imagenet.reduce().rows if each.condition == "fog+jpeg/3")
    assert own.high - own.low > 2 * (single.high - single.low) / np.sqrt(75)


def test_the_interval_of_one_corruption_is_that_of_its_mean_per_sample(imagenet):
    own = found(imagenet)[0][ERROR, "fog+jpeg"]
    cells = [imagenet.frame(f"fog+jpeg/{severity}")["correct"].to_numpy() for severity in range(1, 6)]
    means = np.mean(cells, axis=0)
    error = means.std(ddof=1) / np.sqrt(NUM)
    assert (own.low, own.high) == pytest.approx((own.value - 1.96 * error, own.value + 1.96 * error), abs=0.1 * error)
    ratio = found(imagenet)[0][CE, "fog+jpeg"]
    scale = ratio.value / own.value
    assert (ratio.low, ratio.high) == pytest.approx((scale * own.low, scale * own.high))


def test_the_mean_of_one_cell_has_nearly_the_interval_of_the_cell(imagenet):
    suite = Suite(imagenet.reduce().rows, TOP1, imagenet)
    own, cell = suite.sum("top1", "x", {"clean": 1.0}), suite.rows["clean"]
    assert (own.value, own.low, own.high) == pytest.approx((cell.value, cell.low, cell.high), abs=1e-3)


def test_a_model_that_is_always_right_has_an_interval_of_its_mean(made_up_outcomes):
    table = made_up_outcomes({f"fog/{k}": {"correct": [True] * 50} for k in range(1, 6)}, [TOP1])
    own = found(table)[0]["top1", "corruptions"]
    assert (own.value, own.low, own.high) == pytest.approx((1.0, *wilson(1.0, 50)))


def test_samples_without_an_outcome_do_not_count(made_up_outcomes):
    columns = right(["fog"], saved="")
    part = {name: {"correct": own["correct"][:-1]} for name, own in columns.items()}
    holed = {name: {"correct": [*own["correct"][:-1], None]} for name, own in columns.items()}
    ours, theirs = (found(made_up_outcomes(each, [TOP1]))[0][ERROR, "fog"] for each in (holed, part))
    assert ours == replace(theirs, low=pytest.approx(theirs.low), high=pytest.approx(theirs.high))


def test_files_in_another_order_are_joined_by_identifier(imagenet):
    rng = np.random.default_rng(3)
    identifiers = np.array([f"{number}.png" for number in range(NUM)])
    samples, conditions = [], []
    for own in imagenet.conditions:
        order = rng.permutation(NUM)
        source = "" if own.condition == "clean" else own.condition
        number = polars.Series("number", range(NUM), dtype=polars.UInt32)
        samples.append(
            polars.DataFrame([number]).with_columns(
                source=polars.lit(source), label=polars.lit(0), identifier=polars.Series(identifiers[order])
            )
        )
        conditions.append(replace(own, columns=own.frame[order].with_columns(number), source=source))
    table = OutcomeTable(
        samples=polars.concat(samples), classes=CLASSES, conditions=tuple(conditions), shape=(3, 224, 224)
    )
    ours, theirs = found(table)[0], found(imagenet)[0]
    assert ours.keys() == theirs.keys()
    for key, row in ours.items():
        assert (row.low, row.high) == pytest.approx((theirs[key].low, theirs[key].high))


def test_a_corruption_without_all_severities_is_said(made_up_outcomes):
    columns = right(["fog", "snow"], saved="")
    del columns["snow/2"], columns["snow/3"]
    own, _ = found(made_up_outcomes(columns, [TOP1]))
    assert list(own) == [("top1", "corruptions (8 cells)"), (ERROR, "fog")]


def test_a_cell_with_fewer_samples_is_not_one_of_them(made_up_outcomes):
    table = made_up_outcomes(right(["fog", "snow"], saved=""), [TOP1])
    rows = [replace(row, count=290) if row.condition == "snow/1" else row for row in table.reduce().rows]
    assert list(found(table, rows)[0]) == [("top1", "corruptions (9 cells)"), (ERROR, "fog")]
    rows = [replace(row, count=298) if row.condition == "snow/1" else row for row in table.reduce().rows]
    assert list(found(table, rows)[0]) == [("top1", "corruptions"), (ERROR, "fog"), (ERROR, "snow")]


def test_extras_and_variants_are_not_in_the_mean(imagenet, made_up_outcomes):
    suite = Suite(imagenet.reduce().rows, TOP1, saved="+jpeg")
    assert suite.members == list(IMAGENET_C)
    assert mean_condition(suite) == "corruptions+jpeg"
    both = right(["frost", "frost-procedural", "spatter"], saved="")
    assert Suite(made_up_outcomes(both, [TOP1]).reduce().rows, TOP1).members == ["frost"]
    extras = right(["spatter"], saved="")
    assert Suite(made_up_outcomes(extras, [TOP1]).reduce().rows, TOP1).members == ["spatter"]


def test_errors_relative_to_alexnet_need_images_of_imagenet_saved_as_jpeg_and_the_published_frost(
    imagenet, made_up_outcomes
):
    def measures(table):
        return {measure for measure, _ in found(table)[0]}

    relative = {CE, MCE, RELATIVE_MCE}
    assert measures(imagenet) >= relative
    assert not measures(replace(imagenet, classes=CLASSES[:100])) & relative
    assert not measures(replace(imagenet, shape=(3, 64, 64))) & relative
    about = {"classes": CLASSES, "shape": (3, 224, 224)}
    assert not measures(made_up_outcomes(right(IMAGENET_C, saved=""), [TOP1], **about)) & relative
    procedural = ["frost-procedural" if kind == "frost" else kind for kind in IMAGENET_C]
    table = made_up_outcomes(right(procedural), [TOP1], **about)
    assert measures(table) & {MCE, RELATIVE_MCE, MEAN_ERROR} == set()
    without_clean = made_up_outcomes({k: v for k, v in right(IMAGENET_C).items() if k != "clean"}, [TOP1], **about)
    assert measures(without_clean) >= {CE, MCE}
    assert RELATIVE_MCE not in measures(without_clean)


def test_without_noise_only_the_means_without_noise_are_known(made_up_outcomes):
    kinds = [kind for kind in IMAGENET_C if kind not in NOISE]
    own, _ = found(made_up_outcomes(right(kinds, saved=""), [TOP1]))
    assert [condition for measure, condition in own if measure == MEAN_ERROR] == ["12 corruptions without noise"]


def test_rows_that_are_there_are_not_made_again(imagenet):
    reduced = imagenet.reduce()
    first = suite_rows(reduced.rows, reduced.measures, imagenet)
    again = suite_rows([*reduced.rows, *first.rows], reduced.measures | first.measures, imagenet)
    assert (again.rows, again.measures) == ([], {})


def test_rows_alone_give_the_same_values_without_intervals(imagenet):
    reduced = imagenet.reduce()
    alone = suite_rows(reduced.rows, reduced.measures).rows
    own = found(imagenet)[0]
    assert {(row.low, row.high) for row in alone} == {(None, None)}
    assert all(row.value == own[row.measure, row.condition].value for row in alone)
    assert {row.measure for row in alone} == {"top1", "top5", ERROR, MEAN_ERROR}


@pytest.mark.parametrize("suite", SUITES)
def test_another_suite_has_means_of_its_own_and_counts_in_no_other(made_up_outcomes, suite):
    kinds = SUITES[suite]
    table = made_up_outcomes(right((*IMAGENET_C, *kinds)), [TOP1], classes=CLASSES, shape=(3, 224, 224))
    plain = made_up_outcomes(right(IMAGENET_C), [TOP1], classes=CLASSES, shape=(3, 224, 224))
    own, bare = found(table)[0], found(plain)[0]
    rows = {row.condition: row.value for row in table.reduce().rows}
    errors = [1 - rows[f"{kind}+jpeg/{severity}"] for kind in kinds for severity in severities_of(kind)]
    assert own[MEAN_ERROR, f"{suite}+jpeg"].value == pytest.approx(np.mean(errors))
    assert own[MEAN_ERROR, f"{suite}+jpeg"].low < own[MEAN_ERROR, f"{suite}+jpeg"].high
    added = {key[1] for key in own.keys() - bare.keys()}
    assert added == {f"{suite}+jpeg", f"corruptions of {suite}+jpeg", *(f"{kind}+jpeg" for kind in kinds)}
    assert own["top1", f"corruptions of {suite}+jpeg"].value == pytest.approx(1 - np.mean(errors))
    assert {key: own[key].value for key in bare} == pytest.approx({key: row.value for key, row in bare.items()})


def test_c_bar_with_levels_for_another_size_leaves_the_means_of_imagenet_c(made_up_outcomes):
    kinds = SUITES["cifar10-c-bar"]
    table = made_up_outcomes(right((*IMAGENET_C, *kinds)), [TOP1], classes=CLASSES, shape=(3, 64, 64))
    conditions = tuple(
        replace(each, evaluation={"pixels": 32 if each.condition.partition("+")[0] in kinds else 64})
        for each in table.conditions
    )
    own, _ = found(replace(table, conditions=conditions))
    assert {(MEAN_ERROR, "15 corruptions+jpeg"), (MEAN_ERROR, "cifar10-c-bar+jpeg")} <= own.keys()
    mixed = tuple(
        replace(each, evaluation={"pixels": 224 if each.condition.startswith("ripple") else each.evaluation["pixels"]})
        for each in conditions
    )
    own, _ = found(replace(table, conditions=mixed))
    assert (MEAN_ERROR, "15 corruptions+jpeg") in own
    assert not [key for key in own if "bar" in key[1] or "ripple" in key[1]]


def test_a_run_under_c_bar_alone_has_its_mean(made_up_outcomes):
    table = made_up_outcomes(right(SUITES["cifar10-c-bar"], saved=""), [TOP1], shape=(3, 32, 32))
    own, _ = found(table)
    mean = own["top1", "corruptions of cifar10-c-bar"]
    assert mean.value == pytest.approx(1 - own[MEAN_ERROR, "cifar10-c-bar"].value)
    assert ("top1", "corruptions") not in own  # which is a mean over ImageNet-C


@pytest.mark.parametrize("others", [("fog",), SUITES["laion-c"], ("fog", *SUITES["laion-c"])])
def test_the_mean_over_a_suite_has_one_name_whatever_else_was_measured(made_up_outcomes, others):
    kinds = SUITES["cifar10-c-bar"]
    alone, _ = found(made_up_outcomes(right(kinds, saved=""), [TOP1], shape=(3, 32, 32)))
    own, _ = found(made_up_outcomes(right((*kinds, *others), saved=""), [TOP1], shape=(3, 32, 32)))
    of_suite = [each for each in own if each[0] == "top1" and each[1] == "corruptions of cifar10-c-bar"]
    assert len(of_suite) == 1
    assert own[of_suite[0]].value == pytest.approx(alone[of_suite[0]].value)
    assert (("top1", "corruptions") in own) == ("fog" in others)


def test_suites_with_parameters_for_other_sizes_leave_the_rows_relative_to_alexnet(made_up_outcomes):
    table = made_up_outcomes(right((*IMAGENET_C, *SUITES["mnist-c"])), [TOP1], classes=CLASSES, shape=(3, 224, 224))

    def with_pixels(of_imagenet_c):
        sizes = {True: 28, False: of_imagenet_c}
        return tuple(
            replace(each, evaluation={"pixels": sizes[each.condition.startswith("mnist_")]})
            for each in table.conditions
        )

    own, _ = found(replace(table, conditions=with_pixels(224)))
    assert {(MCE, "15 corruptions+jpeg"), (MEAN_ERROR, "mnist-c+jpeg")} <= own.keys()
    own, _ = found(replace(table, conditions=with_pixels(64)))
    assert not [key for key in own if key[0] == MCE]
