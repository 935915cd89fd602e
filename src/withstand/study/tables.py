"""All the tables that rows of results make."""

from collections.abc import Mapping, Sequence
from typing import Any

from withstand.study.ball_table import ball_rows, ball_table, recall_rows, recall_table
from withstand.study.lipschitz_table import lipschitz_rows, lipschitz_table
from withstand.study.row import Row
from withstand.study.table import Table, accuracy_rows, accuracy_table, noise_rows, noise_table


def tables(results: Mapping[str, Sequence[Row]], **accuracies: Any) -> list[Table]:
    """Return a table for every kind of measure there is.

    Args:
        results: Rows by model.
        **accuracies: What `accuracy_table` takes besides.

    Example:
        >>> row = Row(measure="top1", condition="clean", total=90.0, count=100)
        >>> [each.title for each in tables({"model": [row]})]
        ['Top-1 accuracy in percent, n = 100']
    """
    found = []
    if chosen := accuracy_rows(results):
        found.append(accuracy_table(chosen, **accuracies))
    kinds = ((ball_rows, ball_table), (recall_rows, recall_table), (noise_rows, noise_table))
    for rows_of, table_of in (*kinds, (lipschitz_rows, lipschitz_table)):
        if chosen := rows_of(results):
            found.append(table_of(chosen))
    return found
