"""Campaigns: the list, one of them, its unknown recipients, its report, and what someone may do to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_caixin.audience import mask, without_numbers
from airflow_provider_caixin.campaign.report import report_pieces
from airflow_provider_caixin.juhe.codes import describe
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.ledger.admin import controls, unknowns
from airflow_provider_caixin.ledger.rows import traffic as traffic_rows
from airflow_provider_caixin.ledger.schema import REASON_LENGTH
from airflow_provider_caixin.ledger.views import campaigns as campaign_views
from airflow_provider_caixin.ledger.views import reports
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.ledger.views import usage as usage_views
from airflow_provider_caixin.ledger.views.campaigns import Summary
from airflow_provider_caixin.page import audit
from airflow_provider_caixin.page.campaign_view import CampaignView
from airflow_provider_caixin.page.headers import same_origin
from airflow_provider_caixin.page.ledgers import NamedLedger, NamedLedgerDep
from airflow_provider_caixin.page.problems import Problem
from airflow_provider_caixin.page.rights import Rights, RightsDep
from airflow_provider_caixin.page.tallies import tally
from airflow_provider_caixin.page.time_limit import LIMIT_SECONDS, time_limited
from airflow_provider_caixin.vocabulary import State, Status

T = TypeVar("T")

router = APIRouter(prefix="/campaigns")

_BOM: Final = "\ufeff"
# Of the time that someone waits, for batch after batch; the rest is for the last one.
_BATCHES_SECONDS: Final = LIMIT_SECONDS / 2
_CHANGES: Final = [Depends(same_origin)]

Key = Annotated[int, Path(ge=1, le=2**63 - 1)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
After = Annotated[int, Query(ge=0, le=2**63 - 1)]
Most = Annotated[int, Query(ge=1, le=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Pause(_Body):
    """Whether to pause or to go on."""

    paused: bool


class Nothing(_Body):
    """An empty object."""


class Retry(_Body):
    """Which rejected recipients to send to once more."""

    code: int


class Resolution(_Body):
    """What someone says became of unknown recipients, of some or of all, as of the list that was shown."""

    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(max_length=1000)] | None = None
    all: Literal[True] | None = None
    outcome: Literal["sent", "pending"]
    as_of: float | None = None


@router.get("")
@time_limited("ledger")
def campaigns(
    rights: RightsDep,
    named: NamedLedgerDep,
    search: Annotated[str, Query(max_length=500)] = "",
    status: Status | Literal[""] = "",
    before: Before = None,
    most: Most = 50,
) -> dict[str, Any]:
    """Return a page of them, the newest first."""
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        found = campaign_views.campaigns(
            connection,
            view.now,
            search=search.strip() or None,
            status=Status(status) if status else None,
            dag_ids=view.seen.ids,
            without_dag=view.seen.others,
            before=before,
            most=most + 1,
        )
        shown = view.shown(connection, found[:most])
    return {"campaigns": shown, "next": found[most - 1].key if len(found) > most else None}


@router.get("/by-id")
@time_limited("ledger")
def by_id(rights: RightsDep, named: NamedLedgerDep, id: str) -> dict[str, Any]:  # noqa: A002  # as in the address
    """Return one by its id."""
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        return view.shown(connection, [view.find(connection, id)])[0]


@router.get("/{campaign_key}")
@time_limited("ledger")
def campaign(rights: RightsDep, named: NamedLedgerDep, campaign_key: Key) -> dict[str, Any]:
    """Return one with its reasons and its chart."""
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        one = view.campaign(connection, campaign_key)
        shown = view.shown(connection, [one])[0]
        width, points = usage_views.chart(connection, campaign_key, view.now)
    counted = tally(ledger, one, one.status(view.now))
    return {
        **shown,
        "skipped": [{"reason": reason, "count": number} for reason, number in _most_first(counted.skipped)],
        "rejected": [_rejected(code, number) for code, number in _most_first(counted.rejected)],
        "as_of": counted.as_of,
        "minutes": [
            [point.minute * traffic_rows.MINUTE_SECONDS, point.sent, point.rejected, point.unknown]
            for point in points
        ],
        "minute_width": width * traffic_rows.MINUTE_SECONDS,
    }


@router.get("/{campaign_key}/unknown")
@time_limited("ledger")
def list_unknown(
    rights: RightsDep, named: NamedLedgerDep, campaign_key: Key, after: After = 0, most: Most = 100
) -> dict[str, Any]:
    """Return a page of a campaign's unknown recipients."""
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        view.campaign(connection, campaign_key)
        now = view.now
        found = unknown_views.unknowns(connection, campaign_key, now, after=after, most=most + 1)
    return {
        "as_of": now,
        "recipients": [
            {
                "id": one.id,
                "number": mask(one.number),
                "sent_at": one.sent_at,
                "code": one.code,
                "reason": one.reason,
                "twice": one.twice,
            }
            for one in found[:most]
        ],
        "next": found[most - 1].id if len(found) > most else None,
    }


@router.post("/{campaign_key}/unknown", dependencies=_CHANGES)
@time_limited("ledger")
def resolve(rights: RightsDep, named: NamedLedgerDep, campaign_key: Key, body: Resolution) -> dict[str, int]:
    """Record what someone says became of them; ``left``: how many are unknown still."""
    if (body.ids is None) == (body.all is None):
        raise Problem(422, "invalid", "Expected either ids or all.")
    with _changing(rights, named, campaign_key) as (ledger, one):
        if body.outcome == "pending" or one.purged_at is not None:
            _refuse_if_over(one)
        chosen = "all" if body.ids is None else len(body.ids)
        audit.record(rights, "resolve_unknown", one, outcome=body.outcome, recipients=chosen)
        if body.ids is not None:
            resolved = unknowns.resolve(ledger, campaign_key, body.ids, body.outcome, before=body.as_of)
        else:
            resolved = _resolve_all(ledger, campaign_key, body.outcome, body.as_of)
        with ledger.reading() as connection:
            left = campaign_views.campaign(connection, campaign_key, ledger.now(connection))
    return {"resolved": resolved, "left": left.unknown if left else 0}


