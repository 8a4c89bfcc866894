"""What a person does with the web page, from the first drop to the download."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import expect

from tests.e2e.conftest import (
    PHONE,
    TREATED_WITHIN_MS,
    FacetPage,
    OpenPage,
    copy,
    drop,
    empty_wall,
    mean_difference,
    portrait,
    tab_to,
    text_file,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACE = np.s_[80:160, 190:255]  # within the face of `portrait`
BACKGROUND = np.s_[400:500, 0:100]


async def test_dropped_picture_comes_back_without_its_face(facet: FacetPage) -> None:
    picture = portrait()
    await drop(facet.page.locator("main"), picture)

    await facet.shows("1 face hidden")
    await expect(facet.page.locator("p[data-part=model]")).to_contain_text("@")
    await expect(facet.page.get_by_alt_text("portrait.jpg, before")).to_have_js_property("naturalWidth", 512)
    await expect(facet.page.get_by_alt_text("portrait.jpg, with its faces hidden")).to_be_visible()

    name, downloaded = await facet.download("Download")
    assert name == "portrait-anonymized.jpg"
    assert mean_difference(picture["buffer"], downloaded, FACE) > 15
    assert mean_difference(picture["buffer"], downloaded, BACKGROUND) < 5


async def test_pasted_picture_is_treated(open_page: OpenPage) -> None:
    facet = await open_page(permissions=["clipboard-read", "clipboard-write"])
    await copy(facet.page, portrait(file_format="PNG"))
    await facet.page.keyboard.press("Control+V")
    await facet.shows("1 face hidden")


async def test_pasted_text_is_answered_in_words(open_page: OpenPage) -> None:
    facet = await open_page(permissions=["clipboard-read", "clipboard-write"])
    await facet.page.evaluate("navigator.clipboard.writeText('hello')")
    await facet.page.keyboard.press("Control+V")
    await expect(facet.page.get_by_role("alert")).to_have_text("There was no picture in what you dropped or pasted.")


async def test_many_pictures_download_as_one_valid_zip(facet: FacetPage) -> None:
    await facet.pick(portrait("team.jpg"), portrait("TEAM.jpg"), portrait("合影.png", "PNG"), empty_wall())
    await expect(facet.cards).to_have_count(4)
    await expect(facet.total).to_have_text("4 pictures · 3 faces hidden", timeout=TREATED_WITHIN_MS)

    name, content = await facet.download("Download all")
    assert name == "facet-anonymized.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "team-anonymized.jpg",
            "TEAM-anonymized (2).jpg",
            "合影-anonymized.png",
            "wall-anonymized.png",
        ]
        hidden = archive.read("合影-anonymized.png")
        assert all(Image.open(archive.open(name)).size[0] in (512, 400) for name in archive.namelist())
    assert mean_difference(portrait()["buffer"], hidden, FACE) > 15


async def test_whole_way_can_be_gone_with_the_keyboard(facet: FacetPage) -> None:
    page = facet.page
    await tab_to(page, page.get_by_role("button", name="Choose pictures"))
    async with page.expect_file_chooser() as chooser:
        await page.keyboard.press("Enter")
    await (await chooser.value).set_files([portrait()])
    await facet.shows("1 face hidden")

    await tab_to(page, facet.slider)
    await page.keyboard.press("ArrowRight")
    await expect(facet.slider).to_have_value("2")

    await tab_to(page, page.get_by_role("radio", name="Mosaic"))
    async with page.expect_response(lambda response: "style=blur" in response.url):
        await page.keyboard.press("ArrowRight")
    await facet.shows("1 face hidden")

    download = page.get_by_role("button", name="Download", exact=True)
    await tab_to(page, download)
    async with page.expect_download() as file:
        await page.keyboard.press("Enter")
    assert (await file.value).suggested_filename == "portrait-anonymized.jpg"


async def test_slider_uncovers_the_picture_before(facet: FacetPage) -> None:
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await expect(facet.slider).to_have_value("0")
    await facet.slider.focus()

    await facet.page.keyboard.press("End")
    await expect(facet.slider).to_have_attribute("aria-valuetext", "100 % before")
    await facet.page.keyboard.press("Home")
    await expect(facet.slider).to_have_attribute("aria-valuetext", "0 % before")

    box = await facet.page.locator(".before-after").bounding_box()
    assert box is not None
    await facet.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await expect(facet.slider).to_have_value("50")


async def test_changed_setting_is_applied_to_pictures_already_loaded(facet: FacetPage) -> None:
    await facet.pick(portrait("a.jpg"), portrait("b.jpg"))
    await expect(facet.total).to_have_text("2 pictures · 2 faces hidden", timeout=TREATED_WITHIN_MS)
    _, mosaic = await facet.download("Download")

    async with facet.page.expect_response(lambda response: "style=solid" in response.url):
        await facet.page.get_by_role("radio", name="Solid").click()
    await expect(facet.total).to_have_text("2 pictures · 2 faces hidden", timeout=TREATED_WITHIN_MS)
    _, solid = await facet.download("Download")

    assert mean_difference(mosaic, solid, FACE) > 15
    await expect(facet.page.get_by_role("slider", name="Strength")).to_be_disabled()


async def test_detections_are_drawn_where_the_face_is(facet: FacetPage) -> None:
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await facet.page.get_by_role("button", name="Show detections").click()

    face = facet.page.locator(".detection")
    await expect(face).to_have_count(1, timeout=TREATED_WITHIN_MS)
    await expect(face).to_contain_text(" %")
    await expect(facet.slider).to_have_value("100")
    frame, box = await facet.page.locator(".before-after").bounding_box(), await face.bounding_box()
    assert frame is not None
    assert box is not None
    center = (box["x"] + box["width"] / 2 - frame["x"], box["y"] + box["height"] / 2 - frame["y"])
    assert np.allclose(np.array(center) * 512 / frame["width"], (222, 118), atol=30)


async def test_picture_without_a_face_is_called_so_and_looked_at_harder_on_demand(facet: FacetPage) -> None:
    await facet.pick(empty_wall())
    await facet.shows("No face found")
    warning = facet.page.get_by_role("alert").filter(has_text="No face was found")
    await expect(warning).to_contain_text("If there is one, try Recall: max.")

    async with facet.page.expect_response(lambda response: "recall=max" in response.url):
        await facet.page.get_by_role("button", name="Try Recall: max").click()
    await expect(warning).to_contain_text("even with Recall: max", timeout=TREATED_WITHIN_MS)


async def test_text_file_is_refused_in_words_beside_the_pictures(facet: FacetPage) -> None:
    facet.expected_errors.append("status of 415")
    await facet.pick(text_file(), portrait())
    problem = facet.page.get_by_role("alert").filter(has_text="This is not a picture in a known format")
    await expect(problem).to_contain_text("Status 415, request ", timeout=TREATED_WITHIN_MS)
    await expect(facet.cards.filter(has_text="notes.txt")).to_contain_text("This is not a picture in a known format")
    await expect(facet.cards.filter(has_text="portrait.jpg")).to_contain_text(
        "1 face hidden", timeout=TREATED_WITHIN_MS
    )
    await expect(facet.page.get_by_role("button", name="Download", exact=True)).to_be_disabled()

    async with facet.page.expect_response("**/v1/anonymize*"):
        await problem.get_by_role("button", name="Retry").click()
    await expect(problem).to_be_visible()


async def test_picture_that_could_not_be_sent_is_treated_once_the_server_answers_again(facet: FacetPage) -> None:
    facet.expected_errors.append("net::ERR_INTERNET_DISCONNECTED")
    await facet.page.context.set_offline(True)
    await facet.pick(portrait())
    await expect(facet.page.get_by_role("alert").filter(has_text="The server cannot be reached")).to_be_visible()
    await expect(facet.page.get_by_role("status").filter(has_text="The server does not answer")).to_be_visible()

    await facet.page.context.set_offline(False)
    await facet.shows("1 face hidden")
    await expect(facet.page.locator("[data-part=banner]")).to_be_hidden()


async def test_picture_the_browser_cannot_show_is_still_treated(facet: FacetPage) -> None:
    picture = portrait("scan.tif", "TIFF")
    await facet.pick(picture)
    await facet.shows("1 face hidden")
    await expect(facet.page.get_by_text("This browser cannot show this kind of picture. It is treated")).to_be_visible()

    name, downloaded = await facet.download("Download")
    assert name == "scan-anonymized.tiff"
    assert mean_difference(picture["buffer"], downloaded, FACE) > 15


async def test_removing_and_starting_over_lead_back_to_the_invitation(facet: FacetPage) -> None:
    await facet.pick(portrait("a.jpg"), portrait("b.jpg"))
    await expect(facet.cards).to_have_count(2)
    await facet.page.get_by_role("button", name="Remove this picture").click()
    await expect(facet.page.locator("[data-part=name]")).to_have_text("b.jpg")
    await facet.page.get_by_role("button", name="Start over").click()
    await expect(facet.page.get_by_role("button", name="Choose pictures")).to_be_focused()


async def test_language_follows_the_switch_and_is_all_that_is_remembered(facet: FacetPage) -> None:
    page = facet.page
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await page.get_by_role("button", name="切换到简体中文").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await facet.shows("已隐藏 1 张人脸")

    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("隐藏照片中的每一张脸")
    assert await page.evaluate("Object.keys(localStorage)") == ["facet.language"]
    assert await page.evaluate("[sessionStorage.length, document.cookie]") == [0, ""]


async def test_chinese_browser_is_greeted_in_chinese(open_page: OpenPage) -> None:
    facet = await open_page(locale="zh-CN")
    await expect(facet.page.get_by_role("heading", level=1)).to_have_text("隐藏照片中的每一张脸")


async def test_both_languages_say_everything(facet: FacetPage) -> None:
    messages = await facet.page.evaluate("import('/static/messages.js').then(({ en, zh }) => ({ en, zh }))")
    assert messages["en"].keys() == messages["zh"].keys()
    assert all(messages["zh"].values())


async def test_phone_never_needs_to_scroll_sideways(open_page: OpenPage) -> None:
    for locale in ("en-US", "zh-CN"):
        facet = await open_page(locale=locale, **PHONE)
        facet.expected_errors.append("status of 415")
        assert not await facet.is_wider_than_its_window()
        await facet.pick(portrait("a-very-long-name-that-no-phone-can-show-on-one-line.jpg"), empty_wall(), text_file())
        await expect(facet.cards.filter(has_text="notes.txt")).to_have_attribute("data-state", "failed")
        await expect(facet.page.locator("[data-part=total-progress]")).to_be_hidden(timeout=TREATED_WITHIN_MS)
        await facet.page.locator("summary").tap()
        for card in await facet.cards.all():
            await card.tap()
            assert not await facet.is_wider_than_its_window()


async def test_page_names_its_promise_and_leads_to_the_api(facet: FacetPage) -> None:
    await expect(facet.page.get_by_text("Nothing is stored.").first).to_be_visible()
    documentation = await facet.page.get_by_role("link", name="API").evaluate("(link) => link.href")
    assert (await facet.page.request.get(documentation)).ok
