"""What a person does with the view that compares two faces."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from playwright.async_api import Browser, FilePayload, Locator, Page, expect

from tests.e2e.conftest import (
    PHONE,
    TREATED_WITHIN_MS,
    FacetPage,
    OpenPage,
    copy,
    drop,
    empty_wall,
    encoded,
    in_one_loop,
    portrait,
    strict_pages,
    text_file,
)
from tests.support.pictures import huge_header, turned

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACE_CENTER = (222, 118)  # of `portrait`, pixels


def mirrored(name: str = "mirrored.jpg") -> FilePayload:
    """The person of `portrait` in another picture."""
    content = encoded(np.ascontiguousarray(skimage.data.astronaut()[:, ::-1]))
    return FilePayload(name=name, mimeType="image/jpeg", buffer=content)


def lying(name: str = "lying.jpg") -> FilePayload:
    """`portrait`, 400 pixels wide, as a camera held sideways stores it: turned, with the note that tells how."""
    content = turned(Image.fromarray(skimage.data.astronaut()[:, :400]), 6, "JPEG")
    return FilePayload(name=name, mimeType="image/jpeg", buffer=content)


def huge(name: str = "huge.png") -> FilePayload:
    """A picture whose header announces more pixels than any server takes."""
    return FilePayload(name=name, mimeType="image/png", buffer=huge_header("PNG"))


def person(shared_dir: Path, index: int) -> FilePayload:
    """A picture of one of the published people."""
    file = min(sorted((shared_dir / "images" / "people").iterdir())[index].glob("*.jpg"))
    return FilePayload(name=file.name, mimeType="image/jpeg", buffer=file.read_bytes())


def slot(page: Page, name: str) -> Locator:
    """`First picture` or `Second picture`."""
    return page.get_by_role("region", name=name)


def verdict(page: Page) -> Locator:
    """The result."""
    return page.get_by_role("region", name=re.compile("Result|结果"))


async def pick(where: Locator, picture: FilePayload) -> None:
    """Picks a file through a slot's file dialog."""
    async with where.page.expect_file_chooser() as chooser:
        await where.get_by_role("button", name=re.compile("Choose a picture|Replace|选择图片|更换")).click()
    await (await chooser.value).set_files([picture])


async def pick_both(page: Page, first: FilePayload, second: FilePayload) -> None:
    """Picks a file for each slot."""
    await pick(page.locator(".slot").nth(0), first)
    await pick(page.locator(".slot").nth(1), second)


async def answers(page: Page, headline: str) -> None:
    """Waits for the result and its headline."""
    await expect(verdict(page).get_by_role("heading")).to_have_text(headline, timeout=TREATED_WITHIN_MS)


async def outlined_center(where: Locator, width_px: int) -> tuple[float, float]:
    """The middle of the outlined face, pixels of the upright picture."""
    await expect(where.locator(".detection")).to_have_count(1, timeout=TREATED_WITHIN_MS)
    picture, face = await where.locator(".picture").bounding_box(), await where.locator(".detection").bounding_box()
    assert picture is not None
    assert face is not None
    scale = width_px / picture["width"]
    left, top = face["x"] - picture["x"], face["y"] - picture["y"]
    return (left + face["width"] / 2) * scale, (top + face["height"] / 2) * scale


@in_one_loop()
async def view(open_page: OpenPage) -> FacetPage:
    """The view where no embedder runs: faces are found, but not compared."""
    return await open_page("compare")


@in_one_loop()
async def open_comparing(browser: Browser, compare_gateway_url: str) -> AsyncIterator[OpenPage]:
    """Opens the page of a stack with an embedder."""
    async with strict_pages(browser, compare_gateway_url) as open_one:
        yield open_one


@in_one_loop()
async def comparing(open_comparing: OpenPage) -> FacetPage:
    """The view where an embedder runs."""
    return await open_comparing("compare")


