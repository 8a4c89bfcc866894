"""Who stays visible: only who is surely kept, only who is surely not to be hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from gateway.anonymize.selection import DOUBT, Decision, Faces, Keep, Only, Reference, Vector
from gateway.anonymize.thresholds import MatchCurve

THRESHOLD = 0.3
CURVE = MatchCurve(points=[(0.2, 1e-2), (0.3, 1e-3), (0.4, 1e-4), (0.5, 1e-5)], pairs=1_000_000, median_genuine=0.6)
SURE = CURVE.sure(1, at_least=THRESHOLD).value
ALICE, BOB, CAROL, NOBODY = np.eye(4)
NOWHERE = np.full(4, math.nan)


def mix(**parts: float) -> Vector:
    """A face so similar to some of them, and for the rest to nobody."""
    people = {"alice": ALICE, "bob": BOB, "carol": CAROL}
    vector = sum((part * people[name] for name, part in parts.items()), np.zeros(4))
    return np.asarray(vector + NOBODY * math.sqrt(1 - float(vector @ vector)))


def faces(*vectors: Vector, unclear: Sequence[int] = ()) -> Faces:
    clear = np.ones(len(vectors), np.bool_)
    clear[list(unclear)] = False
    return Faces(vectors=np.stack(vectors) if vectors else np.zeros((0, 4)), clear=clear)


def references(*vectors: Vector, field: str = "keep") -> list[Reference]:
    return [Reference(name=f"{field}[{index}]", vector=vector) for index, vector in enumerate(vectors)]


def keep(*vectors: Vector) -> Keep:
    return Keep(references=references(*vectors), pair_threshold=THRESHOLD, curve=CURVE)


def only(*vectors: Vector) -> Only:
    return Only(references=references(*vectors, field="only"), pair_threshold=THRESHOLD)


def shown(decision: Decision) -> list[int]:
    return np.flatnonzero(decision.shown).tolist()


@pytest.mark.parametrize(
    ("similarity", "kept", "not_meant"),
    [
        (0.99, True, False),
        (SURE + 0.001, True, False),
        (SURE - 0.001, False, False),
        (THRESHOLD, False, False),
        (THRESHOLD - DOUBT + 0.01, False, False),
        (THRESHOLD - DOUBT - 0.01, False, True),
        (-1.0, False, True),
    ],
)
def test_a_face_in_doubt_is_hidden_whoever_was_asked_for(similarity: float, kept: bool, not_meant: bool) -> None:  # noqa: FBT001
    face = faces(mix(alice=similarity))
    assert bool(shown(keep(ALICE).decide(face))) is kept
    assert bool(shown(only(ALICE).decide(face))) is not_meant


def test_a_person_stays_visible_at_most_once() -> None:
    lookalikes = faces(mix(alice=0.9), mix(alice=0.7), mix(alice=0.6), NOBODY)
    assert shown(keep(ALICE).decide(lookalikes)) == [0]
    assert shown(only(ALICE).decide(lookalikes)) == [3], "whoever may be her is hidden"


def test_several_references_of_one_person_are_one_person() -> None:
    older = mix(alice=0.8)
    decision = keep(ALICE, older).decide(faces(mix(alice=0.9), mix(alice=0.45, bob=0.89)))
    assert (shown(decision), decision.notice) == ([0], "")


def test_each_of_several_people_stays_visible() -> None:
    decision = keep(ALICE, BOB).decide(faces(mix(bob=0.7), mix(carol=0.9), mix(alice=0.8)))
    assert (shown(decision), decision.notice) == ([0, 2], "")
    assert shown(only(ALICE, BOB).decide(faces(mix(bob=0.7), mix(carol=0.9), mix(alice=0.8)))) == [1]


def test_nobody_is_shown_where_another_face_is_nearly_as_similar() -> None:
    decision = keep(ALICE).decide(faces(mix(alice=0.7), mix(alice=0.65)))
    assert shown(decision) == []
    assert decision.notice == ("keep[0]: ambiguous, since another face or reference is nearly as similar; hidden.")


def test_a_face_too_unclear_to_be_shown_still_stands_in_the_way_of_another() -> None:
    assert shown(keep(ALICE).decide(faces(mix(alice=0.6), mix(alice=0.65), unclear=[1]))) == []


def test_nobody_is_shown_where_another_person_is_nearly_as_similar() -> None:
    decision = keep(ALICE, BOB).decide(faces(mix(alice=0.6, bob=0.55)))
    assert shown(decision) == []
    assert "keep[0], keep[1]: ambiguous" in decision.notice


def test_references_that_may_be_of_one_person_are_no_rivals() -> None:
    other_picture = mix(alice=THRESHOLD + 0.01)
    face = mix(alice=0.6)
    assert float(face @ other_picture) > 0.6
    assert shown(keep(ALICE, other_picture).decide(faces(face))) == [0]


def test_an_unclear_face_is_hidden_whoever_was_asked_for() -> None:
    decision = keep(ALICE).decide(faces(mix(alice=0.9), NOBODY, unclear=[0, 1]))
    assert shown(decision) == []
    assert decision.notice.startswith("keep[0]: the most similar face is too small or too blurred")
    decision = only(ALICE).decide(faces(mix(alice=0.9), NOBODY, unclear=[0, 1]))
    assert shown(decision) == []
    assert "too small or too blurred to recognise, hidden: 2." in decision.notice


def test_an_unclear_reference_shows_nobody_but_its_own_crop() -> None:
    [reference] = references(ALICE)
    unclear = replace(keep(ALICE), references=[replace(reference, clear=False)])
    decision = unclear.decide(faces(mix(alice=0.9)))
    assert shown(decision) == []
    assert decision.notice.startswith("keep[0]: the reference is too small or too blurred")
    assert shown(unclear.decide(faces(mix(alice=0.9), ALICE, unclear=[0, 1]))) == [1]


def test_two_like_crops_of_one_reference_are_both_hidden() -> None:
    assert shown(keep(ALICE).decide(faces(ALICE, ALICE))) == []


def test_faces_of_one_picture_may_all_be_kept_by_their_own_embeddings() -> None:
    alike = [mix(alice=0.9), mix(alice=0.85), mix(alice=0.8)]
    assert shown(keep(*alike[:2]).decide(faces(*alike, unclear=[0, 1, 2]))) == [0, 1]


def test_a_face_that_could_not_be_embedded_is_hidden() -> None:
    assert shown(keep(ALICE).decide(faces(NOWHERE, ALICE))) == [1]
    assert shown(only(ALICE).decide(faces(NOWHERE, NOBODY))) == [1]
    assert shown(only(ALICE).decide(faces(NOWHERE))) == []


def test_a_picture_without_faces_leaves_nobody_visible() -> None:
    decision = keep(ALICE, BOB).decide(faces())
    assert shown(decision) == []
    assert decision.notice == "keep[0], keep[1]: nobody in this picture is recognised with certainty."
    assert shown(only(ALICE).decide(faces())) == []


def test_the_more_is_compared_the_more_alike_a_face_must_be() -> None:
    face = mix(alice=SURE + 0.01)
    assert shown(keep(ALICE).decide(faces(face))) == [0]
    assert shown(keep(ALICE).decide(faces(face, *[NOBODY] * 200))) == []
    assert shown(keep(ALICE, *[BOB] * 63).decide(faces(face))) == []
    assert shown(only(*[BOB] * 64).decide(faces(mix(bob=THRESHOLD - DOUBT - 0.01)))) == [0], "whatever their number"


def test_a_notice_stays_short_and_fit_for_a_header_however_many_references_there_are() -> None:
    decision = keep(*[ALICE, BOB] * 32).decide(faces(CAROL))
    assert decision.notice.startswith("keep[0], keep[1], keep[2], keep[3] and 60 more: nobody in this picture")
    assert len(decision.notice) < 1000
    assert decision.notice.isascii()
    assert decision.notice.isprintable()


def units(count: int) -> st.SearchStrategy[NDArray[np.float64]]:
    directions = npst.arrays(np.float64, (count, 4), elements=st.floats(-1, 1, width=16))
    return directions.map(lambda rows: (rows + 1e-3) / np.linalg.norm(rows + 1e-3, axis=1, keepdims=True))


PICTURES = st.integers(0, 8).flatmap(units)
PEOPLE = st.integers(1, 6).flatmap(units)


@settings(deadline=None)  # the first example loads numpy's parts, and machines are shared
@given(vectors=PICTURES, people=PEOPLE, data=st.data())
def test_never_more_faces_than_references_and_each_of_them_sure(
    vectors: NDArray[np.float64], people: NDArray[np.float64], data: st.DataObject
) -> None:
    clear = np.array(data.draw(st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors))), np.bool_)
    decision = keep(*people).decide(Faces(vectors=vectors, clear=clear))
    assert len(shown(decision)) <= len(people)
    sure = CURVE.sure(len(vectors) * len(people), at_least=THRESHOLD).value
    similar = people @ vectors.T
    for face in shown(decision):
        best = similar[:, face].argmax()
        assert similar[best, face] >= sure
        others = np.delete(similar[best], face)
        assert clear[face] or similar[best, face] > 0.998
        assert not others.size or similar[best, face] > others.max()


@settings(deadline=None)  # the first example loads numpy's parts, and machines are shared
@given(vectors=PICTURES, people=PEOPLE)
def test_only_shows_no_face_that_is_like_any_reference(
    vectors: NDArray[np.float64], people: NDArray[np.float64]
) -> None:
    decision = only(*people).decide(Faces(vectors=vectors, clear=np.ones(len(vectors), np.bool_)))
    for face in range(len(vectors)):
        assert bool(decision.shown[face]) is bool((people @ vectors[face] < THRESHOLD - DOUBT).all())


@settings(deadline=None)  # the first example loads numpy's parts, and machines are shared
@given(vectors=PICTURES, people=PEOPLE, data=st.data())
def test_the_order_of_faces_and_references_changes_nothing(
    vectors: NDArray[np.float64], people: NDArray[np.float64], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(vectors))))
    of_people = data.draw(st.permutations(range(len(people))))
    clear = np.ones(len(vectors), np.bool_)
    straight = keep(*people).decide(Faces(vectors=vectors, clear=clear))
    shuffled = keep(*people[of_people]).decide(Faces(vectors=vectors[order], clear=clear))
    assert shuffled.shown.tolist() == straight.shown[order].tolist()
