"""Campaigns as the page shows them, and which of them a user sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy.engine import Connection

from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.ledger.views.campaigns import Summary
from airflow_provider_caixin.page.problems import no_such_campaign
from airflow_provider_caixin.page.rights import Dags, Rights
from airflow_provider_caixin.settings.options import ui_path
from airflow_provider_caixin.vocabulary import State, Status

_LOOK_BACK_SECONDS: Final = 3 * traffic_rows.MINUTE_SECONDS
# In less time a rate says nothing yet.
_LEAST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class CampaignView:
    """What of a ledger a user sees and edits, as of one transaction.

    :param seen: the Dags whose campaigns the user may see.
    :param edited: the Dags whose campaigns the user may change.
    """

    now: float
    seen: Dags
    edited: Dags

    @classmethod
    def of(cls, ledger: Ledger, connection: Connection, rights: Rights) -> CampaignView:
        """Load the view of a user, in any transaction of a ledger."""
        ids = campaign_views.dags(connection)
        return cls(ledger.now(connection), rights.dags("GET", ids), rights.dags("PUT", ids))

    def campaign(self, connection: Connection, campaign_key: int) -> Summary:
        """Load a campaign that the user may see.

        :raises Problem: when there is none.
        """
        return self._checked(campaign_views.campaign(connection, campaign_key, self.now))

    def find(self, connection: Connection, campaign_id: str) -> Summary:
        """Load a campaign that the user may see, by its id.

        :raises Problem: when there is none.
        """
        return self._checked(campaign_views.find(connection, campaign_id, self.now))

    def _checked(self, found: Summary | None) -> Summary:
        if found is None or not self.seen.has(found.dag_id):
            raise no_such_campaign()
        return found

    def may_edit(self, campaign: Summary) -> bool:
        """Check whether the user may change a campaign, which takes seeing it."""
        return self.seen.has(campaign.dag_id) and self.edited.has(campaign.dag_id)

    def shown(self, connection: Connection, campaigns: Sequence[Summary]) -> list[dict[str, Any]]:
        """Return campaigns in the page's shape."""
        running = [one.key for one in campaigns if one.status(self.now) is Status.RUNNING]
        minutes = (
            usage_views.recent(connection, running, self.now - _LOOK_BACK_SECONDS, self.now)
            if running
            else {}
        )
        return [self._shown(one, minutes.get(one.key, {})) for one in campaigns]

    def _shown(self, one: Summary, minutes: Mapping[int, int]) -> dict[str, Any]:
        status = one.status(self.now)
        rate = recent_rate(minutes, self.now, one) if status is Status.RUNNING else None
        plain = (
            "key",
            "campaign_id",
            "tpl_id",
            "account",
            "account_paused",
            "paused",
            "created_at",
            "active_at",
        )
        owner = ("quota_since", "dag_id", "run_id", "task_id", "map_index", "rate", "total")
        return {
            **{name: getattr(one, name) for name in (*plain, *owner)},
            "status": status.value,
            "rate_now": rate,
            "eta": one.left / rate if rate else None,
            "loosened": (one.loosened or "").splitlines(),
            "counts": {state.value: getattr(one, state.value) for state in State},
            "may_edit": self.may_edit(one),
            "links": _links(one) if one.dag_id in self.seen.known else dict.fromkeys(("task", "run", "dag")),
        }


def recent_rate(minutes: Mapping[int, int], now: float, campaign: Summary) -> float:
    """Estimate the messages a second of a campaign that runs.

    :param minutes: its requests by minute.
    """
    this = traffic_rows.minute_of(now)
    into = now - this * traffic_rows.MINUTE_SECONDS
    current, last = minutes.get(this, 0), minutes.get(this - 1, 0)
    if minutes.get(this - 2):
        # It was sending through the whole of the last minute.
        rate = (last + current) / (traffic_rows.MINUTE_SECONDS + into)
    elif last and into < _LEAST_SECONDS:
        rate = last / max(
            _LEAST_SECONDS,
            this * traffic_rows.MINUTE_SECONDS
            - max(campaign.loaded_at or 0.0, (this - 1) * traffic_rows.MINUTE_SECONDS),
        )
    else:
        rate = current / max(
            _LEAST_SECONDS, now - max(campaign.loaded_at or 0.0, this * traffic_rows.MINUTE_SECONDS)
        )
    return min(rate, campaign.rate or rate)


def _links(one: Summary) -> dict[str, str | None]:
    dag = f"{ui_path()}/dags/{quote(one.dag_id or '', safe='')}"
    run = f"{dag}/runs/{quote(one.run_id, safe='')}" if one.run_id else None
    task = f"{run}/tasks/{quote(one.task_id, safe='')}" if run and one.task_id else None
    if task and (one.map_index or 0) >= 0 and one.map_index is not None:
        task += f"/mapped/{one.map_index}"
    return {"dag": dag, "run": run, "task": task}
