"""How arguments are read: Dags give values, templates and commands give text, and some mean "nothing"."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.compat import ArgNotSet
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.session.arguments import GUARDS
from airflow_provider_caixin.session.masking import unmasked
from airflow_provider_caixin.settings.options import read_flag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


#: What a guard's text says for "none": nothing is what a mistake comes to.
OFF: Final = "off"


def object_path(value: Any) -> ObjectStoragePath:
    """Return the path that a Dag gives as a path or a text: one of this host or a URL."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return value if isinstance(value, ObjectStoragePath) else ObjectStoragePath(str(value))


def is_path(value: object) -> bool:
    """Return whether a value is a path object, of this host or of a store."""
    return isinstance(value, os.PathLike) or hasattr(value, "joinpath")


def is_empty(value: object) -> bool:
    """Return whether a value is what templates and upstream tasks give for nothing."""
    # Dag files import this module, and Jinja is heavy.
    from jinja2 import Undefined

    if isinstance(value, str):
        return value.strip() in ("", "None")
    return value is None or isinstance(value, Undefined)


def sentence_of_empty(name: str, value: object) -> str:
    """Return why an argument is refused that is empty."""
    if name == "dry_run":
        way = "expected true or false"
    elif name in GUARDS:
        way = f'expected a value, or the text "{OFF}" for none'
    else:
        way = "expected a name; leave the argument out if it has none"
    return f"{name} came to {value!r}, which is what templates, upstream tasks and variables give for nothing: {way}."


def check_not_empty(name: str, value: object) -> None:
    """Refuse an argument that is empty with a ValueError."""
    if is_empty(value):
        raise ValueError(sentence_of_empty(name, value))


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Refuse an argument that is none of its choices with a ValueError."""
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known: expected one of {', '.join(map(repr, choices))}.")


def read_mobiles(value: object) -> Any:
    """Return the numbers that a rendered field holds, as they were given."""
    return unmasked(value)


def read_template_id(value: object) -> int:
    """Read a template id: a number from 1."""
    from airflow_provider_caixin.hooks.caixin import template_id

    return template_id(value)


def read_campaign_id(value: object) -> str:
    """Read a campaign's name, which a template may have made: neither empty nor the text of None."""
    text = str(value).strip()
    if is_empty(text):
        raise ValueError(
            f"campaign_id {value!r} is what its template came to: expected a name; leave the argument out for one of its own."
        )
    return text


def read_send_window(value: Any) -> SendWindow | ArgNotSet | None:
    """Read a send window."""
    return value if isinstance(value, ArgNotSet | None) else SendWindow.parse(value)


def read_frequency_cap(value: Any) -> FrequencyCap | ArgNotSet | None:
    """Read a frequency cap."""
    return value if isinstance(value, ArgNotSet | None) else FrequencyCap.parse(value)


def read_blocked_regions(value: Any) -> tuple[str, ...] | ArgNotSet | None:
    """Read names of regions; whether each exists is for the number data to say, later."""
    if isinstance(value, ArgNotSet | None):
        return value
    from airflow_provider_caixin.settings.connection import regions_of

    return regions_of(value)


def read_dry_run(value: object) -> bool:
    """Read whether nothing is sent; only a Dag's own None is not given."""
    return value is not None and read_flag("dry_run", value)


def read_column(value: object) -> str | None:
    """Read a column's name, and not its number, which a template may have made; None: none is named."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(
            f"audience_column {value!r}: expected the name of a column, as the first row has it, or None."
        )
    check_not_empty("audience_column", value)
    return value


def read_audience_file(value: object) -> ObjectStoragePath | None:
    """Read where an audience is; None, or an empty text: in no file."""
    return object_path(value) if value else None


def read_suppress_file(value: object) -> ObjectStoragePath | None:
    """Read where a list of numbers that opted out is; None, or the text ``off``: there is none."""
    if value is None or _is_off(value):
        return None
    check_not_empty("suppress_file", value)
    return _path("suppress_file", value)


def read_report_file(value: object) -> ObjectStoragePath | None:
    """Read where a report goes; None, or an empty text: there is none, but the text of None is a mistake."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if is_empty(value):
        raise ValueError(
            f"report_file {value!r} is what its template came to: expected a path, or an empty text for none."
        )
    return _path("report_file", value)


def read_limit(name: str, value: object) -> int | None:
    """Read a limit, which a template makes a text of; the text ``off`` is no limit."""
    if not isinstance(value, str):
        return value  # type: ignore[return-value]  # what is none of these is refused by the plan
    text = value.strip()
    if _is_off(text):
        return None
    check_not_empty(name, value)
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(f'{name} {value!r}: expected a whole number from 0, or None or "off" for no limit.')


def read_expiry(value: object) -> datetime | timedelta | Literal["close"] | None:
    """Read a moment, which a template makes a text of; without a zone it is Asia/Shanghai.

    A day, as a date or its text, is the end of that day in China; the text ``off`` is no expiry.
    """
    if isinstance(value, str):
        text = value.strip()
        if text == "close":
            return "close"
        if _is_off(text):
            return None
        check_not_empty("expires_at", value)
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
