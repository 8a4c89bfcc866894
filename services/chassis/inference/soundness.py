"""Whether a network computes rightly in a short number format: some processors' kernels do not for every shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Input = TypeVar("Input")
Answers = Sequence[NDArray[np.floating[Any]]]
Run = Callable[[Input], Answers]
_LEAST = float(np.finfo(np.float32).tiny)


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """For a reference: its work is too little for several threads, which wait for each other where others are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def disagreement(run: Run[Input], reference: Run[Input], inputs: Iterable[Input], *, most: float) -> str:
    """Why a network's answers cannot be trusted; empty where they can.

    Args:
        run: The network in the short format.
        reference: The same one in float32.
        inputs: Fixed ones of every shape that is told apart; `run` gets each twice.
        most: How far the answers may be from the reference's: root mean square of the difference, as a share of the
            reference's own.
    """
    for number, given in enumerate(inputs, 1):
        first = [answer.copy() for answer in run(given)]
        again = run(given)
        if not all(np.isfinite(answer).all() for answer in first):
            return f"input {number} has outputs that are not finite"
        if not all(np.array_equal(one, other) for one, other in zip(first, again, strict=True)):
            return f"input {number} has different outputs at each call"
        for answer, expected in zip(first, reference(given), strict=True):
            off = _size(answer.astype(np.float64) - expected) / max(_size(expected), _LEAST)
            if not off <= most:
                return f"input {number} has outputs that are off by {off:.0%}"
    return ""


def _size(values: NDArray[np.floating[Any]]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
