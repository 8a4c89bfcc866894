"""Sizes read as people say them, and one over a limit never reads like the limit."""

from __future__ import annotations

import pytest

from services.chassis.process.sizes import limit_text, size_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (2048, "2 KiB"),
        (2049, "2.1 KiB"),
        (64 * 1024**2, "64 MiB"),
        (64 * 1024**2 + 1, "64.1 MiB"),
    ],
)
def test_size_is_rounded_up(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("limit_bytes", "text"),
    [(64 * 1024**2, "64 MiB"), (195 * 1024, "195 KiB"), (200_000, "200000 bytes"), (100_000_000, "95.4 MiB")],
)
def test_limit_is_told_in_the_largest_whole_unit(limit_bytes: int, text: str) -> None:
    assert limit_text(limit_bytes) == text
