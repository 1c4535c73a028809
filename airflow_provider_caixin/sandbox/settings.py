"""What can be set on a running sandbox: how slow, how strict and how broken it is."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.sandbox.magic import is_magic

if TYPE_CHECKING:
    from collections.abc import Mapping

_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_Milliseconds = Annotated[float, Field(ge=0, le=600_000)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """The sandbox's settings; the defaults are an accepting, immediate gateway.

    Counting settings (``quota``, ``answer_count``) count down, so reading them back says what is left.
    """

    model_config = ConfigDict(extra="forbid")

    latency_ms: tuple[_Milliseconds, _Milliseconds] = (0, 0)
    """least and most milliseconds between a request's arrival and its answer, evenly spread"""

    rate_limit: Annotated[int, Field(ge=1)] | None = 300
    """messages accepted per key in any sliding second; more are counted as ``over_rate``; None: no limit"""

    rate_limit_answer: int | None = None
    """what a message above ``rate_limit`` is answered, 10011 for instance; None: accepted and billed all the
    same, because the document names the rate and no answer to exceeding it"""

    lose_answers: Annotated[float, Field(ge=0)] = 0
    """of the accepted messages, how many answers get lost (billed, then a reset): up to 1 the share, by
    chance; above 1 every n-th"""

    quota: Annotated[int, Field(ge=0)] | None = None
    """so many more messages are accepted, then 10012; None: no limit"""

    maintenance: bool = False
    """every call is answered 10020"""

    answer: int | None = None
    """an error code or a fault's number of ``sandbox.magic``: what valid sends are answered"""

    answer_share: _Share = 1
    """which share of the valid sends ``answer`` is given to, by chance"""

    answer_count: Annotated[int, Field(ge=0)] | None = None
    """to how many more sends ``answer`` is given; None: without end"""

    window: str | None = None
    """``"09:00-18:00"``, China time: sends that arrive outside are counted as ``outside_window`` (and
    accepted: the document names the hours and no answer to missing them); None: not counted"""

    stall_seconds: Annotated[float, Field(gt=0)] = 120
    """how long a stalled connection stays open"""

    slow_seconds: Annotated[float, Field(gt=0)] = 0.5
    """time between two bytes of a slow answer"""

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Return settings with some fields changed, whose values are as JSON has them.

        :raises ValueError: for a field or value that does not exist; names each and what was expected.
        """
        try:
            return Settings.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            problems = (
                f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            )
            raise ValueError("; ".join(problems)) from None

    @field_validator("latency_ms")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("expected [least, most] milliseconds with the smaller one first")
        return value

    @field_validator("answer", "rate_limit_answer")
    @classmethod
    def _known(cls, value: int | None) -> int | None:
        if value is not None and not is_magic(value):
            raise ValueError("expected 236300-236399, 10001-10099 or a fault's number of sandbox.magic.MAGIC")
        return value

    @field_validator("window")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None:
            _hours(value)
        return value

    def in_window(self, at: float) -> bool:
        """Return whether a Unix time lies in ``window``; True where none is set."""
        if self.window is None:
            return True
        opens, closes = _hours(self.window)
        return opens <= datetime.fromtimestamp(at, CHINA).time() < closes


def _hours(text: str) -> tuple[time, time]:
    match = _WINDOW.fullmatch(text)
    if match is not None:
        opens, closes = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        if opens < closes:
            return opens, closes
    raise ValueError("expected HH:MM-HH:MM within one day, 09:00-18:00 for instance")
