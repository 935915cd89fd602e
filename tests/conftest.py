"""Shape and type checks at run time, and what many tests share.

The import hook below must be in place before the first import of the package: it adds jaxtyping's checks, with beartype
for everything else, to the functions of the four folders whose promises are shapes.
"""

import itertools
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import Request, urlopen

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import settings

CHECKED = ("functional", "perturbations", "objectives", "evaluation")
MOST_CHECKS = 1000  # of shapes and types, in one test
_checks = itertools.count()

# Of a list beartype checks one item at random: with a generator of its own, so that tests see who uses the global one.
_shared, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import BeartypeConf, beartype  # noqa: E402

random.getrandbits = _shared


def check(function: Callable) -> Callable:
    """Check a function's arguments, but not the fields of a dataclass: those have checks and messages of their own."""
    if function.__name__ == "__init__":
        return function
    checked = beartype(conf=BeartypeConf(is_pep484_tower=True))(function)

    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        if next(_checks) == MOST_CHECKS:
            jaxtyping.config.update("jaxtyping_disable", True)
        return checked(*args, **kwargs)

    return counted


@pytest.fixture(autouse=True)
def _first_calls_are_checked() -> None:
    """Check the first calls of a test, not the thousands of its loops: they took three quarters of the time of attacks."""
    global _checks
    _checks = itertools.count()
    jaxtyping.config.update("jaxtyping_disable", False)


# The hook writes the checker's name into what it compiles, so the name must lead to this function from anywhere.
sys.modules["shape_checking"] = ModuleType("shape_checking")
sys.modules["shape_checking"].check = check  # type: ignore[attr-defined]
for _module in [name for name in sys.modules if name.startswith("withstand.")]:
    assert _module.split(".")[1] not in CHECKED, f"{_module} was imported before its checks were installed"
jaxtyping.install_import_hook([f"withstand.{each}" for each in CHECKED], "shape_checking.check")

settings.register_profile("withstand", derandomize=True, deadline=None, max_examples=30, database=None)
settings.load_profile("withstand")


# The tensors of tests are small: a second thread costs more than it gives, above all where tests run side by side.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real data sets."""
    if not os.environ.get("WITHSTAND_DATA"):
        pytest.skip("WITHSTAND_DATA names no folder of data sets")
    return Path(os.environ["WITHSTAND_DATA"])


@pytest.fixture(scope="session")
def frost_textures() -> list:
    """The published textures of frost; no test downloads them."""
    from withstand.data.frost_textures import read_frost_textures
    from withstand.errors import InputError

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WITHSTAND_OFFLINE", "1")
        try:
            return read_frost_textures()
        except InputError as error:
            pytest.skip(str(error))


@pytest.fixture
def no_frost_textures(tmp_path, monkeypatch) -> None:
    """A machine without the published textures of frost: neither in files nor in memory, where earlier tests left them."""
    from withstand.perturbations.corruptions.imagenet_c import frost

    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "no-data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    frost._stack.cache_clear()
    frost._read_or_make.cache_clear()


@pytest.fixture
def tiny_split():
    """Twenty images of 3 x 8 x 8 in three classes, with sample numbers that are not their places."""
    from withstand.data.base import TensorSplit

    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (20, 3, 8, 8), generator=generator, dtype=torch.uint8)
    y = torch.randint(0, 3, (20,), generator=generator)
    return TensorSplit(x, y, classes=("a", "b", "c"), box=(0.0, 1.0), numbers=torch.arange(20) * 7 + 3)


@pytest.fixture
def tiny_model():
    """A model of the package for the tiny split."""
    from withstand.models.mlp import MLP

    return MLP(hidden=(8,)).build((3, 8, 8), 3, seed=0)


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """An empty store with a bucket `bucket`, on a local server that speaks S3 and that the environment leads to."""
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs, of the extra `remote`")
    moto = pytest.importorskip("moto.server", reason="needs moto[server], of the extra `dev`")
    from withstand.reading import listings

    def forget() -> None:
        """Drop the connections of fsspec, which would lead to the server of an earlier test."""
        s3fs.S3FileSystem.clear_instance_cache()
        listings.forget()

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    address = "http://{}:{}".format(*running.get_host_and_port())
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()  # all servers of a process share one content
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", address)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
            patch.delenv(name, raising=False)
        forget()
        found = s3fs.S3FileSystem()
        found.mkdir("bucket")
        yield found
        forget()
    running.stop()


