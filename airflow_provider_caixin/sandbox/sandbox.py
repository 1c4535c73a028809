"""What the sandbox makes of a call. No network here: ``endpoints`` carries the answers."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_caixin.sandbox import envelope, magic
from airflow_provider_caixin.sandbox.record import Record, key_hash, make_sid
from airflow_provider_caixin.sandbox.settings import Settings
from airflow_provider_caixin.sandbox.templates import Templates

if TYPE_CHECKING:
    from pathlib import Path

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_TPL_ID = re.compile(r"[0-9]{1,18}")
_RESET_AFTER = 99004


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a send.

    :param record: the record it is in (a reset may have begun another one since).
    :param position: its position there.
    :param body: the answer's bytes.
    :param fault: the fault to act out, None for an ordinary answer.
    """

    record: Record
    position: int
    body: bytes
    fault: magic.Fault | None


class Sandbox:
    """One gateway: templates, settings, record.

    :param record: file for the record, see ``Record``; None: memory only.
    :param available_after: seconds after which template 65538 becomes available; None: only on request.
    :param settings: what holds at the start and after a reset.
    """

    def __init__(
        self,
        record: Path | None = None,
        *,
        available_after: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._path = record
        self._initial = settings or Settings()
        self._in_air: Counter[str] = Counter()
        self._random = random.Random()  # noqa: S311 - chance, not secrecy
        self.templates = Templates(available_after)
        self.record = Record(record)
        self._begin()

    def _begin(self) -> None:
        self.settings = self._initial.model_copy()
        self.template_calls = 0
        self._tries: Counter[str] = Counter()
        self._accepted = 0

    def reset(self) -> None:
        """Forget all sends (in the record's file, too), and go back to the first settings and templates."""
        self.record.close()
        if self._path is not None:
            self._path.write_bytes(b"")
        self.record = Record(self._path)
        self.templates.reset()
        self._begin()

    @property
    def in_air(self) -> int:
        """How many sends have arrived and are not answered yet."""
        return self._in_air.total()

    def refusal(self, key: str) -> int | None:
        """Return the system error that answers every call with this key, None where there is none."""
        if self.settings.maintenance:
            return 10020
        if not key:
            return 10001
        wanted = magic.from_key(key)
        return wanted if wanted in magic.SYSTEM_CODES else None

    def listed(self, key: str, base_url: str) -> tuple[bytes, magic.Fault | None]:
        """Return the answer to ``myTpls`` and the fault to act it out with."""
        self.template_calls += 1
        code = self.refusal(key)
        if code is not None:
            return envelope.error(code), None
        body = envelope.templates(self.templates.listed(base_url))
        wanted = magic.from_key(key)
        if wanted is None:
            return body, None
        if wanted not in magic.MAGIC:
            return envelope.error(wanted), None
        fault = magic.MAGIC[wanted]
        return body if fault.body is None else fault.body(magic.Call("", key, "")), fault

    def send(
        self, key: str, tpl_id: str, mobile: str, *, by_get: bool = False, key_in_url: bool = False
    ) -> Verdict:
        """Accept or reject one message now, and record it; ``landed`` must be called when its answer is out.

        :param key: as sent, empty where missing; so are ``tpl_id`` and ``mobile``.
        :param by_get: whether it came as a GET.
        :param key_in_url: whether the key was part of the URL.
        """
        record, at, now = self.record, time.time(), time.monotonic()
        hashed = key_hash(key)
        if mobile in self._in_air:
            record.violations["overlapping"] += 1
        self._in_air[mobile] += 1
        record.violations["by_get"] += by_get
        record.violations["key_in_url"] += key_in_url
        record.violations["outside_window"] += not self.settings.in_window(at)

        number = self._judge(key, hashed, tpl_id, mobile, now)
        fault = magic.MAGIC.get(number)
        billed = number == 0 or (fault is not None and fault.billed)
        code = number if fault is None else 0 if fault.billed else None
        if billed:
            self._accepted += 1
            if self.settings.quota is not None:
                self.settings.quota -= 1
        position = record.add(
            at, now, hashed, tpl_id, mobile, code=code, billed=billed, fault=number if fault else 0
        )
        sid = make_sid(at, position)
        if fault is not None and fault.body is not None:
            body = fault.body(magic.Call(sid, key, mobile))
        else:
            body = envelope.accepted(sid) if billed or fault is not None else envelope.error(number)
        return Verdict(record, position, body, fault)

    def landed(self, mobile: str) -> None:
        """Note that a send for this number is over: answered, or its caller is gone."""
        self._in_air[mobile] -= 1
        if self._in_air[mobile] <= 0:
            del self._in_air[mobile]

    def _judge(self, key: str, hashed: str, tpl_id: str, mobile: str, now: float) -> int:
        """Return 0, an error code or a fault's number: the caller comes first, then template and number."""
        settings = self.settings
        refusal = self.refusal(key)
        if refusal is not None:
            return refusal
        if settings.quota == 0:
            return 10012
        if not _TPL_ID.fullmatch(tpl_id):
            return 236301
        template = self.templates.get(int(tpl_id))
        if template is None:
            return 236302
        if not template.is_available():
            return 236303
        if template.broken:
            return 236304
        if not _MOBILE.fullmatch(mobile):
            return 236306
        number = self._wanted(key, mobile)
        if number != 0 and not (number in magic.MAGIC and magic.MAGIC[number].billed):
            return number
        if (
            settings.rate_limit is not None
            and self.record.accepted_lately(hashed, now) >= settings.rate_limit
        ):
            self.record.violations["over_rate"] += 1
            if settings.rate_limit_answer is not None:
                return settings.rate_limit_answer
        return number

    def _wanted(self, key: str, mobile: str) -> int:
        """Return what number, key and settings want as the answer to a valid message; 0: accept it."""
        asked = magic.from_mobile(mobile)
        if asked is not None:
            number, tries = asked
            if tries == 0:
                return number
            self._tries[mobile] += 1
            return number if self._tries[mobile] <= tries else 0
        by_key = magic.from_key(key)
        if by_key is not None:
            return by_key
        settings = self.settings
        if (
            settings.answer is not None
            and settings.answer_count != 0
            and self._random.random() < settings.answer_share
        ):
            if settings.answer_count is not None:
                settings.answer_count -= 1
            return settings.answer
        return _RESET_AFTER if self._loses(settings.lose_answers) else 0

    def _loses(self, lose: float) -> bool:
        return (self._accepted + 1) % int(lose) == 0 if lose > 1 else self._random.random() < lose
