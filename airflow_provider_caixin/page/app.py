"""The Caixin page's FastAPI app, which Airflow's api-server mounts."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Final

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from airflow_provider_caixin.page.headers import Headers
from airflow_provider_caixin.page.problems import add_handlers
from airflow_provider_caixin.page.routes import (
    accounts,
    campaigns,
    overview,
    recipients,
    session,
    templates,
    usage,
)

STATIC: Final = Path(__file__).parent / "static"
# What a host's own table may say of them makes browsers refuse them.
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}


def make_app() -> FastAPI:
    """Make the app: every route needs a signed-in user who may see plugins, except the static files.

    FastAPI's own pages (docs, openapi.json) would be open to all, and are off.
    """
    for suffix, kind in _TYPES.items():
        mimetypes.add_type(kind, suffix)
    app = FastAPI(
        title="Caixin",
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(Headers)
    add_handlers(app)
    api = APIRouter(prefix="/api")
    for one in (session, overview, campaigns, templates, accounts, recipients, usage):
        api.include_router(one.router)
    app.include_router(api)
    app.add_api_route("/", _index, methods=["GET"])
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _index() -> FileResponse:
    """Return the page; whoever is not signed in gets a sentence instead."""
    return FileResponse(STATIC / "index.html")
