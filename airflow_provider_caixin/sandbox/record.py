"""What the sandbox was asked to send, what it billed, and which rules without an error were broken.

A million sends have to fit, so they are kept as columns of numbers (about 50 bytes a send), and the counts
that tests ask for often are kept up to date as they come in. A sid is a function of the arrival time and the
position, so it needs no room.

With a file, every send is also written to it as a JSON line before it is answered, without buffering:
whatever is killed, the file says what was billed. A later sandbox given the same file goes on where the first
one ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import struct
from array import array
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BILLED, _LOST = 1, 2
_LONGEST_TEXT = 64  # characters
_DUPLICATES_SHOWN = 100
_SEARCHED_ROWS = 50_000
_CHUNK_ROWS = 16_384
_NO_CODE = -1
_CANONICAL = re.compile("0|[1-9][0-9]{0,17}")

VIOLATIONS = ("over_rate", "outside_window", "overlapping", "by_get", "key_in_url")
"""
What ``Record.violations`` counts, since the start of the process: messages above the rate limit; sends
outside the window; sends for a number while another one for it was still in the air; sends by GET; sends with
the key in the URL.
"""


def key_hash(key: str) -> str:
    """Return what stands for an AppKey in the record: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def make_sid(at: float, position: int) -> str:
    """Return the id of a message: 25 hex digits, of which 8 are the time, as in the document's example.

    :param at: arrival, Unix time in seconds.
    :param position: position of the send in the record, from 0.
    """
    return f"{int(at):08x}{hashlib.blake2b(struct.pack('<dQ', at, position), digest_size=9).hexdigest()[:17]}"


