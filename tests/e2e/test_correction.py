"""What a person does to correct what was found: with the mouse, a finger or the keyboard alone."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import skimage
from PIL import Image
from playwright.async_api import FilePayload, Locator, Page, expect

from tests.e2e.conftest import (
    PHONE,
    TREATED_WITHIN_MS,
    FacetPage,
    OpenPage,
    empty_wall,
    encoded,
    mean_difference,
    portrait,
    tab_to,
)
from tests.support.pictures import encode, shown, turned

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEFT_FACE = np.s_[80:160, 190:255]  # of `pair`
RIGHT_FACE = np.s_[80:160, 769:834]
MISSED = (40, 300, 140, 420)  # x_min, y_min, x_max, y_max: where the tests say that a face was missed


def pair(name: str = "pair.jpg") -> FilePayload:
    """A picture of two faces, 1024 x 512: `portrait` and its mirror image."""
    astronaut = skimage.data.astronaut()
    content = encoded(np.ascontiguousarray(np.hstack([astronaut, astronaut[:, ::-1]])))
    return FilePayload(name=name, mimeType="image/jpeg", buffer=content)


def lying(name: str = "lying.jpg") -> FilePayload:
    """`portrait` as a camera held sideways stores it: 400 x 512 when upright, turned, with the note that tells how."""
    content = turned(Image.fromarray(skimage.data.astronaut()[:, :400]), 6, "JPEG")
    return FilePayload(name=name, mimeType="image/jpeg", buffer=content)


async def start_correcting(facet: FacetPage, name: str = "Correct faces") -> Locator:
    """Presses the button that leads there; answers what covers the picture."""
    await facet.page.get_by_role("button", name=name, exact=True).click()
    layer = facet.page.locator(".marks")
    await expect(layer).to_be_visible(timeout=TREATED_WITHIN_MS)
    return layer


async def on_screen(layer: Locator, width_px: int, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture lies in the window."""
    box = await layer.bounding_box()
    assert box is not None
    scale = box["width"] / width_px
    return box["x"] + x * scale, box["y"] + y * scale


async def draw(layer: Locator, width_px: int, box: tuple[int, int, int, int]) -> None:
    """Drags the mouse from one corner of a box to the other; the box is in pixels of the picture."""
    mouse = layer.page.mouse
    await mouse.move(*await on_screen(layer, width_px, *box[:2]))
    await mouse.down()
    await mouse.move(*await on_screen(layer, width_px, *box[2:]), steps=4)
    await mouse.up()


async def draw_with_finger(layer: Locator, width_px: int, box: tuple[int, int, int, int]) -> None:
    """The same with a finger."""
    session = await layer.page.context.new_cdp_session(layer.page)
    corners = [await on_screen(layer, width_px, *corner) for corner in (box[:2], box[2:])]
    middle = np.mean(corners, axis=0)
    for kind, (x, y) in zip(("touchStart", "touchMove", "touchMove"), (corners[0], middle, corners[1]), strict=True):
        await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def face(page: Page, name: str) -> Locator:
    """The box of a face, by what it is called."""
    return page.get_by_role("button", name=name, exact=True)


def assert_black_exactly_there(before: bytes, after: bytes, box: tuple[int, int, int, int]) -> None:
    """Holds where the box, pixels of the upright picture, was covered and nothing near it was changed."""
    old, new = (np.asarray(shown(file).convert("RGB"), np.int16) for file in (before, after))
    x_min, y_min, x_max, y_max = box
    slack = 4  # the screen's pixels are larger than the picture's
    assert new[y_min + slack : y_max - slack, x_min + slack : x_max - slack].max() < 20
    around = np.s_[y_min - 24 : y_max + 24, x_min - 24 : x_max + 24]
    changed = np.abs(new - old)[around].max(axis=-1) > 40
    changed[24 - 12 : -(24 - 12), 24 - 12 : -(24 - 12)] = False
    assert not changed.any()


async def choose_plain_black(page: Page) -> None:
    """So that the result shows where a box was: black, its whole box, no margin."""
    await page.get_by_text(re.compile("Advanced|高级")).click()
    await page.get_by_role("slider", name=re.compile("Margin|边距")).fill("0")
    await page.get_by_role("radio", name=re.compile("Box|矩形")).click()
    async with page.expect_response(lambda response: "style=solid" in response.url):
        await page.get_by_role("radio", name=re.compile("Solid|纯色")).click()


