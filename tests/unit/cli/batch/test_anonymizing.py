"""The digest of what is asked for: runs that differ in anything that shows are different runs."""

from __future__ import annotations

from dataclasses import replace

from cli.batch.anonymizing import Asked
from facet_client import DetectionOptions, RedactionOptions

PLAIN = Asked(redaction=RedactionOptions(), detection=DetectionOptions(), verify=False)


def test_digest_of_a_run_without_people_is_that_of_earlier_releases() -> None:
    assert PLAIN.digest() == "d1b8162c0ebc0181"


def test_other_people_and_receipts_are_other_runs_and_their_order_is_none() -> None:
    asked = [
        PLAIN,
        replace(PLAIN, keep=[b"alice"]),
        replace(PLAIN, keep=[b"bob"]),
        replace(PLAIN, only=[b"alice"]),
        replace(PLAIN, keep=[b"alice", b"bob"]),
        replace(PLAIN, receipt=True),
    ]
    assert len({each.digest() for each in asked}) == len(asked)
    assert replace(PLAIN, keep=[b"bob", b"alice"]).digest() == asked[4].digest()
    assert "alice" not in repr(asked[1])
