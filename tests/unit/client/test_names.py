"""Formats are named as files are."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.app import app
from facet_client.names import FormatName


@pytest.mark.parametrize("word", ["jpg", "JPG", "jpeg", "Jpeg"])
def test_jpg_is_jpeg(word: str) -> None:
    assert FormatName(word) is FormatName.JPEG


def test_other_words_are_no_format() -> None:
    with pytest.raises(ValueError, match="gif"):
        FormatName("gif")


def test_command_takes_jpg_and_names_the_formats_where_it_is_none() -> None:
    refused = CliRunner().invoke(app, ["anonymize", "a.jpg", "-o", "b.jpg", "--format", "gif"])
    assert refused.exit_code == 2
    assert "not one of jpeg, png, webp" in refused.output
    taken = CliRunner().invoke(app, ["anonymize", "absent.jpg", "-o", "b.jpg", "--format", "jpg"])
    assert "--format" not in taken.output
