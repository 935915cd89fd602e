"""CSV in which spreadsheets find no formulas."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

# The last four are the wide forms of the others, which some spreadsheets read alike.
FORMULA = "^[\t\r\n]|^\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def csv(frame: "polars.DataFrame") -> bytes:
    r"""Return a data frame as CSV, with a `'` before every text and name that a spreadsheet would run as a formula.

    That is text that begins with `=`, `+`, `-` or `@`, also in wide form and after blanks, or with a tab or line break,
    and is not a number. Parquet files hold it unchanged.

    Example:
        >>> import polars
        >>> print(csv(polars.DataFrame({"model": ["=1+1", "net", "-5"], "value": [-1.5, 2.0, 0.0]})).decode())
        model,value
        '=1+1,-1.5
        net,2.0
        -5,0.0
        <BLANKLINE>
    """
    import polars

    texts = [name for name, kind in frame.schema.items() if kind in (polars.String, polars.Categorical, polars.Enum)]
    guarded = []
    for name in texts:
        text = polars.col(name).cast(polars.String)
        is_formula = text.str.contains(FORMULA) & ~text.str.contains(NUMBER)
        guarded.append(polars.when(is_formula).then(polars.lit("'") + text).otherwise(text).alias(name))
    names = [f"'{each}" if re.search(FORMULA, each) else each for each in frame.columns]
    head = polars.DataFrame({str(place): [name] for place, name in enumerate(names)})
    return (head.write_csv(include_header=False) + frame.with_columns(guarded).write_csv(include_header=False)).encode()