@router.post("/{campaign_key}/pause", dependencies=_CHANGES)
@time_limited("ledger")
def pause(rights: RightsDep, named: NamedLedgerDep, campaign_key: Key, body: Pause) -> dict[str, Any]:
    """Pause or resume a campaign; return it as it stands then."""
    with _changing(rights, named, campaign_key, "paused or resumed") as (ledger, one):
        audit.record(rights, "pause_campaign" if body.paused else "resume_campaign", one)
        controls.pause_campaign(ledger, one.campaign_id, paused=body.paused)
        return _as_it_stands(ledger, rights, campaign_key)


@router.post("/{campaign_key}/cancel", dependencies=_CHANGES)
@time_limited("ledger")
def cancel(rights: RightsDep, named: NamedLedgerDep, campaign_key: Key, _body: Nothing) -> dict[str, Any]:
    """Cancel a campaign for good; return it as it stands then."""
    with _changing(rights, named, campaign_key, "cancelled") as (ledger, one):
        audit.record(rights, "cancel_campaign", one)
        controls.cancel_campaign(ledger, one.campaign_id, seconds=_BATCHES_SECONDS)
        return _as_it_stands(ledger, rights, campaign_key)


@router.post("/{campaign_key}/retry", dependencies=_CHANGES)
@time_limited("ledger")
def retry(rights: RightsDep, named: NamedLedgerDep, campaign_key: Key, body: Retry) -> dict[str, int]:
    """Make the recipients pending again that the gateway rejected with a code."""
    with _changing(rights, named, campaign_key) as (ledger, one):
        _refuse_if_over(one)
        audit.record(rights, "retry_rejected", one, code=body.code)
        return {"retried": controls.retry_rejected(ledger, one.campaign_id, body.code)}


@router.get("/{campaign_key}/report")
@time_limited("ledger")
def report(
    rights: RightsDep,
    named: NamedLedgerDep,
    campaign_key: Key,
    state: State | Literal[""] = "",
    reason: Annotated[str, Query(max_length=REASON_LENGTH)] = "",
) -> StreamingResponse:
    """Stream the report, with full numbers."""
    with _changing(rights, named, campaign_key) as (ledger, one):
        audit.record(
            rights, "download_report", one, state=state or None, reason=without_numbers(reason) or None
        )
        pieces = _pieces(ledger, campaign_key, State(state) if state else None, reason or None)
        # Here, so that a ledger that does not answer is a sentence and not a download that breaks off.
        first = next(pieces)
    name = f"caixin-report-{campaign_key}.csv"
    return StreamingResponse(
        _chained(_BOM + first, pieces),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@contextmanager
def _changing(
    rights: Rights, named: NamedLedger, campaign_key: int, what: str | None = None
) -> Iterator[tuple[Ledger, Summary]]:
    """Open the ledger and a campaign in it for somebody who may change it.

    :param what: what cannot be done any more to a campaign that is over.
    """
    ledger = named.open()
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        one = view.campaign(connection, campaign_key)
    rights.demand(view.may_edit(one), "do this to the campaign: it takes the permission to edit its Dag")
    if what is not None and one.is_over:
        sentence = f"The campaign is over ({one.status(view.now)}) and cannot be {what}."
        raise Problem(409, "refused", sentence)
    yield ledger, one


def _refuse_if_over(one: Summary) -> None:
    """Refuse before it is recorded what the ledger would refuse, too."""
    if one.is_over:
        sentence = "The campaign was cancelled or its recipients were forgotten: it sends nothing more."
        raise Problem(409, "refused", sentence)


def _as_it_stands(ledger: Ledger, rights: Rights, campaign_key: int) -> dict[str, Any]:
    with ledger.reading() as connection:
        view = CampaignView.of(ledger, connection, rights)
        return view.shown(connection, [view.campaign(connection, campaign_key)])[0]


def _resolve_all(
    ledger: Ledger, campaign_key: int, outcome: Literal["sent", "pending"], as_of: float | None
) -> int:
    """Resolve what was unknown at a moment, else now, as much as there is time for; each once."""
    until = time.monotonic() + _BATCHES_SECONDS
    resolved = after = 0
    if as_of is None:
        with ledger.reading() as connection:
            as_of = ledger.now(connection)
    while time.monotonic() < until:
        with ledger.reading() as connection:
            now = ledger.now(connection)
            ids = [
                one.id
                for one in unknown_views.unknowns(connection, campaign_key, now, after=after, before=as_of)
            ]
        if not ids:
            break
        resolved += unknowns.resolve(ledger, campaign_key, ids, outcome, before=as_of)
        after = ids[-1]
    return resolved


def _pieces(ledger: Ledger, campaign_key: int, state: State | None, reason: str | None) -> Iterator[str]:
    with ledger.reading() as connection:
        now = ledger.now(connection)
        yield from report_pieces(
            reports.read_report(connection, campaign_key, now, state=state, reason=reason)
        )


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _most_first(numbers: dict[T, int]) -> list[tuple[T, int]]:
    return sorted(numbers.items(), key=lambda one: (-one[1], str(one[0])))


def _rejected(code: int | None, number: int) -> dict[str, Any]:
    entry = describe(code) if code is not None else None
    said = {name: getattr(entry, name, "") for name in ("zh", "en", "cause", "remedy")}
    return {"code": code, "count": number, **said}
