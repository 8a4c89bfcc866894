"""Who stays visible: only who is surely kept, only who is surely not to be hidden."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateway.selection import DOUBT, Keep, Only, Vector

THRESHOLD = 0.3


def at(similarity: float) -> Vector:
    """A face so similar to ALICE, and to nobody else."""
    return np.array([similarity, 0.0, math.sqrt(1 - similarity**2)])


ALICE = np.array([1.0, 0.0, 0.0])
BOB = np.array([0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("similarity", "kept", "not_meant"),
    [
        (1.0, True, False),
        (THRESHOLD, True, False),
        (THRESHOLD - 0.01, False, False),
        (THRESHOLD - DOUBT + 0.01, False, False),
        (THRESHOLD - DOUBT - 0.01, False, True),
        (-1.0, False, True),
    ],
)
def test_a_face_in_doubt_is_hidden_whoever_was_asked_for(similarity: float, kept: bool, not_meant: bool) -> None:  # noqa: FBT001
    assert Keep(people=[ALICE], threshold=THRESHOLD).shows(at(similarity)) is kept
    assert Only(people=[ALICE], threshold=THRESHOLD).shows(at(similarity)) is not_meant


def test_a_face_that_could_not_be_embedded_is_hidden() -> None:
    assert not Keep(people=[ALICE], threshold=-1).shows(None)
    assert not Only(people=[ALICE], threshold=1).shows(None)


def test_one_of_several_people_suffices() -> None:
    assert Keep(people=[BOB, ALICE], threshold=THRESHOLD).shows(ALICE)
    assert not Only(people=[BOB, ALICE], threshold=THRESHOLD).shows(ALICE)


def test_an_embedding_that_is_no_number_is_hidden() -> None:
    nowhere = np.full(3, math.nan)
    assert not Keep(people=[ALICE], threshold=THRESHOLD).shows(nowhere)
    assert not Only(people=[ALICE], threshold=THRESHOLD).shows(nowhere)
