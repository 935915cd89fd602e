"""95 % confidence intervals of means, shares, quantiles and what is computed from sums."""

from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.95
QUANTILE = 1.959963984540054  # of the standard normal distribution, at (1 + LEVEL) / 2
REPLICATES = 400  # of a bootstrap
AT_ONCE = 2**22  # numbers that a bootstrap holds in memory

Interval = tuple[float, float]


def normal(value: float, error: float) -> Interval:
    """Return value -+ 1.96 standard errors.

    Example:
        >>> normal(5.0, 1.0)
        (3.040036015459946, 6.959963984540054)
    """
    return value - QUANTILE * error, value + QUANTILE * error


def student(count: int) -> float:
    """Return the half width of the interval of a mean by Student's t, in standard errors.

    Args:
        count: Number of values, at least 2.

    Example:
        >>> round(student(3), 4)
        4.3027
    """
    # What `scipy.stats.t.ppf` calls; its own module takes much longer to import.
    from scipy.special import stdtrit

    return float(stdtrit(count - 1, (1 + LEVEL) / 2))


def wilson(share: float, count: float) -> Interval:
    """Return Wilson's interval of a share of independent 0/1 outcomes.

    Args:
        share: Share of ones, 0 to 1.
        count: Number of outcomes, > 0.

    Source:
        Wilson 1927, J. Am. Stat. Assoc. 22, 209.

    Example:
        >>> [round(each, 4) for each in wilson(0.9, 100)]
        [0.8256, 0.9448]
    """
    square = QUANTILE**2 / count
    centre = (share + square / 2) / (1 + square)
    half = QUANTILE / (1 + square) * sqrt(max(0.0, share * (1 - share)) / count + square / (4 * count))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def exact(hits: int, count: int) -> Interval:
    """Return the exact interval of a share of independent 0/1 outcomes: it holds at any true share, never too narrow.

    Args:
        hits: Number of ones.
        count: Number of outcomes, > 0.

    Source:
        Clopper, Pearson 1934, Biometrika 26, 404.

    Example:
        >>> [round(each, 4) for each in exact(90, 100)]
        [0.8238, 0.951]
    """
    tail = (1 - LEVEL) / 2
    return float(lower_bounds(hits, count, tail)), 1 - float(lower_bounds(count - hits, count, tail))


def lower_bounds(hits: "np.ndarray | int", count: int, alpha: float) -> "np.ndarray":
    """Return lower bounds of probabilities from hits among independent draws: one-sided, exact.

    Args:
        hits: Numbers of hits, 0 to the count.
        count: Number of draws, at least 1.
        alpha: Probability that a bound is too high, at most.

    Source:
        Clopper, Pearson 1934, Biometrika 26, 404.

    Example:
        >>> lower_bounds(100, 100, 0.001).round(4), lower_bounds(0, 100, 0.001)
        (np.float64(0.9333), np.float64(0.0))
    """
    import numpy as np
    from scipy.special import betaincinv

    # No hits have the bound 0, for which the distribution is not defined.
    found = betaincinv(np.maximum(hits, 1), count - np.maximum(hits, 1) + 1, alpha)
    return np.where(np.equal(hits, 0), 0.0, found)[()]


def share(value: float, error: float, count: float) -> Interval:
    """Return an interval of the mean of values in [0, 1], of which the standard error is known.

    It is Wilson's for the number of 0/1 outcomes whose mean would have this standard error: near the normal
    approximation for many samples, within [0, 1], and not empty where all samples agree.

    Args:
        value: The mean, 0 to 1.
        error: Its standard error; 0 takes the count.
        count: Number of samples.

    Source:
        Korn, Graubard 1998, Survey Methodology 24, 193: the effective sample size, here within Wilson's interval.

    Example:
        >>> share(0.9, 0.03, 100) == wilson(0.9, 0.9 * 0.1 / 0.03**2)
        True
    """
    spread = value * (1 - value)
    return wilson(value, spread / error**2 if error > 0 and spread > 0 else count)


def order_statistics(count: int, quantile: float) -> tuple[int, int] | None:
    """Return the places (from 0) of the ordered values between which a quantile lies; None for too few values.

    The number of values below the quantile is binomial, whatever their distribution.

    Args:
        count: Number of values.
        quantile: 0 to 1, both excluded.

    Source:
        David, Nagaraja 2003, Order Statistics, section 7.1.

    Example:
        >>> order_statistics(100, 0.5), order_statistics(5, 0.5)
        ((39, 60), None)
    """
    import numpy as np
    from scipy.special import bdtr

    below = bdtr(np.arange(count + 1), count, quantile)
    first, last = (int(np.searchsorted(below, (1 + side * LEVEL) / 2)) for side in (-1, 1))
    return (first - 1, last) if first > 0 and last < count else None


def percentiles(values: "np.ndarray") -> Interval:
    """Return the interval of bootstrapped values: their 2.5 % and 97.5 % quantiles."""
    import numpy as np

    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def resampled_means(values: "np.ndarray", replicates: int = REPLICATES) -> "np.ndarray":
    """Return means of the rows of a matrix under a bootstrap of the rows; the same every time.

    Args:
        values: (sample, column).
        replicates: How many.

    Returns:
        (replicate, column).
    """
    import numpy as np

    rng = np.random.default_rng(0)
    count = len(values)
    step = max(1, AT_ONCE // count)
    parts = []
    for start in range(0, replicates, step):
        size = min(step, replicates - start)
        drawn = rng.integers(count, size=(size, count), dtype=np.int32)
        drawn += count * np.arange(size, dtype=np.int64)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        parts.append(times @ values / count)
    return np.concatenate(parts)
