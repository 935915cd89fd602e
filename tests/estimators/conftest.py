"""Small tables, and settings that train on them in a tenth of a second."""

import numpy as np
import pytest

SMALL = {"hidden": (16,), "epochs": 8, "batch_size": 32, "lr": 0.01, "device": "cpu"}


@pytest.fixture
def small() -> dict:
    """Settings of a training that takes a moment."""
    return dict(SMALL)


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """120 rows of 4 features in units far apart, in three classes that overlap a little."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    centres = np.array([[0, 0, 1, 0], [2, 0, 0, 1], [0, 2, 0, 0]])
    return (centres[y] + 0.7 * rng.normal(size=(120, 4))) * [1, 100, 0.01, 5] + [0, 1000, 3, -7], y


@pytest.fixture(scope="session")
def curve() -> tuple[np.ndarray, np.ndarray]:
    """120 rows of 3 features, and a smooth function of them in units of its own."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 3)) * [1, 50, 0.1]
    return x, 1000 + 30 * (x[:, 0] + np.sin(x[:, 1] / 50)) + rng.normal(size=120)