async def test_face_kept_with_the_mouse_stays_as_it_is_and_is_not_counted(facet: FacetPage) -> None:
    picture = pair()
    await facet.pick(picture)
    await facet.shows("2 faces hidden")
    layer = await start_correcting(facet)
    await expect(layer.get_by_role("button")).to_have_count(2)

    await facet.page.mouse.click(*await on_screen(layer, 1024, 802, 118))
    await expect(face(facet.page, "Face 2: kept")).to_have_text("Kept")
    await expect(facet.page.get_by_role("heading", name="1 of 2 faces to hide")).to_be_visible()
    await facet.page.get_by_role("button", name="Apply").click()

    await facet.shows("1 face hidden")
    await expect(facet.page.locator("p[data-part=model]")).to_have_text("Corrected by hand")
    await expect(facet.slider).to_be_visible()
    _, downloaded = await facet.download("Download")
    assert mean_difference(picture["buffer"], downloaded, LEFT_FACE) > 15
    assert mean_difference(picture["buffer"], downloaded, RIGHT_FACE) < 1


async def test_missed_face_drawn_with_the_mouse_is_hidden_exactly_there(facet: FacetPage) -> None:
    picture = pair()
    await facet.pick(picture)
    await facet.shows("2 faces hidden")
    await choose_plain_black(facet.page)
    layer = await start_correcting(facet)
    await draw(layer, 1024, MISSED)
    await expect(face(facet.page, "Face 3, added: hidden")).to_be_focused()
    await facet.page.get_by_role("button", name="Apply").click()

    await facet.shows("3 faces hidden")
    _, downloaded = await facet.download("Download")
    assert_black_exactly_there(picture["buffer"], downloaded, MISSED)


async def test_finger_corrects_a_picture_turned_by_its_camera_on_a_chinese_phone(open_page: OpenPage) -> None:
    facet = await open_page(locale="zh-CN", **PHONE)
    picture = lying()
    await facet.pick(picture)
    await facet.shows("已隐藏 1 张人脸")
    await choose_plain_black(facet.page)
    layer = await start_correcting(facet, "修正人脸")
    assert not await facet.is_wider_than_its_window()

    await face(facet.page, "人脸 1：隐藏").tap()  # noqa: RUF001
    await expect(face(facet.page, "人脸 1：保留")).to_have_text("保留")  # noqa: RUF001
    await draw_with_finger(layer, 400, MISSED)
    await expect(face(facet.page, "人脸 2（添加）：隐藏")).to_be_visible()  # noqa: RUF001
    assert not await facet.is_wider_than_its_window()
    await facet.page.get_by_role("button", name="应用").tap()

    await facet.shows("已隐藏 1 张人脸")
    await expect(facet.page.get_by_text("已手动修正")).to_be_visible()
    _, downloaded = await facet.download("下载")
    assert_black_exactly_there(picture["buffer"], downloaded, MISSED)
    assert mean_difference(encode(shown(picture["buffer"]), "PNG"), encode(shown(downloaded), "PNG"), LEFT_FACE) < 1