class SlidingSecond:
    """How many events the last second held, and the most that any second ever held."""

    def __init__(self) -> None:
        self.worst = 0
        self._moments: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return how many events happened in the second before ``now`` (monotonic seconds)."""
        moments = self._moments
        while moments and now - moments[0] >= 1.0:
            moments.popleft()
        return len(moments)

    def add(self, now: float) -> None:
        """Add an event at ``now`` (monotonic seconds, never going back)."""
        self._moments.append(now)
        self.worst = max(self.worst, self.count(now))


class Record:
    """Every send of one sandbox.

    :param path: JSON-lines file to append to, and to go on from where it exists; None: memory only.
    :raises OSError: when the file cannot be opened.
    :raises ValueError: when a line of it is not one of a record.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.token = secrets.token_hex(8)
        """which record this is: after a reset or a restart it is another one, whose positions begin anew"""
        self._arrived = array("d")
        self._moment = array("d")
        self._key = array("I")
        self._tpl_id = array("q")
        self._mobile = array("q")
        self._code = array("i")
        self._fault = array("i")
        self._flags = bytearray()
        self._texts: dict[int, tuple[str, str]] = {}
        self._keys: list[str] = []
        self._accepted: list[SlidingSecond] = []
        self._arrivals = SlidingSecond()
        self._billed_once: set[int] = set()
        self._duplicates: Counter[int] = Counter()
        self._by_code: Counter[int] = Counter()
        self._by_fault: Counter[int] = Counter()
        self._lost = 0
        self._billed = 0
        self.violations: Counter[str] = Counter()
        self._file: int | None = None
        if path is not None:
            if path.exists():
                self._read(path)
            self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def __len__(self) -> int:
        # the column that is written last: readers in other threads never see half a row
        return len(self._flags)

    def accepted_lately(self, key: str, now: float) -> int:
        """Return how many messages of a key's hash were accepted in the second before ``now`` (monotonic)."""
        return self._accepted[self._keys.index(key)].count(now) if key in self._keys else 0

    def add(
        self,
        at: float,
        now: float,
        key: str,
        tpl_id: str,
        mobile: str,
        *,
        code: int | None,
        billed: bool,
        fault: int = 0,
    ) -> int:
        """Write down one send, and return its position.

        :param at: arrival, Unix time in seconds.
        :param now: arrival, monotonic seconds.
        :param key: hash of the AppKey.
        :param tpl_id: as it was sent.
        :param mobile: as it was sent.
        :param code: what the gateway made of it, whether or not the caller got to know: 0 or an error code;
            None for a fault that happened before it made anything of it.
        :param billed: whether it was accepted and billed.
        :param fault: number of the fault that was acted out, 0 for none.
        """
        position = self._keep(at, now, key, tpl_id, mobile, code, billed, fault)
        if self._file is not None:
            self._write(self.row(position))
        return position

    def lose(self, position: int) -> None:
        """Write down that the answer to a send did not reach its caller."""
        if not self._flags[position] & _LOST:
            self._flags[position] |= _LOST
            self._lost += 1
            self._write({"n": position, "lost": True})

    def row(self, position: int) -> dict[str, Any]:
        """Return one send as a JSON-able dict: the arguments of ``add``, and ``n``, ``sid`` and ``lost``."""
        flags = self._flags[position]
        billed = bool(flags & _BILLED)
        at = self._arrived[position]
        code = self._code[position]
        tpl_id, mobile = self._texts.get(position) or (
            str(self._tpl_id[position]),
            str(self._mobile[position]),
        )
        return {
            "n": position,
            "at": at,
            "moment": self._moment[position],
            "key": self._keys[self._key[position]],
            "tpl_id": tpl_id,
            "mobile": mobile,
            "code": None if code == _NO_CODE else code,
            "billed": billed,
            "sid": make_sid(at, position) if billed else "",
            "fault": self._fault[position],
            "lost": bool(flags & _LOST),
        }

    def rows(
        self, *, billed: bool = False, offset: int = 0, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the sends in the order of their arrival.

        :param billed: only those that were billed.
        :param offset: leave out so many of them.
        :param limit: at most so many; None: all there are at the start of the iteration.
        """
        wanted = (n for n in range(len(self)) if not billed or self._flags[n] & _BILLED)
        for position in islice(wanted, offset, None if limit is None else offset + limit):
            yield self.row(position)

    def newest(
        self, *, search: str = "", before: int | None = None, limit: int = 50
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Return the last sends, newest first, and the ``before`` of the next page, None where there is none.

        One call looks at 50,000 sends at most, so a search may find nothing and yet go on. A row also has
        ``bills``: how often its number has been billed in all.

        :param search: part of a number, as it was sent; empty: all.
        :param before: only sends before this position.
        :param limit: at most so many.
        """
        found: list[dict[str, Any]] = []
        end = len(self) if before is None else min(before, len(self))
        stop = max(0, end - _SEARCHED_ROWS)
        for position in range(end - 1, stop - 1, -1):
            if search in self._mobile_text(position):
                found.append(self._with_bills(position))
                if len(found) == limit:
                    stop = position
                    break
        return found, stop or None

    def of_number(self, mobile: str, *, after: int = -1, limit: int = 100) -> list[dict[str, Any]]:
        """Return the last sends to one number, newest first, with ``bills`` as in ``newest``.

        :param mobile: as it was sent.
        :param after: only sends after this position.
        :param limit: at most so many.
        """
        found: list[dict[str, Any]] = []
        mobile = mobile[:_LONGEST_TEXT]
        number = _number(mobile) or 0
        # a chunk without the number costs one comparison a row in C, and other threads get their turn between
        # two
        for end in range(len(self), after + 1, -_CHUNK_ROWS):
            start = max(after + 1, end - _CHUNK_ROWS)
            chunk = self._mobile[start:end]
            if number not in chunk:
                continue
            for position in range(end - 1, start - 1, -1):
                if chunk[position - start] == number and self._mobile_text(position) == mobile:
                    found.append(self._with_bills(position))
                    if len(found) == limit:
                        return found
        return found

    def summary(self) -> dict[str, Any]:
        """Return the counts of ``/_sandbox/state``.

        ``billed_numbers`` is how many numbers were billed, ``duplicates`` how many of them more than once
        (the worst of them with their times in ``duplicate_numbers``), ``worst_second`` the most sends that
        arrived in any sliding second, ``worst_second_billed`` the most that were accepted of one key.
        """
        return {
            "requests": len(self),
            "billed": self._billed,
            "billed_numbers": len(self._billed_once),
            "duplicates": len(self._duplicates),
            "duplicate_numbers": {
                str(number): 1 + n for number, n in self._duplicates.most_common(_DUPLICATES_SHOWN)
            },
            "lost": self._lost,
            "by_code": {str(code): times for code, times in sorted(self._by_code.items())},
            "by_fault": {str(fault): times for fault, times in sorted(self._by_fault.items())},
            "worst_second": self._arrivals.worst,
            "worst_second_billed": max((meter.worst for meter in self._accepted), default=0),
            "first_arrival": self._arrived[0] if self._arrived else None,
            "last_arrival": self._arrived[-1] if self._arrived else None,
            **{name: self.violations[name] for name in VIOLATIONS},
        }

    def close(self) -> None:
        """Close the file; what is in memory stays readable."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _mobile_text(self, position: int) -> str:
        texts = self._texts.get(position)
        return str(self._mobile[position]) if texts is None else texts[1]

    def _with_bills(self, position: int) -> dict[str, Any]:
        row = self.row(position)
        number = _number(row["mobile"])
        bills = 1 + self._duplicates[number] if number is not None and number in self._billed_once else 0
        return {**row, "bills": bills}

    def _keep(
        self,
        at: float,
        now: float,
        key: str,
        tpl_id: str,
        mobile: str,
        code: int | None,
        billed: bool,
        fault: int,
    ) -> int:
        position = len(self)
        if key not in self._keys:
            self._keys.append(key)
            self._accepted.append(SlidingSecond())
        key_index = self._keys.index(key)
        template, number = _number(tpl_id), _number(mobile)
        if template is None or number is None:
            self._texts[position] = (tpl_id[:_LONGEST_TEXT], mobile[:_LONGEST_TEXT])
        self._arrived.append(at)
        self._moment.append(now)
        self._key.append(key_index)
        self._tpl_id.append(template or 0)
        self._mobile.append(number or 0)
        self._code.append(_NO_CODE if code is None else code)
        self._fault.append(fault)
        self._flags.append(_BILLED if billed else 0)
        self._arrivals.add(now)
        if code is not None:
            self._by_code[code] += 1
        if fault:
            self._by_fault[fault] += 1
        if billed:
            self._billed += 1
            self._accepted[key_index].add(now)
            if number in self._billed_once:
                self._duplicates[number] += 1
            elif number is not None:
                self._billed_once.add(number)
        return position

    def _read(self, path: Path) -> None:
        with path.open(encoding="utf-8") as lines:
            for count, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    if "at" in row:
                        arguments = (
                            row[name]
                            for name in ("at", "moment", "key", "tpl_id", "mobile", "code", "billed", "fault")
                        )
                        self._keep(*arguments)
                    else:
                        self.lose(row["n"])
                except (ValueError, LookupError, TypeError) as error:
                    raise ValueError(
                        f"record {path}, line {count}: not a line of a sandbox's record"
                    ) from error

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _number(text: str) -> int | None:
    """Return the number that ``text`` is the only way to write, None for everything else."""
    return int(text) if _CANONICAL.fullmatch(text) else None
