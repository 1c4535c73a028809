"""What became of a campaign's recipients, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_caixin.vocabulary import State

Outcome = tuple[State, str]
"""What became of a recipient: the state, and of a rejected one the code, of a skipped one the reason."""


@dataclass(slots=True)
class Counts:
    """A campaign's recipients by what became of them; in-flight ones count as pending.

    :param skipped: by skip reason.
    :param rejected: by the gateway's code, as text.
    :param would_send: only of a dry run: who would get the message.
    :param had_template: only of a dry run: how many of these already had the template in another campaign, or
        may have, and among how many of them was looked.
    :param sid: only of a campaign to a single number that was sent.
    """

    campaign_id: str
    tpl_id: int
    sent: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    pending: int = 0
    would_send: int | None = None
    had_template: tuple[int, int] = (0, 0)
    sid: str | None = None

    @property
    def total(self) -> int:
        """All recipients: each is counted exactly once."""
        others = self.sent + self.unknown + self.pending + (self.would_send or 0)
        return others + self.skipped.total() + self.rejected.total()

    @property
    def failure_ratio(self) -> float:
        """(rejected + unknown) / (sent + rejected + unknown), 0 when nothing was tried."""
        failed = self.rejected.total() + self.unknown
        return failed / (failed + self.sent) if failed else 0.0

    @property
    def mostly_invalid(self) -> str | None:
        """A sentence for the log when more than half of several recipients are no numbers, else None."""
        invalid = self.skipped["invalid_number"]
        if not invalid * 2 > self.total > 1:
            return None
        return f"{invalid} of the {self.total} rows of the audience are no mobile numbers; see that it is the right file and column."

    def add(self, rows: Iterable[tuple[str, str | None, int | None, int]]) -> None:
        """Add what the ledger tallied: state, skip reason, code, and how many recipients."""
        for state, reason, code, number in rows:
            if state == State.SENT:
                self.sent += number
            elif state == State.UNKNOWN:
                self.unknown += number
            elif state == State.SKIPPED:
                self.skipped[str(reason)] += number
            elif state == State.REJECTED:
                self.rejected[str(code)] += number
            else:
                self.pending += number

    def as_result(self, report_file: str | None = None) -> dict[str, Any]:
        """Return the counts as the operator does: no recipient's number is in them."""
        result: dict[str, Any] = {
            "campaign_id": self.campaign_id,
            "tpl_id": self.tpl_id,
            "total": self.total,
            "sent": self.sent,
            "skipped": {str(reason): number for reason, number in sorted(self.skipped.items()) if number},
            "rejected": dict(sorted(self.rejected.items())),
            "unknown": self.unknown,
            "pending": self.pending,
            "report_file": report_file,
        }
        if self.would_send is not None:
            result["would_send"] = self.would_send
            result["had_template"], result["had_template_among"] = self.had_template
        if self.sid is not None:
            result["sid"] = self.sid
        return result
