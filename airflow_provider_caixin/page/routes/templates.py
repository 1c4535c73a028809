"""The templates of a connection's account, as the gateway lists them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Annotated, Any, Final

from airflow.api_fastapi.core_api.security import requires_access_connection
from fastapi import APIRouter, Depends, Path

from airflow_provider_caixin.juhe import CaixinError, NotReached, OutcomeUnknown
from airflow_provider_caixin.page.connections import connection
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.page.templates import shown_template
from airflow_provider_caixin.page.time_limit import time_limited

log = logging.getLogger(__name__)

router = APIRouter()

#: Someone waits, and no task.
PATIENCE_SECONDS: Final = 8.0


@router.get(
    "/connections/{connection_id}/templates", dependencies=[Depends(requires_access_connection("GET"))]
)
@time_limited("gateway")
def templates(connection_id: Annotated[str, Path(max_length=250)]) -> dict[str, Any]:
    """List them, as the gateway answers now; not billed as far as its document says."""
    known = connection(connection_id)
    if known is None:
        raise Problem(404, "not_found", f"There is no connection {connection_id!r} of type caixin.")
    if known.settings is None:
        raise Problem(422, "invalid", known.problem or "The connection cannot be read.")
    client = replace(known.settings, timeout=min(known.settings.timeout, PATIENCE_SECONDS)).client()
    try:
        found = client.templates()
    except CaixinError as error:
        log.info("The Caixin page: connection %s: %s", connection_id, error)
        silent = isinstance(error, (NotReached, OutcomeUnknown))
        raise Problem(504 if silent else 502, "gateway", str(error)) from None
    finally:
        client.close()
    return {"templates": [shown_template(one) for one in found]}
