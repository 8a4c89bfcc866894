"""What the page says of a result that was checked."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import TREATED_WITHIN_MS, FacetPage, OpenPage, portrait

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_TESTED = "Whether they are recognised was not tested: no embedder serves."


async def ask_for_check(page: Page, name: str) -> None:
    """Turns the check on, and waits for the picture to be treated again."""
    async with page.expect_response(lambda response: "verify=true" in response.url, timeout=TREATED_WITHIN_MS):
        await page.get_by_role("switch", name=name).click()


async def test_checked_result_says_so_in_words(facet: FacetPage) -> None:
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    checked = facet.page.locator("[data-part=checked]")
    await expect(checked).to_have_text("")
    await ask_for_check(facet.page, "Check the result")
    await expect(checked).to_contain_text("Checked: ", timeout=TREATED_WITHIN_MS)
    await expect(checked).to_contain_text(NOT_TESTED)


async def test_checked_result_says_so_in_chinese(open_page: OpenPage) -> None:
    facet = await open_page(locale="zh-CN")
    await facet.pick(portrait())
    await facet.shows("已隐藏 1 张人脸")
    await ask_for_check(facet.page, "检查结果")
    await expect(facet.page.locator("[data-part=checked]")).to_contain_text("已检查", timeout=TREATED_WITHIN_MS)


async def test_every_outcome_of_a_check_has_its_words(facet: FacetPage) -> None:
    said = await facet.page.evaluate(
        """(outcomes) => import("/static/outcome.js").then(({ checkInWords }) => outcomes.map(checkInWords))""",
        [
            "",
            "passed; escalated=0; identity=compared",
            "passed; escalated=1; identity=compared 3 of 4",
            "passed; escalated=2; identity=not compared",
        ],
    )
    assert said == [
        "",
        "Checked: no hidden face was found again. None is recognised as who it was.",
        "Checked: 1 face was hidden more strongly. 3 of 4 could be compared with the original; none is recognised.",
        f"Checked: 2 faces were hidden more strongly. {NOT_TESTED}",
    ]


async def test_failed_check_says_what_to_do_and_lets_the_faces_be_corrected(facet: FacetPage) -> None:
    facet.expected_errors.append("status of 422")
    problem = {"title": "A face is still recognisable", "status": 422, "detail": "parameters", "request_id": "r1"}

    async def refuse(route: Route) -> None:  # no picture at hand defeats three rounds of one colour
        await route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(problem))

    await facet.page.route("**/v1/anonymize*verify=true*", refuse)
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await ask_for_check(facet.page, "Check the result")
    alert = facet.page.get_by_role("alert").filter(has_text="A face is still recognisable")
    await expect(alert).to_contain_text("Draw larger boxes with “Correct faces”")
    await expect(alert).to_contain_text("Status 422, request r1")
    await expect(facet.page.get_by_role("button", name="Download", exact=True)).to_be_disabled()
    await facet.page.get_by_role("button", name="Correct faces").click()
    await expect(facet.page.get_by_role("button", name="Face 1: hidden")).to_be_visible(timeout=TREATED_WITHIN_MS)
