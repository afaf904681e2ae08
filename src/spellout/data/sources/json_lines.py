"""JSON lines: an object a line, of which a key or two are asked for."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import DataError
from .columns import Chosen, Row, lines_of, named
from .config import SourceConfig
from .text import with_ends


def lines_of_json(blocks: Iterable[tuple[int, str]], name: str, config: SourceConfig) -> Iterator[str]:
    """Yield blocks of the lines that stand under a key. `DataError` says what is wrong with the file, and where."""
    if config.column is None or not named(config):
        raise DataError(f"{name} is JSON lines, whose columns have names: name the key of the lines with --column")
    keys = [config.column, *([] if config.label is None else [config.label])]
    chosen = Chosen(0, None if config.label is None else 1)
    yield from lines_of(_rows(blocks, name, keys), chosen, config, name, "line")


def is_json_lines(begin: str) -> bool:
    """Say whether a text begins with an object that ends in the same line."""
    first = begin.lstrip().split("\n", 1)[0].strip()
    return first.startswith("{") and first.endswith("}")


def _rows(blocks: Iterable[tuple[int, str]], name: str, keys: list[str]) -> Iterator[Row]:
    for first, text in blocks:
        for number, line in enumerate(with_ends(text), first):
            if not line.strip():
                continue
            try:
                one = json.loads(line)
            except (ValueError, RecursionError) as error:
                why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
                raise DataError(f"{name}, line {number}: no JSON ({why}); each line must be an object") from None
            if not isinstance(one, dict):
                raise DataError(f"{name}, line {number}: JSON, but no object with keys; each line must be one")
            yield number, [_value(one, key, name, number) for key in keys]


def _value(one: dict[str, Any], key: str, name: str, number: int) -> Any:
    if key not in one:
        near = difflib.get_close_matches(key, one, n=1)
        hint = f"did you mean {near[0]}?" if near else f"its keys: {', '.join(one)[:200]}"
        raise DataError(f"{name}, line {number}: there is no key {key}; {hint}")
    return one[key]
