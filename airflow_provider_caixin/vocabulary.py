"""The words of the provider: states, skip reasons and statuses."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What became of a recipient. A recipient is in exactly one of these states."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a recipient gets no message."""

    INVALID_NUMBER = "invalid_number"
    DUPLICATE = "duplicate"
    NOT_CHINA_MOBILE = "not_china_mobile"
    VIRTUAL_OPERATOR = "virtual_operator"
    BLOCKED_REGION = "blocked_region"
    SUPPRESSED = "suppressed"
    FREQUENCY_CAP = "frequency_cap"
    OVER_BUDGET = "over_budget"
    EXPIRED = "expired"
    WINDOW_CLOSED = "window_closed"
    CANCELLED = "cancelled"


class Status(StrEnum):
    """Where a campaign stands."""

    #: A process reads an audience into it now, and none sends.
    LOADING = "loading"
    RUNNING = "running"
    PAUSED = "paused"
    #: Somebody is left or was never loaded, and no process is at it now: the window is closed, a retry is due, or a task has failed.
    WAITING = "waiting"
    #: Nobody is left; a next run may add people, or send to some whom a rule had skipped.
    DONE = "done"
    CANCELLED = "cancelled"
    PURGED = "purged"
