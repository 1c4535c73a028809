"""Defects planted in a copy of the package, to see that the simulator finds them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = "airflow_provider_caixin"


@dataclass(frozen=True)
class Defect:
    """A mistake that somebody could make.

    :param file: where, within the package.
    :param right: the text there, which stands there once.
    :param wrong: what it becomes.
    :param also: another text of that file and what it becomes: some rules are looked at twice.
    :param first: the seed from which on it is looked for; later than 1 where that takes many.
    """

    file: str
    right: str
    wrong: str
    also: tuple[str, str] | None = None
    first: int = 1


DEFECTS: Final[dict[str, Defect]] = {
    "sends what may not be recorded": Defect(
        "campaign/dispatcher.py",
        "self._senders.answers.extend(Answer(job, lost) for job in failed.jobs)",
        "self._senders.submit(failed.jobs)",
    ),
    "forgets answers that were not recorded": Defect(
        "campaign/dispatcher.py",
        "            self._end(self._clocks.ending())\n            self._bear_silence(failed)",
        "            self._senders.settled(due.answers)\n            self._end(self._clocks.ending())\n            self._bear_silence(failed)",
    ),
    "one claim id for all": Defect("campaign/dispatcher.py", 'mark=f"{self._id}-{self._ticks}"', 'mark="claim"'),
    "no last look at stop and endings": Defect(
        "campaign/dispatcher.py", "return not self._is_ending() and clocks.are_near and", "return clocks.are_near and",
        first=125,
    ),
    "no look at the slot": Defect(
        "campaign/senders.py",
        "                if at - slot > self._late:\n                    return False\n",
        "",
        also=("return now - job.slot <= late and job.lease", "return job.lease"),
    ),
    "a suspended host is not noticed": Defect("campaign/senders.py", " and not was_suspended", ""),
    "no look at the rate after a stall": Defect(
        "campaign/senders.py", "at = max(slot, self._next_post, now)", "at = max(slot, now)"
    ),
    "an unknown outcome is sent again": Defect(
        "campaign/answers.py",
        "return Settlement(job.id, job.claim, State.UNKNOWN, code=code, reason=text)",
        "return Settlement(job.id, job.claim, State.PENDING, code=code, reason=text)",
    ),
    "a page of the gateway's is no answer": Defect(
        "juhe/client.py", "if status == HTTPStatus.TOO_MANY_REQUESTS:", "if status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500:"
    ),
    "a late answer changes what somebody resolved": Defect(
        "ledger/queue/settle.py",
        "row.claim != one.claim or states[one.id] not in (State.IN_FLIGHT, State.UNKNOWN)",
        "states[one.id] == State.SKIPPED",
    ),
    "an answer to an older claim counts": Defect(
        "ledger/queue/settle.py", "row.claim != one.claim or ", "",
        first=64,
    ),
    "counts moved twice": Defect(
        "ledger/queue/settle.py",
        "        campaign.move(states[one.id], state)\n",
        "        campaign.move(states[one.id], state)\n        campaign.move(states[one.id], state)\n",
    ),
    "a second request that is rejected settles the first": Defect(
        "ledger/queue/settle.py",
        "state, sent_at = (state, sent_at) if doubt_at is None else (State.UNKNOWN, doubt_at)",
        "pass",
    ),
    "sent once more without end": Defect(
        "ledger/queue/draw.py", ".where(recipient.c.doubt_at.is_(None), recipient.c.sent_at", ".where(recipient.c.sent_at"
    ),
    "the cap does not see what is in the air": Defect(
        "campaign/judge.py", "plan.cap.allows(now, settled + in_the_air)", "plan.cap.allows(now, settled)"
    ),
    "the cap forgets unknown outcomes": Defect(
        "ledger/queue/history.py",
        "BILLED_STATES: Final = (State.SENT.value, State.UNKNOWN.value, State.IN_FLIGHT.value)",
        "BILLED_STATES: Final = (State.SENT.value, State.IN_FLIGHT.value)",
    ),
    "no suppression list at the send": Defect(
        "campaign/judge.py", "elif row.number in suppressed or row.number in plan.suppressed:", "elif row.number in plan.suppressed:"
    ),
    "the budget does not see what is in the air": Defect(
        "campaign/claiming.py", "(State.SENT, State.UNKNOWN, State.IN_FLIGHT))\n        room", "(State.SENT, State.UNKNOWN))\n        room"
    ),
    "no volume of the day": Defect(
        "campaign/tick.py", "min(due.free, volume - account.day_count)", "due.free"
    ),
    "unknown outcomes leave the day's count": Defect(
        "ledger/queue/settle.py", "if state in (State.PENDING, State.REJECTED):", "if state in (State.PENDING, State.REJECTED, State.UNKNOWN):"
    ),
    "leases never run out": Defect(
        "campaign/tick.py", "recipient_rows.expire_leases(connection, row, now)", "0"
    ),
    "a lease that ran out is sent again": Defect(
        "ledger/rows/recipient.py",
        "set_state(connection, ids, State.UNKNOWN, lease_rows.NO_ANSWER)\n        campaign.move(State.IN_FLIGHT, State.UNKNOWN, len(ids))",
        "set_state(connection, ids, State.PENDING)\n        campaign.move(State.IN_FLIGHT, State.PENDING, len(ids))",
    ),
    "no look at pause": Defect(
        "campaign/tick.py",
        "is_stopped = row.paused or row.cancelled or account.paused",
        "is_stopped = row.cancelled",
        also=("paused=row.paused or account.paused,", "paused=False,"),
        first=193,
    ),
    "clocks far apart are borne": Defect(
        "campaign/clocks.py", "return abs(self.apart) <= MOST_SECONDS_APART", "return True"
    ),
    "the window by the host's clock alone": Defect(
        "campaign/plan.py", "max(self.plan.seconds_to_post(moment) for moment in moments)", "self.plan.seconds_to_post(moments.host)"
    ),
    "no guard at the closing": Defect("rules/window.py", "CLOSING_GUARD_SECONDS = 5.0", "CLOSING_GUARD_SECONDS = 0.0", first=62),
    "each process has its own slots": Defect(
        "ledger/queue/pacer.py", "first = max(self.account.next_slot, now + lead)", "first = now + lead"
    ),
    "a run ends while others have recipients in the air": Defect(
        "campaign/endings.py", "if not more and not seen.counts[State.IN_FLIGHT]:", "if not more:"
    ),
    "a load is visible before it is complete": Defect(
        "ledger/rows/load.py", "    unfinished = sa.select(_load.c.id).where(_load.c.campaign == campaign_key, ~_load.c.done)\n    ranges", "    unfinished = sa.select(_load.c.id).where(_load.c.campaign == campaign_key, _load.c.id < 0)\n    ranges",
        first=92,
    ),
    "a load that died keeps its rows": Defect(
        "ledger/queue/loader.py", "{one.id for one in others} - earlier", "set()"
    ),
    "a load does not wait for an earlier one": Defect(
        "ledger/queue/loader.py", "            if earlier:\n", "            if False:\n",
        first=70,
    ),
    "a purge does not look for what is pending": Defect(
        "ledger/admin/retention.py",
        "if row.counts[State.PENDING] or row.counts[State.IN_FLIGHT] or row.purged_at is not None:",
        "if row.purged_at is not None:",
        also=("none_left = sa.or_(_campaign.c.pending == 0, _campaign.c.cancelled)", "none_left = sa.true()"),
        first=85,
    ),
}  # fmt: skip
"""Each with its name; the right text stands once in its file."""


def plant(defect: Defect, folder: Path) -> None:
    """Copy the package into a folder with a defect in it, and these tests beside it.

    :raises ValueError: when the right text does not stand there once: the defect has to follow the code.
    """
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").symlink_to(ROOT / "tests")
    file = folder / PACKAGE / defect.file
    text = file.read_text(encoding="utf-8")
    for right, wrong in [(defect.right, defect.wrong), *([defect.also] if defect.also else [])]:
        if text.count(right) != 1:
            raise ValueError(f"{right!r} stands {text.count(right)} times in {defect.file}")
        text = text.replace(right, wrong)
    file.write_text(text, encoding="utf-8")
