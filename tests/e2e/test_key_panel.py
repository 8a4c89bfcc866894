"""Where the server asks for a key, the page asks its user, and goes on by itself once it has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Locator, expect

from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, NewKey, digest_of, make_key
from tests.e2e.conftest import PHONE, FacetPage, OpenPage, in_one_loop, portrait, strict_pages
from tests.support.processes import RunningTier, Stack, start

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = "This key is not accepted"
KEYS = {"allowed": make_key(), "narrow": make_key()}


@pytest.fixture(scope="module")
def guarded_gateway(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTier]:
    entries = (
        entry("allowed", KEYS["allowed"], Scope.ANONYMIZE, Scope.DETECT),
        entry("narrow", KEYS["narrow"], Scope.DETECT),
    )
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text("\n\n".join(one.to_toml() for one in entries))
    running = start("gateway", **stack.targets(), FACET_GATEWAY_KEYS=str(path))
    yield running
    running.stop()


def entry(name: str, key: NewKey, *scopes: Scope) -> KeyEntry:
    return KeyEntry(name=name, id=key.id, sha256=digest_of(key.text).hex(), scopes=list(scopes))


@in_one_loop()
async def open_guarded(browser: Browser, guarded_gateway: RunningTier) -> AsyncIterator[OpenPage]:
    async with strict_pages(browser, guarded_gateway.url) as open_one:
        yield open_one


async def opened(open_guarded: OpenPage, **options: object) -> FacetPage:
    facet = await open_guarded(**options)
    facet.expected_errors += ["status of 401", "status of 403"]
    return facet


def panel(facet: FacetPage) -> Locator:
    return facet.page.locator("[data-part=key-panel]")


async def enter(facet: FacetPage, key: str) -> None:
    await panel(facet).get_by_label("API key").fill(key)
    await panel(facet).get_by_role("button", name="Use this key").click()


async def test_key_is_asked_for_checked_kept_for_the_tab_and_forgotten(open_guarded: OpenPage) -> None:
    facet = await opened(open_guarded)
    await expect(panel(facet)).to_be_visible()
    await expect(panel(facet).get_by_label("API key")).to_be_focused()
    await enter(facet, make_key().text)
    await expect(panel(facet)).to_contain_text(REFUSED)
    await enter(facet, "密钥")
    await expect(panel(facet)).to_contain_text(REFUSED)
    await enter(facet, f"  Bearer {KEYS['allowed'].text}\t")
    await expect(panel(facet)).to_be_hidden()
    await facet.page.reload()
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await expect(panel(facet)).to_be_hidden()
    await facet.page.get_by_role("button", name="Key", exact=True).click()
    await panel(facet).get_by_role("button", name="Forget it").click()
    await facet.page.reload()
    await expect(panel(facet)).to_be_visible()
    assert await facet.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


async def test_picture_that_was_refused_goes_on_once_there_is_a_key_that_allows_it(open_guarded: OpenPage) -> None:
    facet = await opened(open_guarded)
    await facet.pick(portrait())
    problem = facet.page.locator("[data-part=stage] [data-part=problem]")
    await expect(problem).to_contain_text("The server asks for a key")
    await enter(facet, KEYS["narrow"].text)
    await expect(problem).to_contain_text("Your key does not allow this")
    await facet.page.get_by_role("button", name="Key", exact=True).click()
    await enter(facet, KEYS["allowed"].text)
    await facet.shows("1 face hidden")


async def test_panel_speaks_chinese_and_fits_a_phone(open_guarded: OpenPage) -> None:
    facet = await opened(open_guarded, **{**PHONE, "locale": "zh-CN"})
    await expect(panel(facet)).to_contain_text("此服务器需要密钥")
    await panel(facet).get_by_label("API 密钥").fill("facet_")
    await panel(facet).get_by_role("button", name="使用此密钥").click()
    await expect(panel(facet)).to_contain_text("未被接受")
    assert not await facet.is_wider_than_its_window()


async def test_page_asks_nobody_where_the_server_does_not(facet: FacetPage) -> None:
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await expect(panel(facet)).to_be_hidden()
    await expect(facet.page.locator("[data-part=key]")).to_be_hidden()
