"""All doors by name, each with its weight."""

from fuzzing.calls import configurations, estimators, functions, results
from fuzzing.case import Door
from fuzzing.doors import DOORS
from fuzzing.tables import tables

EVERY_DOOR: dict[str, tuple[int, Door]] = {
    **DOORS,
    "Python functions": (20, functions),
    "Python configurations": (16, configurations),
    "Python estimators": (10, estimators),
    "Python results": (4, results),
    "Python tables": (12, tables),
}
