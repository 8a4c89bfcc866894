"""Which worker treats a file."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.batch.shards import WHOLE, Shard
from services.chassis.errors import InvalidRequest

PATHS = [f"folder {index % 7}/IMG_{index:04}.jpg" for index in range(2_000)]


def shards(count: int) -> list[Shard]:
    return [Shard(index=index, count=count) for index in range(count)]


@given(path=st.binary(min_size=1).map(os.fsdecode), count=st.integers(1, 50))
def test_every_path_is_in_exactly_one_shard(path: str, count: int) -> None:
    assert sum(path in shard for shard in shards(count)) == 1


def test_two_thousand_files_are_shared_evenly() -> None:
    sizes = [sum(path in shard for path in PATHS) for shard in shards(4)]
    assert all(abs(size - 500) <= 50 for size in sizes)


def test_share_is_the_same_in_every_version() -> None:
    assert [index for index in range(12) if PATHS[index] in Shard(index=1, count=4)] == [1, 2, 6, 8, 10]


def test_names_of_several_workers_differ() -> None:
    assert Shard(index=2, count=4).named("out/faces.v1.csv") == "out/faces.v1-2-of-4.csv"
    assert WHOLE.named("faces.csv") == "faces.csv"


@pytest.mark.parametrize(("index", "count"), [(4, 4), (-1, 4), (0, 0)])
def test_what_is_no_shard_is_refused(index: int, count: int) -> None:
    with pytest.raises(InvalidRequest, match="counted from 0"):
        Shard(index=index, count=count)
