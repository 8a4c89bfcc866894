"""20,000 damaged files of every kind: a domain error or a sound picture each, and never the end of the process."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.mutations import DEADLINE_S, anonymized, files
from tests.support.processes import REPOSITORY

FILES, PARTS = 20_000, 2


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_end_in_a_domain_error_or_a_picture_and_cost_no_memory(part: int) -> None:
    count = FILES // PARTS
    command = [sys.executable, "-m", "tests.support.mutations", str(part * count), str(count)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    *numbers, last = done.stdout.splitlines()
    assert done.returncode == 0, f"file {last}: ended with {done.returncode} (deadline {DEADLINE_S} s)\n{done.stderr}"
    assert len(numbers) == count
    result = json.loads(last)
    assert 0.05 * count < result["pictures"] < 0.95 * count
    assert result["grown_mib"] < 32


@pytest.mark.parametrize("kind", files())
def test_every_kind_of_file_is_anonymized_where_it_is_sound(kind: str) -> None:
    assert anonymized(files()[kind])


@settings(max_examples=200, deadline=DEADLINE_S * 1000, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(files())),
    at=st.floats(0, 1, exclude_max=True),
    kept=st.integers(0, 64),
    inserted=st.binary(max_size=64),
)
def test_any_bytes_at_any_place_end_in_a_domain_error_or_a_picture(
    kind: str, at: float, kept: int, inserted: bytes
) -> None:
    content = files()[kind]
    start = int(at * len(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anonymized(content[:start] + inserted + content[start + kept :])
