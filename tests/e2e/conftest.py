"""A browser that lets nothing pass: no console error, no policy violation, no request to another origin."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import pytest_asyncio
import skimage
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Browser, FilePayload, Locator, Page, async_playwright, expect

CHROMIUM_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
in_one_loop = partial(pytest_asyncio.fixture, loop_scope="module")
"""For fixtures of tests that share a browser, which belongs to one event loop."""
TREATED_WITHIN_MS = 30_000  # on a busy machine; a picture takes well under a second on an idle one

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
MAKE_TRANSFER = """([name, type, content]) => {
  const transfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}"""
COPY_PICTURE = """async (content) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": new Blob([bytes], { type: "image/png" }) })]);
}"""
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "TIFF": "image/tiff"}


def encoded(pixels: NDArray[np.uint8], file_format: str = "JPEG") -> bytes:
    """A picture's file; `pixels` are H x W x 3, RGB."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


def portrait(name: str = "portrait.jpg", file_format: str = "JPEG") -> FilePayload:
    """A picture of one face, 512 x 512; the face lies around (222, 118)."""
    content = encoded(skimage.data.astronaut(), file_format)
    return FilePayload(name=name, mimeType=MEDIA_TYPES[file_format], buffer=content)


def empty_wall(name: str = "wall.png") -> FilePayload:
    """A picture of no face."""
    return FilePayload(name=name, mimeType="image/png", buffer=encoded(np.full((300, 400, 3), 128, np.uint8), "PNG"))


def text_file(name: str = "notes.txt") -> FilePayload:
    """Not a picture."""
    return FilePayload(name=name, mimeType="text/plain", buffer=b"not a picture")


def mean_difference(before: bytes, after: bytes, where: tuple[slice, slice]) -> float:
    """Mean absolute difference of two picture files within a part of them, grey levels."""
    parts = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.int16)[where] for file in (before, after)]
    return float(np.abs(parts[0] - parts[1]).mean())


async def tab_to(page: Page, target: Locator) -> None:
    """Presses Tab until the target has the focus."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"no Tab leads to {target}")


async def drop(where: Locator, picture: FilePayload) -> None:
    """Drops a file on an element."""
    content = base64.b64encode(picture["buffer"]).decode()
    transfer = await where.page.evaluate_handle(MAKE_TRANSFER, [picture["name"], picture["mimeType"], content])
    for event in ("dragenter", "dragover", "drop"):
        await where.dispatch_event(event, {"dataTransfer": transfer})


async def copy(page: Page, picture: FilePayload) -> None:
    """Copies a PNG to the clipboard; the page needs the permissions for it."""
    await page.evaluate(COPY_PICTURE, base64.b64encode(picture["buffer"]).decode())


@dataclass(kw_only=True)
class FacetPage:
    """The page and the parts of it that tests operate."""

    page: Page
    expected_errors: list[str] = field(default_factory=list)
    """What the browser may complain about, as parts of its messages: it logs each refused request."""

    @property
    def headline(self) -> Locator:
        """What was found in the selected picture."""
        return self.page.locator("[data-part=faces]")

    @property
    def total(self) -> Locator:
        """What became of all pictures, where there are several."""
        return self.page.locator("[data-part=total-text]")

    @property
    def slider(self) -> Locator:
        """The divider between before and after."""
        return self.page.get_by_role("slider", name="Compare before and after")

    @property
    def cards(self) -> Locator:
        """The loaded pictures, where there are several."""
        return self.page.get_by_role("listbox", name=re.compile("Pictures|图片列表")).get_by_role("option")

    async def pick(self, *files: FilePayload) -> None:
        """Picks files through the page's file dialog."""
        button = self.page.locator("[data-action=choose]:visible")
        async with self.page.expect_file_chooser() as chooser:
            await button.click()
        await (await chooser.value).set_files(list(files))

    async def shows(self, sentence: str) -> None:
        """Waits until the selected picture is treated and its headline is this."""
        await expect(self.headline).to_have_text(sentence, timeout=TREATED_WITHIN_MS)

    async def download(self, button: str) -> tuple[str, bytes]:
        """Presses a download button; answers the file's name and content."""
        async with self.page.expect_download() as download:
            await self.page.get_by_role("button", name=button, exact=True).click()
        file = await download.value
        path = await file.path()
        return file.suggested_filename, path.read_bytes()

    async def is_wider_than_its_window(self) -> bool:
        """Whether one would have to scroll sideways."""
        wider: bool = await self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        return wider


OpenPage = Callable[..., Awaitable[FacetPage]]


@in_one_loop(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, one for all tests of a file; each has contexts of its own, which share nothing."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("the page is tested in a real browser: apt-get install chromium fonts-dejavu-core")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def strict_pages(browser: Browser, gateway_url: str) -> AsyncIterator[OpenPage]:
    """Opens pages, with any options of a browser context, and holds them to the rules until the end."""
    opened: list[FacetPage] = []
    complaints: list[str] = []
    foreign: list[str] = []

    def note_request(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "blob" and parts.netloc != urlsplit(gateway_url).netloc:
            foreign.append(url)

    async def open_one(view: str = "hide", **options: object) -> FacetPage:
        settings: dict[str, Any] = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options}
        context = await browser.new_context(**settings)
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: note_request(request.url))
        # The browser hands file dialogs over only some time after the first listener: be early, or a quick one is lost.
        page.on("filechooser", lambda _chooser: None)
        await page.goto(f"{gateway_url}/#{view}")
        opened.append(FacetPage(page=page))
        return opened[-1]

    yield open_one
    for facet in opened:
        await facet.page.context.close()
    expected = [part for facet in opened for part in facet.expected_errors]
    unexpected = [text for text in complaints if not any(part in text for part in expected)]
    assert unexpected == []
    assert foreign == []


@in_one_loop()
async def open_page(browser: Browser, gateway_url: str) -> AsyncIterator[OpenPage]:
    """Opens the page of the stack that most tests share: no embedder runs there."""
    async with strict_pages(browser, gateway_url) as open_one:
        yield open_one


@in_one_loop()
async def facet(open_page: OpenPage) -> FacetPage:
    """The page in English, on a desk."""
    return await open_page()
