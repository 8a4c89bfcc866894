"""Which request ids are taken from callers."""

from __future__ import annotations

import re

import pytest

from services.chassis.rpc.request_id import accept

MADE = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "proposed", ["a", "4f1c2e9a", "Root=1-67891233-abcdef012345678912345678", "a/b+c=@d:e._-", "x" * 128]
)
def test_harmless_id_is_taken(proposed: str) -> None:
    assert accept(proposed) == proposed


@pytest.mark.parametrize(
    "proposed",
    [
        None,
        "",
        "x" * 129,
        "two words",
        "line\nbreak",
        "a\n",
        "tab\t",
        'quote"',
        "<script>",
        "ümlaut",
        "nul\0",
        "{}",
        "%0a",
    ],
)
def test_anything_else_is_replaced_by_a_new_id(proposed: str | None) -> None:
    assert MADE.fullmatch(accept(proposed))


def test_made_ids_differ() -> None:
    assert len({accept(None) for _ in range(100)}) == 100
