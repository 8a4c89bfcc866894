"""Passes and tiles: they cover the picture, overlap enough, and stay within the budget."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.retinaface.plan import TILE_OVERLAP_PX, TILE_PX, WHOLE_PX, Effort, plan

BALANCED = Effort(max_scale=2.0, max_pixels=80_000_000)
FAST = Effort(max_scale=1.0, max_pixels=80_000_000, one_pass=True)
SIDES = st.integers(1, 12_000)


@given(width=SIDES, height=SIDES)
def test_tiles_of_every_pass_cover_the_picture_and_none_is_large(width: int, height: int) -> None:
    for look in plan(width, height, BALANCED):
        for low, high, length in (("left", "right", width), ("top", "bottom", height)):
            spans = sorted({(getattr(tile, low), getattr(tile, high)) for tile in look.tiles})
            assert spans[0][0] == 0
            assert spans[-1][1] == length
            for (_, end), (start, _) in pairwise(spans):
                assert (end - start) * look.scale >= TILE_OVERLAP_PX
        columns = {tile.left for tile in look.tiles}
        rows = {tile.top for tile in look.tiles}
        assert len(look.tiles) == len(columns) * len(rows)
        assert max(max(tile.width, tile.height) for tile in look.tiles) <= TILE_PX + 2


@given(width=SIDES, height=SIDES, budget=st.sampled_from([1_000_000, 10_000_000, 80_000_000]))
def test_pixels_stay_within_the_budget(width: int, height: int, budget: int) -> None:
    passes = plan(width, height, Effort(max_scale=2.0, max_pixels=budget))
    assert sum(tile.width * tile.height for look in passes for tile in look.tiles) <= budget


@given(width=SIDES, height=SIDES)
def test_the_coarsest_pass_sees_the_picture_whole_and_small(width: int, height: int) -> None:
    coarsest = plan(width, height, BALANCED)[-1]
    assert len(coarsest.tiles) == 1
    assert coarsest.scale * max(width, height) <= max(WHOLE_PX, 1)


@pytest.mark.parametrize(("width", "height", "least"), [(832, 624, 2.0), (4000, 3000, 1.4), (7360, 4912, 1.2)])
def test_the_finest_pass_shows_small_faces_large_enough(width: int, height: int, least: float) -> None:
    assert plan(width, height, BALANCED)[0].scale >= least


@given(width=SIDES, height=SIDES)
def test_fast_looks_once_at_the_whole(width: int, height: int) -> None:
    [look] = plan(width, height, FAST)
    assert len(look.tiles) == 1
    assert look.scale == min(1.0, TILE_PX / max(width, height))


def test_mirrored_effort_looks_at_the_same_tiles_both_ways() -> None:
    plain = plan(3000, 2000, BALANCED)
    both = plan(3000, 2000, Effort(max_scale=2.0, max_pixels=80_000_000, mirrored=True))
    assert [look.tiles for look in both if not look.mirrored] == [look.tiles for look in plain]
    assert [look.tiles for look in both if look.mirrored] == [look.tiles for look in plain]


def test_only_borders_inside_the_picture_can_cut_a_face() -> None:
    tiles = plan(5000, 3000, BALANCED)[0].tiles
    for tile in tiles:
        assert tile.inner == (tile.left > 0, tile.top > 0, tile.right < 5000, tile.bottom < 3000)


def test_scales_fall_by_octaves_with_one_half_step_for_a_second_opinion_on_small_pictures() -> None:
    small = [look.scale for look in plan(832, 624, BALANCED)]
    assert small == pytest.approx([2, 1, 0.5])
    small = [look.scale for look in plan(832, 624, replace(BALANCED, second_opinion=True))]
    assert small == pytest.approx([2, math.sqrt(2), 1, 0.5])
    large = [look.scale for look in plan(4000, 3000, BALANCED)]
    assert large == pytest.approx([1.4, 0.7, 0.35, 0.175, 0.0875][: len(large)])
