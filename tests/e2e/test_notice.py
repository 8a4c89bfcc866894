"""Where BlazeFace answers alone, the page says what it misses."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import FacetPage, portrait

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_page_says_what_blazeface_alone_misses(facet: FacetPage) -> None:
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await facet.page.get_by_text("Advanced").click()
    await facet.page.get_by_label("Detection model").select_option("blazeface-full")
    notice = facet.page.locator("[data-part=model-notice]")
    await expect(notice).to_contain_text("does not protect a crowd", timeout=20_000)
