"""How much hiding one call may ask for: told before anything is made that grows with it."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.bounds import MAX_LAYERS, MAX_REGIONS, check_count
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.errors import DeadlinePassed, InvalidRequest, TooLarge
from services.chassis.pictures.geometry import Box
from services.chassis.process.memory_budget import MemoryBudget
from services.chassis.process.patience import Patience, awaited_by
from services.chassis.process.settings import MIB, PictureLimits

TALL = (16, 65_000)
LIMITS = PictureLimits(max_bytes=MIB, max_pixels=100_000_000)


def picture(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 150)).save(file, "JPEG")
    return file.getvalue()


def region(x_min: float, y_min: float, x_max: float, y_max: float) -> Region:
    return Region(box=Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max), landmarks={})


def test_many_regions_as_high_as_the_picture_are_refused_before_they_take_memory() -> None:
    regions = [region(0, 0, 16, 65_000 - index) for index in range(10_000)]
    content = picture(*TALL)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="rows and columns together"):
            anonymize(content, regions, Redaction(), limits=LIMITS)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 * MIB


def test_a_region_that_is_asked_for_many_times_is_hidden_once() -> None:
    hidden = anonymize(picture(*TALL), [region(0, 0, 16, 65_000)] * 5000, Redaction(), limits=LIMITS)
    assert hidden.hidden_regions == 5000


def test_regions_that_cover_a_picture_too_many_times_are_refused() -> None:
    regions = [region(0, 0, 999, 1000 - 0.01 * index) for index in range(MAX_LAYERS + 1)]
    with pytest.raises(TooLarge, match=f"at most {MAX_LAYERS} times"):
        anonymize(picture(999, 1000), regions, Redaction(), limits=LIMITS)


def test_so_are_regions_beyond_the_picture_whose_surroundings_reach_far_into_it() -> None:
    regions = [region(-3000, -3000 - index, 1, 1) for index in range(3 * MAX_LAYERS)]
    with pytest.raises(TooLarge, match="surroundings cover the picture"):
        anonymize(picture(999, 1000), regions, Redaction(margin=0), limits=LIMITS)


def test_what_regions_take_counts_in_the_memory_budget() -> None:
    limits = PictureLimits(max_bytes=MIB, max_pixels=100_000_000, memory=MemoryBudget(24 * MIB))
    content = picture(*TALL)
    anonymize(content, [region(0, 0, 16, 65_000)], Redaction(), limits=limits)
    with pytest.raises(TooLarge, match="fewer pixels, or regions"):
        anonymize(content, [region(0, 0, 16, 65_000 - index) for index in range(10)], Redaction(), limits=limits)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_hiding_ends_when_nobody_waits_any_more(form: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (640, 480)).save(file, form)
    patience = Patience()
    patience.leave()
    with awaited_by(patience), pytest.raises(DeadlinePassed):
        anonymize(file.getvalue(), [region(9, 9, 99, 99)], Redaction(), limits=LIMITS)


def test_more_regions_than_a_call_may_have_are_refused() -> None:
    check_count(MAX_REGIONS)
    with pytest.raises(InvalidRequest, match=f"at most {MAX_REGIONS}"):
        check_count(MAX_REGIONS + 1)
