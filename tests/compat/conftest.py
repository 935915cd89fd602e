import numpy as np
import pytest


@pytest.fixture(autouse=True)
def seeded():
    """Numpy's global generator, from which the functions draw, has a fixed seed, and its state is restored."""
    state = np.random.get_state()
    np.random.seed(0)
    yield
    np.random.set_state(state)
