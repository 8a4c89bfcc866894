"""Lines of CSV that a spreadsheet takes for text, whatever names other people gave their files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

_FORMULA = re.compile(
    r"""
    ^(?=[\t\r\n])                                 # a cell that begins so is trimmed, and read again
    | (?:^ | [,;|\t\r\n"])[\s"']{0,16}(?=[=+\-@\uff1d\uff0b\uff0d\uff20])  # or split once more, at another separator
    """,
    re.VERBOSE,
)


def csv_line(values: Iterable[object], end: str = "\n") -> str:
    """One line; numbers stay numbers, and no text begins like a formula, nor does a part of one behind a separator."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerow([harmless(value) for value in values])
    return text.getvalue()


def harmless(value: object) -> object:
    """A text with `'` before what a spreadsheet would calculate; anything else as it is."""
    return _FORMULA.sub(r"\g<0>'", value) if isinstance(value, str) else value
