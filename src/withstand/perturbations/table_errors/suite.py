"""All errors in tables, with their default fields."""

from withstand.data.tables.features import Features
from withstand.errors import InputError
from withstand.perturbations.base import Perturbation
from withstand.perturbations.table_errors.category_typos import CategoryTypos
from withstand.perturbations.table_errors.missing_values import MissingValues
from withstand.perturbations.table_errors.outliers import Outliers
from withstand.perturbations.table_errors.rounding import Rounding
from withstand.perturbations.table_errors.sensor_drift import SensorDrift
from withstand.perturbations.table_errors.swapped_columns import SwappedColumns
from withstand.perturbations.table_errors.table_error import cells_of
from withstand.perturbations.table_errors.unit_mistakes import UnitMistakes

ALL = (MissingValues, CategoryTypos, UnitMistakes, Rounding, SwappedColumns, SensorDrift, Outliers)


def table_errors(features: Features | None) -> list[Perturbation]:
    """Return the errors that a table can have: typos need categories, most others columns of numbers.

    Raises:
        InputError: If the inputs are not rows of a table.
    """
    if features is None:
        raise InputError("on: table-errors needs a table whose columns are known, got other inputs.")
    known = cells_of(features)
    return [error() for error in ALL if len(error().chosen(known)) >= error.fewest]
