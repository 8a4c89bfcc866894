"""While a field has the focus, keys and pastes are its own: the page takes none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, NewKey, digest_of, make_key
from tests.e2e.conftest import FacetPage, OpenPage, copy, in_one_loop, portrait, strict_pages
from tests.support.processes import RunningTier, Stack, start

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
NOTE_TAKEN = """() => {
  window.taken = [];
  for (const kind of ["keydown", "paste", "copy", "cut", "beforeinput"]) {
    // Last of all: whether anybody has taken it over.
    window.addEventListener(kind, (event) => {
      if (event.defaultPrevented) window.taken.push(`${kind} ${event.key ?? ""} at ${event.target.tagName}`);
    });
  }
}"""
ADD_FIELDS = """() => {
  const add = (html) => document.querySelector("main").insertAdjacentHTML("beforeend", html);
  for (const type of ["text", "search", "url", "email", "number", "tel"]) {
    add(`<input type="${type}" class="probe">`);
  }
  add('<textarea class="probe"></textarea>');
  add('<div class="probe" contenteditable="true">words</div>');
}"""
KEYS = (
    *("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "Delete", "Backspace", "Escape", "Enter"),
    *("Space", "a", "?", "/", "PageUp", "PageDown", "Control+A", "Control+C", "Control+X", "Control+V", "Control+Z"),
)


@pytest.fixture(scope="module")
def key() -> NewKey:
    return make_key()


@pytest.fixture(scope="module")
def guarded(stack: Stack, key: NewKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTier]:
    path: Path = tmp_path_factory.mktemp("fields") / "keys.toml"
    entry = KeyEntry(name="page", id=key.id, sha256=digest_of(key.text).hex(), scopes=list(Scope))
    path.write_text(entry.to_toml())
    running = start("gateway", **stack.targets(), FACET_GATEWAY_KEYS=str(path))
    yield running
    running.stop()


@in_one_loop()
async def open_guarded(browser: Browser, guarded: RunningTier) -> AsyncIterator[OpenPage]:
    async with strict_pages(browser, guarded.url) as open_one:
        yield open_one


async def taken(facet: FacetPage) -> list[str]:
    noted: list[str] = await facet.page.evaluate("window.taken")
    return noted


async def press_all(facet: FacetPage, field: Locator) -> None:
    for pressed in KEYS:
        await field.focus()
        await facet.page.keyboard.press(pressed)


async def test_api_key_can_be_pasted(open_guarded: OpenPage, key: NewKey) -> None:
    facet = await open_guarded(**CLIPBOARD)
    facet.expected_errors += ["status of 401"]
    await facet.pick(portrait())
    field = facet.page.get_by_label("API key")
    await facet.page.evaluate("(text) => navigator.clipboard.writeText(text)", key.text)
    await field.click()
    await facet.page.keyboard.press("Control+V")
    await expect(field).to_have_value(key.text)
    await facet.page.get_by_role("button", name="Use this key").click()
    await facet.shows("1 face hidden")


async def test_pasted_text_is_edited_as_in_any_field(open_guarded: OpenPage) -> None:
    facet = await open_guarded(**CLIPBOARD)
    facet.expected_errors += ["status of 401"]
    await facet.pick(portrait())
    field = facet.page.get_by_label("API key")
    await field.fill("ab")
    for pressed in ("ArrowLeft", "x", "Home", "y", "End", "z", "Backspace", "ArrowLeft", "Delete", "Space"):
        await facet.page.keyboard.press(pressed)
    await expect(field).to_have_value("yax ")


async def test_picture_in_the_clipboard_is_not_taken_from_a_text_field(open_guarded: OpenPage) -> None:
    facet = await open_guarded(**CLIPBOARD)
    facet.expected_errors += ["status of 401"]
    await facet.pick(portrait())
    await facet.page.evaluate(NOTE_TAKEN)
    await copy(facet.page, portrait("copied.png", "PNG"))
    await facet.page.get_by_label("API key").click()
    await facet.page.keyboard.press("Control+V")
    assert await taken(facet) == []
    await expect(facet.cards).to_have_count(0)  # there is one picture, and no list of several


async def test_no_key_and_no_paste_is_taken_from_any_field(open_page: OpenPage) -> None:
    facet = await open_page(**CLIPBOARD)
    facet.expected_errors.append("Applying inline style")  # the browser's own, as it edits the editable element
    await facet.pick(portrait("one.jpg"), portrait("two.jpg"))
    await facet.shows("1 face hidden")
    await facet.page.evaluate(ADD_FIELDS)
    await facet.page.evaluate(NOTE_TAKEN)
    await facet.page.evaluate("navigator.clipboard.writeText('words')")
    for field in await facet.page.locator(".probe").all():
        await press_all(facet, field)
    assert await taken(facet) == []
    await expect(facet.cards).to_have_count(2)


async def test_settings_keep_their_keys(open_page: OpenPage) -> None:
    facet = await open_page(**CLIPBOARD)
    await facet.pick(portrait("one.jpg"), portrait("two.jpg"))
    await facet.shows("1 face hidden")
    await facet.page.evaluate(NOTE_TAKEN)
    fields = facet.page.locator("form input:visible, form select:visible")
    assert await fields.count() > 5
    for field in await fields.all():
        for pressed in ("ArrowRight", "ArrowLeft", "Home", "Delete", "Escape", "Control+V"):
            await field.focus()
            await facet.page.keyboard.press(pressed)
    assert await taken(facet) == []
    await expect(facet.cards).to_have_count(2)


async def test_shortcuts_of_the_browser_stay_its_own(open_page: OpenPage) -> None:
    facet = await open_page()
    await facet.pick(portrait("one.jpg"), portrait("two.jpg"))
    await facet.shows("1 face hidden")
    await facet.page.evaluate(NOTE_TAKEN)
    for place in (facet.cards.first, facet.slider):
        for pressed in ("Control+ArrowLeft", "Meta+ArrowRight", "Control+Delete", "Control+Home"):
            await place.focus()
            await facet.page.keyboard.press(pressed)
    assert await taken(facet) == []


async def test_picture_pasted_over_a_slider_is_taken_in(open_page: OpenPage) -> None:
    facet = await open_page(**CLIPBOARD)
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await copy(facet.page, portrait("copied.png", "PNG"))
    await facet.page.locator("#strength").focus()
    await facet.page.keyboard.press("Control+V")
    await expect(facet.cards).to_have_count(2)
