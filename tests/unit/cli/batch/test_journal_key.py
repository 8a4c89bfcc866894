"""Where the key of a user's journals comes from."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.batch.journal_key import journal_key
from services.chassis.errors import InvalidRequest


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("FACET_JOURNAL_KEY", raising=False)
    return tmp_path / "facet" / "journal.key"


def test_key_is_made_once_for_this_user_alone_also_by_runs_that_start_together(state: Path) -> None:
    with ThreadPoolExecutor(8) as runs:
        keys = set(runs.map(lambda _: journal_key(), range(32)))
    assert keys == {state.read_bytes()}
    assert len(state.read_bytes()) == 32
    assert state.stat().st_mode & 0o777 == 0o600


def test_key_of_the_operator_comes_first_and_must_be_long(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_JOURNAL_KEY", "k" * 32)
    assert journal_key() == b"k" * 32
    assert not state.exists()
    monkeypatch.setenv("FACET_JOURNAL_KEY", "short")
    with pytest.raises(SystemExit, match="FACET_JOURNAL_KEY"):
        journal_key()


def test_key_that_others_may_read_or_that_is_a_link_is_refused(state: Path) -> None:
    journal_key()
    state.chmod(0o644)
    with pytest.raises(InvalidRequest, match="chmod 600"):
        journal_key()
    state.rename(state.with_name("elsewhere"))
    state.symlink_to("elsewhere")
    with pytest.raises(InvalidRequest, match="FACET_JOURNAL_KEY"):
        journal_key()


def test_key_that_cannot_be_kept_says_what_to_set(state: Path) -> None:
    state.parent.write_bytes(b"no folder")
    with pytest.raises(InvalidRequest, match="openssl rand"):
        journal_key()


def test_key_that_a_crash_cut_off_is_made_again(state: Path) -> None:
    state.parent.mkdir()
    descriptor = os.open(state, os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(descriptor, b"half")
    os.close(descriptor)
    assert len(journal_key()) == 32
    assert journal_key() == state.read_bytes()
