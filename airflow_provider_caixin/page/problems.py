"""What is answered when something cannot be shown or done: a sentence and a stable word, no stack trace."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

Kind = Literal[
    "unauthenticated",
    "forbidden",
    "not_found",
    "refused",
    "invalid",
    "gateway",
    "ledger",
    "internal",
]

_KINDS: Final[dict[int, Kind]] = {401: "unauthenticated", 403: "forbidden", 404: "not_found"}
_SENTENCES: Final = {
    401: "You are not signed in, or no longer: sign in to Airflow and load the page again.",
    403: "Airflow does not allow you this: ask whoever administers it for the permission.",
    404: "There is nothing here.",
}
_SIGN_IN: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Caixin</title>
<p>You are not signed in: sign in to <a href="../" target="_top">Airflow</a> and load the page again.
<p lang="zh">您尚未登录：请先登录 <a href="../" target="_top">Airflow</a>，再重新打开本页。
</html>
"""


class Problem(Exception):
    """Why a request was not answered as asked.

    :param kind: the stable word for programs.
    :param detail: the sentence for users.
    """

    def __init__(self, status: int, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail


def no_such_campaign() -> Problem:
    """Make the same problem for a campaign that is not there and for one that the user may not see."""
    return Problem(404, "not_found", "This ledger has no such campaign, or it is not yours to see.")


def add_handlers(app: FastAPI) -> None:
    """Make an app answer problems in the page's shape: a sentence, and a stable word for programs."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)


def _answer(status: int, kind: Kind, detail: str) -> Response:
    return JSONResponse({"detail": detail, "kind": kind}, status)


def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return _answer(error.status, error.kind, error.detail)


def _invalid(_request: Request, error: Exception) -> Response:
    """Name the fields and what was expected, and not what was given: it may be a number."""
    if not isinstance(error, RequestValidationError):
        raise error
    sentences = {
        f"{'.'.join(str(part) for part in one['loc'][1:] if isinstance(part, str)) or 'body'}: {one['msg']}"
        for one in error.errors()
    }
    return _answer(422, "invalid", "; ".join(sorted(sentences)) + ".")


def _refused(request: Request, error: Exception) -> Response:
    """Put what Airflow and FastAPI refuse into the page's words."""
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    if status == 401 and "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_SIGN_IN, status)
    return _answer(status, _KINDS.get(status, "invalid"), _SENTENCES.get(status, str(error.detail)))