async def test_whole_correction_can_be_made_with_the_keyboard(facet: FacetPage) -> None:
    page, keyboard = facet.page, facet.page.keyboard
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await choose_plain_black(page)
    await tab_to(page, face(page, "Correct faces"))
    await keyboard.press("Enter")
    await expect(face(page, "Face 1: hidden")).to_be_focused(timeout=TREATED_WITHIN_MS)
    await keyboard.press("Space")
    await expect(face(page, "Face 1: kept")).to_be_focused()
    await keyboard.press("Enter")
    await expect(face(page, "Face 1: hidden")).to_be_focused()

    await tab_to(page, face(page, "Add a box"))
    await keyboard.press("Enter")
    await keyboard.press("Delete")
    await expect(page.locator(".mark")).to_have_count(1)
    await expect(face(page, "Add a box")).to_be_focused()
    await keyboard.press("Enter")
    added = face(page, "Face 2, added: hidden")
    await expect(added).to_be_focused()
    for keys in ("ArrowLeft", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowUp"):
        for _ in range(10):
            await keyboard.press(keys)

    await tab_to(page, face(page, "Apply"))
    await keyboard.press("Enter")
    await facet.shows("2 faces hidden")
    await expect(face(page, "Correct faces")).to_be_focused()
    _, downloaded = await facet.download("Download")
    middle, step = 0.2 * 512, 0.01 * 512
    edges = np.array([-middle / 2, -middle / 2, middle / 2, middle / 2]) + 256
    x_min, y_min, x_max, y_max = (edges + step * np.array([-10, 10, 10, 0])).round().astype(int)
    assert_black_exactly_there(portrait()["buffer"], downloaded, (x_min, y_min, x_max, y_max))


async def test_what_is_sent_are_the_hidden_faces_with_the_landmarks_that_were_found(facet: FacetPage) -> None:
    box = {"x_min": 10, "y_min": 20, "x_max": 30, "y_max": 50}
    found = {"box": box, "confidence": 0.9, "landmarks": {"nose_tip": [20, 35]}}
    other = {**found, "box": {**box, "x_min": 60, "x_max": 90}}
    sent = await facet.page.evaluate(
        """(detections) => import("/static/marks.js").then(({ Marks }) => {
          const marks = Marks.of(detections);
          marks.toggle(marks.all[0]);
          marks.reshape(marks.addInMiddle(), { x_min: -5, y_min: 70, x_max: 40, y_max: 999 });
          return JSON.stringify(marks);
        })""",
        {"width": 100, "height": 80, "model": "m", "notice": "", "faces": [other, found]},
    )
    assert json.loads(sent) == {
        "width": 100,
        "height": 80,
        "faces": [
            {"box": other["box"], "landmarks": found["landmarks"]},
            {"box": {"x_min": 0, "y_min": 70, "x_max": 40, "y_max": 80}, "landmarks": {}},
        ],
    }


async def test_added_box_can_be_moved_put_back_and_removed(facet: FacetPage) -> None:
    page = facet.page
    await facet.pick(portrait())
    layer = await start_correcting(facet)
    await draw(layer, 512, MISSED)
    added = face(page, "Face 2, added: hidden")
    before = await added.bounding_box()
    assert before is not None

    await draw(layer, 512, (90, 360, 190, 400))  # within it: takes hold of it
    moved = await added.bounding_box()
    assert moved is not None
    assert np.allclose([moved["width"], moved["height"]], [before["width"], before["height"]], atol=1)
    scale = before["width"] / 100
    assert np.allclose([moved["x"] - before["x"], moved["y"] - before["y"]], [100 * scale, 40 * scale], atol=2)

    await page.mouse.move(*await on_screen(layer, 512, 400, 300))
    await page.mouse.down()
    await page.mouse.move(*await on_screen(layer, 512, 480, 380))
    await expect(page.locator(".mark")).to_have_count(3)
    await page.keyboard.press("Escape")
    await page.mouse.up()
    await expect(page.locator(".mark")).to_have_count(2)

    await page.get_by_role("button", name="Remove face 2").click()
    await expect(page.locator(".mark")).to_have_count(1)


async def test_correction_is_not_lost_while_another_picture_is_looked_at_and_ends_with_cancel(facet: FacetPage) -> None:
    page = facet.page
    await facet.pick(pair(), empty_wall())
    await expect(facet.total).to_have_text("2 pictures · 2 faces hidden", timeout=TREATED_WITHIN_MS)
    await start_correcting(facet)
    await face(page, "Face 1: hidden").click()
    await facet.cards.filter(has_text="wall.png").click()
    await expect(facet.headline).to_have_text("No face found")
    await facet.cards.filter(has_text="pair.jpg").click()
    await start_correcting(facet)
    await expect(face(page, "Face 1: kept")).to_be_visible()

    await page.get_by_role("button", name="Cancel").click()
    await expect(facet.headline).to_have_text("2 faces hidden")
    await start_correcting(facet)
    await expect(face(page, "Face 1: hidden")).to_be_visible()


async def test_correction_outlives_a_change_of_style_and_can_be_undone(facet: FacetPage) -> None:
    page = facet.page
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await start_correcting(facet)
    await expect(page.get_by_role("button", name="Undo corrections")).to_be_hidden()
    await face(page, "Face 1: hidden").click()
    await page.get_by_role("button", name="Apply").click()
    await facet.shows("No face hidden")
    await expect(page.get_by_role("alert").filter(has_text="you kept every face")).to_be_visible()

    async with page.expect_response(lambda response: "style=blur" in response.url):
        await page.get_by_role("radio", name="Blur").click()
    await facet.shows("No face hidden")
    await start_correcting(facet)
    await expect(face(page, "Face 1: kept")).to_be_visible()
    await page.get_by_role("button", name="Undo corrections").click()
    await facet.shows("1 face hidden")


async def test_correction_that_cannot_begin_is_answered_in_words(facet: FacetPage) -> None:
    facet.expected_errors.append("net::ERR_INTERNET_DISCONNECTED")
    await facet.pick(portrait())
    await facet.shows("1 face hidden")
    await facet.page.context.set_offline(True)
    await face(facet.page, "Correct faces").click()
    alert = facet.page.get_by_role("alert").filter(has_text="The detections could not be fetched")
    await expect(alert).to_contain_text("The server cannot be reached")
    await expect(facet.headline).to_be_visible()
    await facet.page.context.set_offline(False)
    await start_correcting(facet)


async def test_picture_that_the_browser_cannot_show_offers_no_correction(facet: FacetPage) -> None:
    await facet.pick(portrait("scan.tif", "TIFF"))
    await facet.shows("1 face hidden")
    await expect(face(facet.page, "Correct faces")).to_be_disabled()
