"""A network in a short number format is trusted only where it computes what it does in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from services.chassis.inference.soundness import disagreement

Values = NDArray[np.float32]
INPUTS = [np.arange(1, size, dtype=np.float32) for size in (4, 9)]
_dice = np.random.default_rng(0)


def exact(values: Values) -> list[Values]:
    return [values * 2, values + 1]


def no_numbers(values: Values) -> list[Values]:
    return [values * 2, np.full_like(values, np.nan)]


def other_at_each_call(values: Values) -> list[Values]:
    return [values * 2, values + 1 + 1e-4 * _dice.random(values.shape, np.float32)]


def wrong_for_one_shape(values: Values) -> list[Values]:
    return [values * (1 if len(values) == len(INPUTS[-1]) else 2), values + 1]


def absurd(values: Values) -> list[Values]:
    return [values * 2, values + np.float32(1e32)]


def test_rounded_answers_are_trusted() -> None:
    assert not disagreement(lambda v: [a * np.float32(1.01) for a in exact(v)], exact, INPUTS, most=0.05)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (no_numbers, "input 1 has outputs that are not finite"),
        (other_at_each_call, "input 1 has different outputs at each call"),
        (wrong_for_one_shape, "input 2 has outputs that are off by 50%"),
        (absurd, "input 1 has outputs that are off by"),
    ],
)
def test_answers_that_cannot_be_trusted_are_told_with_the_reason(
    run: Callable[[Values], list[Values]], reason: str
) -> None:
    assert disagreement(run, exact, INPUTS, most=0.05).startswith(reason)


def test_answers_that_are_overwritten_by_the_next_call_are_compared_all_the_same() -> None:
    kept = np.zeros(3, np.float32)

    def counting(values: Values) -> list[Values]:
        kept[:] += values
        return [kept]

    assert "different outputs at each call" in disagreement(counting, lambda v: [v], INPUTS[:1], most=0.05)