async def test_two_pictures_of_one_person_are_probably_the_same_person(comparing: FacetPage) -> None:
    page = comparing.page
    await pick_both(page, portrait(), mirrored())
    await answers(page, "Probably the same person")
    similarity = page.get_by_role("meter", name="Similarity")
    await expect(similarity).to_have_attribute("aria-valuetext", re.compile(r"^Similarity 0\.\d\d, threshold 0\.\d\d$"))
    await expect(verdict(page)).to_contain_text(re.compile(r"Model \S+@[0-9a-f]{12}"))
    await expect(verdict(page)).to_contain_text("This is evidence, not proof")
    await expect(page.locator("[data-part=announcer]")).to_contain_text("Probably the same person. Similarity 0.")
    assert np.allclose(await outlined_center(slot(page, "First picture"), 512), FACE_CENTER, atol=30)
    assert np.allclose(await outlined_center(slot(page, "Second picture"), 512), (512 - 222, 118), atol=30)


async def test_replaced_picture_is_compared_anew(comparing: FacetPage, shared_dir: Path) -> None:
    page = comparing.page
    await pick_both(page, portrait(), mirrored())
    await answers(page, "Probably the same person")
    await pick(slot(page, "Second picture"), person(shared_dir, 0))
    await answers(page, "Probably different people")
    await pick(slot(page, "First picture"), person(shared_dir, 1))
    await expect(slot(page, "First picture")).to_contain_text("1 face found")
    await answers(page, "Probably different people")


async def test_swapped_pictures_keep_their_answer(comparing: FacetPage) -> None:
    page = comparing.page
    await pick_both(page, portrait("a.jpg"), mirrored("b.jpg"))
    await answers(page, "Probably the same person")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)

    await page.get_by_role("button", name="Swap the pictures").click()
    await expect(slot(page, "First picture")).to_contain_text("b.jpg")
    await expect(slot(page, "Second picture")).to_contain_text("a.jpg")
    assert np.allclose(await outlined_center(slot(page, "Second picture"), 512), FACE_CENTER, atol=30)
    await answers(page, "Probably the same person")
    assert asked == []


async def test_answer_is_given_in_the_language_switched_to(comparing: FacetPage) -> None:
    page = comparing.page
    await pick_both(page, portrait(), mirrored())
    await answers(page, "Probably the same person")
    await page.get_by_role("button", name="切换到简体中文").click()
    await answers(page, "很可能是同一个人")
    await expect(page).to_have_title(re.compile("比对人脸"))


async def test_answer_fits_a_phone_in_both_languages(open_comparing: OpenPage) -> None:
    for locale in ("en-US", "zh-CN"):
        facet = await open_comparing("compare", locale=locale, **PHONE)
        await pick_both(facet.page, portrait("a-very-long-name-that-no-phone-can-show-on-one-line.jpg"), mirrored())
        await expect(facet.page.get_by_role("meter")).to_be_visible(timeout=TREATED_WITHIN_MS)
        assert not await facet.is_wider_than_its_window()


@pytest.mark.parametrize(
    ("similarity", "sentence"),
    [
        (-0.31, "Probably different people. Similarity \N{MINUS SIGN}0.31, threshold 0.29"),
        (0.23, "Probably different people. Similarity 0.23, threshold 0.29"),
        (0.25, "Too close to call. Similarity 0.25, threshold 0.29"),
        (0.33, "Too close to call. Similarity 0.33, threshold 0.29"),
        (0.35, "Probably the same person. Similarity 0.35, threshold 0.29"),
    ],
)
async def test_similarity_near_the_threshold_decides_nothing(view: FacetPage, similarity: float, sentence: str) -> None:
    ask = "(likeness) => import('/static/verdict.js').then(({ verdictInWords }) => verdictInWords(likeness))"
    assert await view.page.evaluate(ask, {"similarity": similarity, "threshold": 0.29}) == sentence


async def test_face_is_outlined_before_the_second_picture_is_there(view: FacetPage) -> None:
    first = slot(view.page, "First picture")
    await pick(first, portrait())
    assert np.allclose(await outlined_center(first, 512), FACE_CENTER, atol=30)
    await expect(first.get_by_alt_text("portrait.jpg, the compared face outlined")).to_be_visible()
    await expect(first).to_contain_text("1 face found")
    await expect(first.get_by_role("button", name="Replace")).to_be_focused()
    await expect(verdict(view.page)).to_be_hidden()


