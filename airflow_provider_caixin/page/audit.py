"""Who did what on the page: in Airflow's audit log and in the api-server's log. No full numbers."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from airflow.models.log import Log
from airflow.utils.session import create_session

from airflow_provider_caixin.ledger.views.campaigns import Summary
from airflow_provider_caixin.page.rights import Rights

log = logging.getLogger(__name__)

_PREFIX: Final = "caixin_"


def record(rights: Rights, event: str, campaign: Summary | None = None, **details: object) -> None:
    """Record what someone does, before it is done.

    :param event: what is done, such as ``pause_campaign``.
    :param campaign: on which campaign; its Dag's audit log has the event, too.
    :param details: with what; numbers masked.
    """
    given = {"campaign_id": campaign.campaign_id, **details} if campaign else details
    task: dict[str, Any] = {}
    if campaign is not None and campaign.dag_id is not None:
        task = {"dag_id": campaign.dag_id, "run_id": campaign.run_id, "task_id": campaign.task_id}
    extra = json.dumps(given, ensure_ascii=False)
    log.info("%s on the Caixin page: %s %s", rights.name, event, extra)
    with create_session() as session:
        session.add(
            Log(_PREFIX + event, owner=rights.name, owner_display_name=rights.name, extra=extra, **task)
        )
