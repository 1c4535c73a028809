"""The sandbox's FastAPI application: the inbox at ``/``, media, and control routes under ``/_sandbox``."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Query
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_caixin.juhe.codes import CODES
from airflow_provider_caixin.sandbox.magic import MAGIC, is_magic, magic_mobile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_caixin.sandbox.record import Record
    from airflow_provider_caixin.sandbox.sandbox import Sandbox

MEDIA = Path(__file__).parent / "media"
STATIC = Path(__file__).parent / "static"
# Parts, words, icons and tokens that the inbox has in common with the Caixin page: files for a browser, no
# Python.
SHARED = Path(__file__).parents[1] / "page" / "static" / "shared"
_LINES_AT_A_TIME = 200


class TemplateChange(BaseModel):
    """What ``POST /_sandbox/templates/{tpl_id}`` takes."""

    model_config = ConfigDict(extra="forbid")

    available: bool = False
    """whether it is available now"""

    available_in: Annotated[float, Field(ge=0)] | None = None
    """seconds after which it becomes available"""


def make_app(sandbox: Sandbox) -> FastAPI:
    """Return the application behind the gateway's endpoints.

    The documentation pages are closed: they would load script from another host. ``/_sandbox/openapi.json``
    has the routes.
    """
    app = FastAPI(title="caixin sandbox", openapi_url="/_sandbox/openapi.json", docs_url=None, redoc_url=None)
    app.mount("/media", StaticFiles(directory=MEDIA), name="media")
    app.mount("/static/shared", StaticFiles(directory=SHARED), name="shared")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def inbox_page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/_sandbox/state")
    async def state() -> dict[str, Any]:
        """Return counts, settings and templates, as they are now."""
        return {
            **sandbox.record.summary(),
            "in_air": sandbox.in_air,
            "template_calls": sandbox.template_calls,
            "settings": sandbox.settings.model_dump(),
            "templates": sandbox.templates.listed(""),
        }

    @app.get("/_sandbox/inbox")
    def inbox(
        search: Annotated[str, Query(max_length=64)] = "",
        before: Annotated[int, Query(ge=0)] | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        """Return the last sends, newest first, and the ``before`` of the next page; see ``Record.newest``."""
        record = sandbox.record
        messages, further = record.newest(search=search, before=before, limit=limit)
        return {"record": record.token, "messages": messages, "before": further}

    @app.get("/_sandbox/phone")
    def phone(
        mobile: Annotated[str, Query(max_length=64)],
        after: Annotated[int, Query(ge=-1)] = -1,
        limit: Annotated[int, Query(ge=1, le=200)] = 100,
    ) -> dict[str, Any]:
        """Return the last sends to one number, newest first."""
        record = sandbox.record
        return {
            "record": record.token,
            "messages": record.of_number(mobile, after=after, limit=limit),
        }

    @app.get("/_sandbox/requests")
    def requests(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        billed: bool = False,
    ) -> list[dict[str, Any]]:
        """Return one page of the sends, in the order of their arrival."""
        return list(sandbox.record.rows(billed=billed, offset=offset, limit=limit))

    @app.get("/_sandbox/billed")
    def billed_page(
        offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> list[dict[str, Any]]:
        """Return one page of the billed sends."""
        return list(sandbox.record.rows(billed=True, offset=offset, limit=limit))

    @app.get("/_sandbox/requests.jsonl")
    def all_requests() -> StreamingResponse:
        """Return all sends as JSON lines."""
        return _lines(sandbox.record, billed=False)

    @app.get("/_sandbox/billed.jsonl")
    def all_billed() -> StreamingResponse:
        """Return all billed sends as JSON lines."""
        return _lines(sandbox.record, billed=True)

    @app.get("/_sandbox/magic")
    async def magic() -> list[dict[str, Any]]:
        """Return the faults, each with the number that brings it about always, and the one for once."""
        return [
            {
                "number": number,
                "mobile": magic_mobile(number),
                "mobile_first_try": magic_mobile(number, tries=1),
                **{
                    name: value for name, value in asdict(fault).items() if name in ("name", "billed", "what")
                },
            }
            for number, fault in MAGIC.items()
        ]

    @app.get("/_sandbox/codes")
    async def codes() -> list[dict[str, Any]]:
        """Return the gateway's codes in words, each but 0 with its magic numbers."""
        return [
            {
                "number": code.code,
                "zh": code.zh,
                "en": code.en,
                "mobile": magic_mobile(code.code) if is_magic(code.code) else None,
                "mobile_first_try": magic_mobile(code.code, tries=1) if is_magic(code.code) else None,
            }
            for code in CODES.values()
        ]

    @app.post("/_sandbox/settings")
    async def settings(changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Change the settings that are named, and return all of them."""
        try:
            sandbox.settings = sandbox.settings.changed(changes)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return sandbox.settings.model_dump()

    @app.post("/_sandbox/templates/{tpl_id}")
    async def template(tpl_id: int, change: TemplateChange) -> dict[str, Any]:
        """Make a template available or unavailable, now or in some seconds."""
        changed = sandbox.templates.change(tpl_id, **change.model_dump())
        if changed is None:
            raise HTTPException(404, f"tpl_id {tpl_id}: not one of the sandbox's templates")
        return changed.as_listed("")

    @app.post("/_sandbox/reset")
    async def reset() -> dict[str, Any]:
        """Forget all sends, and go back to the settings and templates of the start."""
        sandbox.reset()
        return sandbox.settings.model_dump()

    return app


def _lines(record: Record, *, billed: bool) -> StreamingResponse:
    def lines() -> Iterator[str]:
        rows = record.rows(billed=billed)
        while batch := list(islice(rows, _LINES_AT_A_TIME)):
            yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in batch)

    return StreamingResponse(lines(), media_type="application/x-ndjson")
