"""Runs with outcomes and pictures on disk, as `withstand evaluate` leaves them."""

import numpy as np
import polars
import pytest

from withstand.measuring.kept import Kept
from withstand.measuring.results import Results
from withstand.study.contents import CONFIG, OUTCOMES, ROWS
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.outcomes import ConditionOutcomes
from withstand.study.measures.row import write_rows
from withstand.study.pictures import PICTURES, encoded, pictured, wanted_pictures, write_pictures

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)


def keep_run(folder, answers, *, label, classes, confidence=None, shade=None, data="Digits", side=8):
    """Write a run.

    Args:
        folder: Of the run.
        answers: Predicted class of every sample, by condition.
        label: Class of every sample.
        classes: Their names.
        confidence: Of every answer, by condition; 0.9 by default.
        shade: Returns the grey of a sample's picture by condition and number; None for inputs that are no images.
        data: Name of the data set.
        side: Of a picture, in pixels.
    """
    count = len(label)
    number = polars.Series(range(count), dtype=polars.UInt32)
    kept = Kept(folder / OUTCOMES, data=data, seed=0, classes=classes, shape=(3, side, side))
    found = []
    for name, own in answers.items():
        sure = (confidence or {}).get(name, [0.9] * count)
        columns = {
            "number": number,
            "prediction": polars.Series(own, dtype=polars.Int16),
            "confidence": polars.Series(sure, dtype=polars.Float32),
            "correct": [one == other for one, other in zip(own, label, strict=True)],
        }
        found.append(ConditionOutcomes(condition=name, measures=(TOP1,), columns=polars.DataFrame(columns)))
    samples = {
        "number": number,
        "label": polars.Series(label, dtype=polars.Int32),
        "identifier": polars.Series([None] * count, dtype=polars.String),
    }
    kept.add(found, polars.DataFrame(samples), source="")
    results = Results({folder.name: kept.table})
    (folder / CONFIG).write_text(f"name: {folder.name}\nseed: 0\n")
    write_rows(folder / ROWS, results.rows[folder.name], results.measures)
    if shade is not None:
        write_pictures(
            folder / PICTURES,
            {
                pictured(kept.table.of(name), each): encoded(
                    np.zeros((side, side, 3), dtype=np.uint8) + np.uint8(shade(name, each))
                )
                for name, own in wanted_pictures(kept.table).items()
                for each in own
            },
        )


@pytest.fixture(name="keep_run", scope="session")
def _keep_run():
    """A function that writes a run; see `keep_run`."""
    return keep_run
