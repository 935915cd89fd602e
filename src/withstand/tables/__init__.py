"""Robustness of any fitted classifier to legal changes of a table's rows."""

from withstand.tables.comparison import Comparison as Comparison
from withstand.tables.comparison import compare as compare
from withstand.tables.fragile import Fragility as Fragility
from withstand.tables.fragile import fragility as fragility
from withstand.tables.robust import Robustness as Robustness
from withstand.tables.robust import robustness as robustness

__all__ = ["Comparison", "Fragility", "Robustness", "compare", "fragility", "robustness"]
