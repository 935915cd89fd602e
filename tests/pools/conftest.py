"""A plan for the tests of pools."""

import pytest
import yaml

from withstand.options import read_experiment
from withstand.sweeps.plan import read_plan

TOY = {"data": "toy", "data.num_train": 40, "data.num_test": 40, "model": "mlp", "epochs": 1}


@pytest.fixture
def source(tmp_path):
    """A sweep's file of four runs."""
    path = tmp_path / "try.yaml"
    path.write_text(yaml.safe_dump({"set": TOY, "vary": {"objective.fold.temperature": [0.1, 1.0]}, "seeds": 2}))
    return path


@pytest.fixture
def plan(source):
    """Its plan."""
    return read_plan(str(source), read_experiment)