async def test_outline_follows_a_picture_that_the_camera_stored_lying(view: FacetPage) -> None:
    first = slot(view.page, "First picture")
    await pick(first, lying())
    assert np.allclose(await outlined_center(first, 400), FACE_CENTER, atol=30)


async def test_without_the_embedder_the_view_says_what_to_do_and_what_still_works(view: FacetPage) -> None:
    view.expected_errors.append("status of 503")
    page = view.page
    await pick_both(page, portrait(), mirrored())
    problem = verdict(page).get_by_role("alert")
    await expect(problem).to_contain_text("Comparing needs the embedder, which is not ready", timeout=TREATED_WITHIN_MS)
    await expect(problem).to_contain_text("`facet models pull mobilefacenet` installs one.")
    await expect(problem).to_contain_text("Hiding faces works without it.")
    await expect(problem).to_contain_text("Status 503, request ")
    await expect(page.locator("[data-part=banner]")).to_be_hidden()

    async with page.expect_response("**/v1/compare*"):
        await problem.get_by_role("button", name="Retry").click()
    await expect(problem).to_be_visible()


async def test_problems_are_told_beside_the_picture_they_concern(view: FacetPage) -> None:
    view.expected_errors += ["status of 413", "status of 415"]
    page = view.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/compare" in request.url else None)
    first, second = slot(page, "First picture").get_by_role("alert"), slot(page, "Second picture").get_by_role("alert")

    await pick_both(page, text_file(), empty_wall())
    await expect(first).to_contain_text("This is not a picture in a known format", timeout=TREATED_WITHIN_MS)
    await expect(second).to_contain_text("No face found", timeout=TREATED_WITHIN_MS)
    await expect(second).to_contain_text("Choose a picture that shows the face larger or sharper.")

    await pick_both(page, portrait(), huge())
    await expect(first).to_be_hidden()
    await expect(second).to_contain_text("This picture is too large", timeout=TREATED_WITHIN_MS)
    await expect(verdict(page)).to_be_hidden()
    assert asked == []


async def test_picture_that_could_not_be_sent_is_looked_at_once_the_server_answers_again(view: FacetPage) -> None:
    view.expected_errors.append("net::ERR_INTERNET_DISCONNECTED")
    first = slot(view.page, "First picture")
    await view.page.context.set_offline(True)
    await pick(first, portrait())
    await expect(first.get_by_role("alert")).to_contain_text("The server cannot be reached")

    await view.page.context.set_offline(False)
    await expect(first).to_contain_text("1 face found", timeout=TREATED_WITHIN_MS)
    await expect(first.get_by_role("alert")).to_be_hidden()


async def test_picture_the_browser_cannot_show_is_looked_at_all_the_same(view: FacetPage) -> None:
    first = slot(view.page, "First picture")
    await pick(first, portrait("scan.tif", "TIFF"))
    await expect(first).to_contain_text("1 face found", timeout=TREATED_WITHIN_MS)
    await expect(first.get_by_text("This browser cannot show this kind of picture.")).to_be_visible()


async def test_picture_lands_where_it_is_dropped_or_else_where_there_is_room(view: FacetPage) -> None:
    view.expected_errors.append("status of 503")
    page = view.page
    await drop(slot(page, "Second picture"), portrait("dropped-there.jpg"))
    await expect(slot(page, "Second picture")).to_contain_text("dropped-there.jpg")
    await drop(page.get_by_role("heading", level=1), portrait("dropped-anywhere.jpg"))
    await expect(slot(page, "First picture")).to_contain_text("dropped-anywhere.jpg")
    await expect(page.locator(".is-target")).to_have_count(0)


