"""`/` and `/docs`: the web page and the API's documentation, wholly from this server."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

WEB = Path(__file__).parents[1] / "web"
SWAGGER = Path(fastapi_offline.__file__).parent / "static"


def add_page(app: FastAPI) -> None:
    """Adds the page, its files under `/static`, and the documentation at `/docs`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    @router.get("/docs")
    async def docs() -> FileResponse:
        return FileResponse(WEB / "docs.html")

    @router.get("/favicon.ico")
    async def favicon() -> FileResponse:
        return FileResponse(WEB / "mark.svg")

    app.include_router(router)
    app.mount("/static/swagger", StaticFiles(directory=SWAGGER))
    app.mount("/static", StaticFiles(directory=WEB))
