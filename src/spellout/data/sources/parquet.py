"""Parquet: tables in columns, read by the library pyarrow, a batch of rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count
from typing import BinaryIO

from ...errors import DataError
from ...optional import require
from .columns import ROWS_AT_ONCE, Chosen, choose, lines_of
from .config import STREAM, SourceConfig

MARK = b"PAR1"
"""How such a file begins."""


def lines_of_parquet(path: str, file: BinaryIO, name: str, config: SourceConfig) -> Iterator[str]:
    """Yield blocks of the lines in a column. `DataError` says what is wrong with the file."""
    if not config.table:
        raise DataError(f"{name} is a table in Parquet: name the column of the lines with --column")
    require("pyarrow", "reading Parquet")
    import pyarrow
    import pyarrow.parquet

    try:
        # Standard input cannot be read from its end, where such a file says what is in it.
        with pyarrow.parquet.ParquetFile(io.BytesIO(file.read()) if path == STREAM else path) as table:
            names = table.schema_arrow.names
            chosen = choose(config, names, len(names), name)
            wanted, numbers = [names[place] for place in chosen.places], count(1)
            places = Chosen(0, None if chosen.label is None else 1)
            for batch in table.iter_batches(ROWS_AT_ONCE, columns=wanted):
                rows = zip(*(batch.column(one).to_pylist() for one in wanted), strict=True)
                yield from lines_of(((next(numbers), row) for row in rows), places, config, name, "row")
    except pyarrow.ArrowException as error:
        why = str(error).split("\n")[0][:80]
        raise DataError(f"{name} is damaged, or no table in Parquet ({why}); get the file again") from None