async def test_pasted_picture_fills_the_slot_that_has_the_focus(open_page: OpenPage) -> None:
    facet = await open_page("compare", permissions=["clipboard-read", "clipboard-write"])
    second = slot(facet.page, "Second picture")
    await copy(facet.page, portrait(file_format="PNG"))
    await second.get_by_role("button", name="Choose a picture").focus()
    await facet.page.keyboard.press("Control+V")
    await expect(second).to_contain_text("1 face found", timeout=TREATED_WITHIN_MS)


async def test_two_pictures_picked_at_once_fill_both_slots(view: FacetPage) -> None:
    view.expected_errors.append("status of 503")
    page = view.page
    async with page.expect_file_chooser() as chooser:
        await slot(page, "Second picture").get_by_role("button", name="Choose a picture").click()
    await (await chooser.value).set_files([portrait("a.jpg"), portrait("b.jpg"), portrait("c.jpg")])
    await expect(slot(page, "First picture")).to_contain_text("a.jpg")
    await expect(slot(page, "Second picture")).to_contain_text("b.jpg")
    await expect(page.get_by_role("alert").filter(has_text="Only two pictures can be compared")).to_be_visible()


async def test_clearing_leads_back_to_the_invitations(view: FacetPage) -> None:
    view.expected_errors.append("status of 503")
    page = view.page
    await pick_both(page, portrait(), mirrored())
    await slot(page, "Second picture").get_by_role("button", name="Remove this picture").click()
    await expect(slot(page, "Second picture").get_by_role("button", name="Choose a picture")).to_be_focused()
    await page.get_by_role("button", name="Clear both pictures").click()
    await expect(slot(page, "First picture").get_by_role("button", name="Choose a picture")).to_be_focused()
    await expect(page.get_by_role("button", name="Clear both pictures")).to_be_disabled()
    await expect(page.locator(".detection")).to_have_count(0)


async def test_views_have_addresses_that_keyboard_and_back_button_lead_to(facet: FacetPage) -> None:
    page = facet.page
    await page.get_by_role("link", name="Compare faces").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Are they the same person?")).to_be_focused()
    await expect(page).to_have_title("Facet: compare faces")
    await expect(page.get_by_role("link", name="Compare faces")).to_have_attribute("aria-current", "page")

    await page.go_back()
    await expect(page.get_by_role("heading", name="Hide every face in your pictures")).to_be_focused()
    await expect(page).to_have_title("Facet: hide faces in pictures")
    await expect(page.get_by_role("link", name="Compare faces")).not_to_have_attribute("aria-current", "page")


async def test_pictures_of_one_view_stay_there_while_the_other_is_seen(facet: FacetPage) -> None:
    await facet.pick(portrait("hidden.jpg"))
    await facet.shows("1 face hidden")
    await facet.page.get_by_role("link", name="Compare faces").click()
    await drop(slot(facet.page, "First picture"), portrait("compared.jpg"))
    await expect(slot(facet.page, "First picture")).to_contain_text("1 face found", timeout=TREATED_WITHIN_MS)

    await facet.page.get_by_role("link", name="Hide faces").click()
    await expect(facet.page.locator("[data-part=name]")).to_have_text("hidden.jpg")
    await facet.shows("1 face hidden")


async def test_phone_never_needs_to_scroll_sideways_to_compare(open_page: OpenPage) -> None:
    for locale in ("en-US", "zh-CN"):
        facet = await open_page("compare", locale=locale, **PHONE)
        facet.expected_errors += ["status of 415", "status of 503"]
        assert not await facet.is_wider_than_its_window()
        await pick_both(facet.page, portrait("a-very-long-name-that-no-phone-can-show-on-one-line.jpg"), text_file())
        await expect(facet.page.locator(".slot [role=alert]:visible")).to_be_visible(timeout=TREATED_WITHIN_MS)
        assert not await facet.is_wider_than_its_window()
        await pick(facet.page.locator(".slot").nth(1), mirrored())
        await expect(verdict(facet.page).get_by_role("alert")).to_be_visible(timeout=TREATED_WITHIN_MS)
        assert not await facet.is_wider_than_its_window()
