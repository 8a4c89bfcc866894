"""What counts as a credential in a request's header."""

from __future__ import annotations

import pytest

from gateway.identity.authenticator import MAX_CREDENTIAL_CHARS, Anonymous, bearer_of
from gateway.identity.caller import Scope
from services.chassis.errors import InvalidCredential, Unauthenticated


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc "])
def test_scheme_is_known_in_any_case(header: str) -> None:
    assert bearer_of(header) == "abc"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dTpw", "abc", "Bearerabc"])
def test_header_without_a_credential_asks_for_one(header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer") as raised:
        bearer_of(header)
    assert type(raised.value) is Unauthenticated


def test_credential_longer_than_any_is_refused_before_it_is_looked_at() -> None:
    assert bearer_of("Bearer " + "x" * MAX_CREDENTIAL_CHARS)
    with pytest.raises(InvalidCredential, match="longer"):
        bearer_of("Bearer " + "x" * (MAX_CREDENTIAL_CHARS + 1))


async def test_everyone_may_do_everything_where_nobody_is_asked() -> None:
    caller = await Anonymous().authenticate(None)
    assert (caller.scopes, caller.allowance, caller.label) == (frozenset(Scope), None, "anonymous")