@pytest.fixture
def untouched_generators() -> Callable[[], Any]:
    """A context that fails if anything within draws from, or seeds, a global generator."""
    return _untouched_generators


@contextmanager
def _untouched_generators() -> Iterator[None]:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    torch_state, numpy_state, python_state = before
    assert torch.equal(torch.get_rng_state(), torch_state), "torch's global generator was used"
    now = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(now[1], numpy_state[1]), "numpy's global generator was seeded"
    assert now[2:] == numpy_state[2:], "numpy's global generator was used"
    assert random.getstate() == python_state, "Python's global generator was used"


@pytest.fixture
def made_up_outcomes() -> Callable[..., Any]:
    """Makes the table of outcomes of a model from columns by condition."""
    return _made_up_outcomes


def _made_up_outcomes(
    columns: dict[str, dict[str, Any]],
    measures: Any,
    *,
    label: Any = None,
    identifier: Any = None,
    classes: tuple[str, ...] = ("no", "yes"),
    numbers: dict[str, dict[str, float]] | None = None,
    **fields: Any,
) -> Any:
    import polars

    from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable

    count = max(len(values) for own in columns.values() for values in own.values()) if any(columns.values()) else 0
    number = polars.Series(range(count), dtype=polars.UInt32)
    label = polars.Series([0] * count if label is None else label, dtype=polars.Int32)
    identifier = polars.Series([None] * count if identifier is None else identifier, dtype=polars.String)
    samples = polars.DataFrame({"number": number, "label": label, "identifier": identifier})
    conditions = tuple(
        ConditionOutcomes(
            condition=name,
            measures=tuple(measures[name] if isinstance(measures, dict) else measures),
            columns=polars.DataFrame({"number": number, **own} if own else {"number": number[:0]}),
            numbers=(numbers or {}).get(name, {}),
        )
        for name, own in columns.items()
    )
    samples = samples.select(polars.lit("").alias("source"), "number", "label", "identifier")
    return OutcomeTable(samples=samples, classes=classes, conditions=conditions, **fields)


class SixSamples:
    """Made-up answers of a model on two samples of each of three classes."""

    LABELS = (0, 0, 1, 1, 2, 2)
    NUMBERS = (3, 10, 17, 24, 31, 38)

    def outcomes(self, condition: str, predictions: Any, confidences: Any = (0.9,) * 6, correct: Any = None) -> Any:
        """Return outcomes in which a prediction of None is an output that is not finite."""
        import polars

        from withstand.study.measures.outcomes import ConditionOutcomes

        right = [one == other for one, other in zip(predictions, self.LABELS, strict=True)]
        columns = polars.DataFrame(
            {
                "number": polars.Series(self.NUMBERS, dtype=polars.UInt32),
                "prediction": polars.Series(predictions, dtype=polars.Int16),
                "confidence": polars.Series(confidences, dtype=polars.Float32),
                "correct": right if correct is None else correct,
            }
        )
        return ConditionOutcomes(condition=condition, measures=(), columns=columns)

    @property
    def clean(self) -> Any:
        """Outcomes without a mistake."""
        return self.outcomes("clean", self.LABELS)

    def table(self, *conditions: Any) -> Any:
        """Return the table of some outcomes."""
        import polars

        from withstand.study.measures.outcomes import OutcomeTable

        samples = polars.DataFrame(
            {
                "source": "",
                "number": polars.Series(self.NUMBERS, dtype=polars.UInt32),
                "label": polars.Series(self.LABELS, dtype=polars.Int32),
                "identifier": polars.Series([None] * 6, dtype=polars.String),
            }
        )
        return OutcomeTable(samples=samples, classes=("a", "b", "c"), conditions=conditions, data="Tiny", seed=5)


@pytest.fixture
def six() -> SixSamples:
    """Answers on six samples."""
    return SixSamples()


@pytest.fixture
def measured() -> Callable[..., dict]:
    """A function that asks a model one evaluation and returns the rows by measure and condition."""

    def rows(evaluation: Any, model: Any, split: Any, *, seed: int = 0, engine: Any = None) -> dict:
        from withstand.engine import Engine
        from withstand.measuring.ask import ask
        from withstand.measuring.question import Question
        from withstand.measuring.subject import Subject

        question = Question.of_evaluations(split, [evaluation], data="Test")
        subject = Subject(name="model", question=question, load=lambda: model)
        results = ask([subject], seed=seed, engine=engine or Engine(batch_size=7))
        return {(row.measure, row.condition): row for row in results.rows["model"]}

    return rows
