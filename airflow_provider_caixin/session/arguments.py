"""The arguments of whoever sends, an operator, a notifier or a command, as Dags and templates give them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.compat import ArgNotSet
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.session.guards import OFF, came_to_nothing, is_nothing, is_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def object_path(value: Any) -> ObjectStoragePath:
    """
    Make a path of what a Dag gives: a path of this host or a URL.

    :param value: text or path.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return value if isinstance(value, ObjectStoragePath) else ObjectStoragePath(str(value))


def check_rules(send_window: Any, frequency_cap: Any, blocked_regions: Any) -> None:
    """
    Refuse rules that cannot be right, where a Dag is read and not where it runs.

    :param send_window: what was given as such, or nothing.
    :param frequency_cap: the same.
    :param blocked_regions: the same.
    :raises ValueError: names the argument and what was expected.
    """
    if not isinstance(send_window, ArgNotSet | None):
        SendWindow.parse(send_window)
    if not isinstance(frequency_cap, ArgNotSet | None):
        FrequencyCap.parse(frequency_cap)
    if not isinstance(blocked_regions, ArgNotSet | None):
        from airflow_provider_caixin.settings.connection import regions_of

        regions_of(blocked_regions)


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """
    Refuse an argument that is none of its choices.

    :param name: the argument.
    :param value: its value.
    :param choices: what it may be.
    :raises ValueError: names all three.
    """
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known: expected one of {', '.join(map(repr, choices))}.")


def read_campaign_id(value: object) -> str:
    """
    Read a campaign's name, which a template may have made.

    :param value: what was given.
    :raises ValueError: when it is empty, or the text of None.
    """
    text = str(value).strip()
    if text in ("", "None"):
        raise ValueError(
            f"campaign_id {value!r} is what its template came to: expected a name; leave the argument out for one of its own."
        )
    return text


def read_column(value: object) -> str | None:
    """
    Read a column's name, which a template may have made.

    :param value: what was given; None: none is named.
    :raises ValueError: when it is no name, such as a place.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(
            f"audience_column {value!r}: expected the name of a column, as the first row has it, or None."
        )
    if is_nothing(value):
        raise ValueError(came_to_nothing("audience_column", value))
    return value


def refuse_place(value: object) -> None:
    """
    Refuse a column that is given by its place, where a Dag is read.

    :param value: what was given as ``audience_column``: a name, or what is rendered to one.
    :raises ValueError: when it is a number.
    """
    if isinstance(value, (int, float)):
        read_column(value)


def read_suppress_file(value: object) -> ObjectStoragePath | None:
    """
    Read where a list of people who opted out is.

    :param value: what was given; None, or the text ``off``: there is none.
    :raises ValueError: when it is nothing otherwise, or no path.
    """
    if value is None or _is_off(value):
        return None
    if is_nothing(value):
        raise ValueError(came_to_nothing("suppress_file", value))
    return _path("suppress_file", value)


def read_report_file(value: object) -> ObjectStoragePath | None:
    """
    Read where a report goes.

    :param value: what was given; None, or an empty text: there is none.
    :raises ValueError: when it is the text of None, which is what a template makes of nothing, or no path.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if is_nothing(value):
        raise ValueError(
            f"report_file {value!r} is what its template came to: expected a path, or an empty text for none."
        )
    return _path("report_file", value)


def read_budget(value: object) -> int | None:
    """
    Read a number of messages, which a template makes a text of; the text ``off`` is no limit.

    :param value: what was given.
    :raises ValueError: when a text is no whole number.
    """
    if not isinstance(value, str):
        return value  # type: ignore[return-value]  # what is none of these is refused by the plan
    text = value.strip()
    if _is_off(text):
        return None
    if is_nothing(text):
        raise ValueError(came_to_nothing("max_messages", value))
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(
        f'max_messages {value!r}: expected a whole number from 0, or None or "off" for no limit.'
    )


def read_expiry(value: object) -> datetime | timedelta | Literal["close"] | None:
    """
    Read a moment, which a template makes a text of; without a zone it is Asia/Shanghai.

    A day, as a date or its text, is the end of that day in China; the text ``off`` is no expiry.

    :param value: what was given.
    :raises ValueError: when it is none of these.
    """
    if isinstance(value, str):
        text = value.strip()
        if text == "close":
            return "close"
        if _is_off(text):
            return None
        if is_nothing(text):
            raise ValueError(came_to_nothing("expires_at", value))
        value = _moment(text)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=CHINA)
    if isinstance(value, date):
        return datetime.combine(value + timedelta(days=1), time.min, CHINA)
    if isinstance(value, timedelta) and value <= timedelta(0):
        raise ValueError(
            f"expires_at {value.total_seconds():g} s: expected a time above 0 from the campaign's first load."
        )
    if value is None or isinstance(value, timedelta):
        return value
    raise ValueError(
        f'expires_at {value!r} is not known: expected a moment, a day, a timedelta, "close" or None.'
    )


def _moment(text: str) -> datetime | date:
    # Of a day alone datetime would make its beginning, and a week is no day.
    if "W" not in text.upper():
        for read in (date.fromisoformat, datetime.fromisoformat):
            with suppress(ValueError):
                return read(text)
    raise ValueError(
        f'expires_at {text!r} is not a moment: expected one such as "2026-11-23 18:00", a day, a timedelta, "close" or "{OFF}".'
    )


def _is_off(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() == OFF


def _path(name: str, value: object) -> ObjectStoragePath:
    if not isinstance(value, str) and not is_path(value):
        raise ValueError(f"{name} is a {type(value).__name__}: expected a path or URL.")
    return object_path(value)
