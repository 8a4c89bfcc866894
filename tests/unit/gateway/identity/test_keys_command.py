"""`facet keys`: the key goes to standard error alone, and what goes to the file is what the gateway takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from gateway.identity.caller import Allowance, Scope
from gateway.identity.key_ring import KeyRing

DEFAULT = Allowance(requests_per_s=10, burst=20, at_once=4)


def facet(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


async def test_new_key_opens_what_its_entry_says(tmp_path: Path) -> None:
    made = facet("new", "newsletter", "--scope", "anonymize", "--scope", "detect", "--days", "30", "--at-once", "2")
    other = facet("new", "archive", "--scope", "embed")
    assert (made.exit_code, other.exit_code) == (0, 0)
    path = tmp_path / "keys.toml"
    path.write_text(made.stdout + other.stdout)
    ring = KeyRing(path, DEFAULT)
    [key] = [line for line in made.stderr.splitlines() if line.startswith("facet_")]
    caller = await ring.authenticate(f"Bearer {key}")
    assert caller.name == "newsletter"
    assert caller.scopes == {Scope.ANONYMIZE, Scope.DETECT}
    assert caller.allowance == Allowance(requests_per_s=10, burst=20, at_once=2)
    assert key not in made.stdout


def test_list_shows_what_keys_may_do_and_which_have_expired(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    entries = facet("new", "newsletter", "--scope", "anonymize", "--days", "30").stdout
    path.write_text(entries + facet("new", "archive", "--scope", "embed", "--burst", "7").stdout)
    shown = facet("list", str(path)).stdout
    assert "newsletter" in shown
    assert "expired" not in shown
    path.write_text(path.read_text().replace("expires = 2", "expires = 1"))
    lines = facet("list", str(path)).stdout.splitlines()
    assert "expired 1" in next(line for line in lines if line.startswith("newsletter"))
    assert " 7 " in next(line for line in lines if line.startswith("archive"))


@pytest.mark.parametrize(
    "arguments",
    [("new", "x"), ("new", "x", "--scope", "everything"), ("new", '"x', "--scope", "embed"), ("list", "/no/such/file")],
)
def test_what_cannot_be_made_or_read_is_refused(arguments: tuple[str, ...]) -> None:
    refused = facet(*arguments)
    assert refused.exit_code != 0
    assert "facet_" not in refused.output
