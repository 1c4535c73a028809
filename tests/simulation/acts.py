"""What somebody does around a campaign: pause, resolve, suppress, purge, as page and commands do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

import sqlalchemy as sa

from airflow_provider_caixin.ledger import Ledger, LedgerError, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.admin import accounts, controls, retention, suppressions, unknowns
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from airflow_provider_caixin.ledger.views import unknowns as unknown_views
from airflow_provider_caixin.vocabulary import State
from tests.simulation.database import SimulatedLedger
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.play import Play
    from tests.simulation.scenario import Act


def act(play: Play, what: Act, number: int) -> None:
    """Let somebody do something, from a process of their own, as soon as the thing before it is done."""
    process = Process(play.world, play.hosts[-1], f"somebody {number}", str(play.scenario.seed))
    turn = play.turns

    def work() -> None:
        with turn:
            process.tell(f"wants to {what.what} campaign {what.of}")
            while not _is_done(play, what, process):
                play.world.pause(1.0)
        process.leave()
        play.act_done()

    play.world.spawn(process, work)


def _is_done(play: Play, what: Act, process: Process) -> bool:
    try:
        ACTS[what.what](play, SimulatedLedger(play.database, process), what)
    except LedgerError as error:
        process.tell(type(error).__name__)
        return not isinstance(error, LedgerUnavailable)
    process.tell("has done it")
    return True


def _pause(play: Play, ledger: Ledger, act: Act) -> None:
    controls.pause_campaign(ledger, play.campaign_id(act.of))
    play.watch.forbid("template", play.template(act.of))


def _resume(play: Play, ledger: Ledger, act: Act) -> None:
    play.watch.allow("template", play.template(act.of))
    controls.pause_campaign(ledger, play.campaign_id(act.of), paused=False)


def _pause_account(play: Play, ledger: Ledger, act: Act) -> None:
    accounts.pause_account(ledger, play.account(act.of))
    play.watch.forbid("account", play.scenario.accounts[act.of])


def _resume_account(play: Play, ledger: Ledger, act: Act) -> None:
    play.watch.allow("account", play.scenario.accounts[act.of])
    accounts.pause_account(ledger, play.account(act.of), paused=False)


def _cancel(play: Play, ledger: Ledger, act: Act) -> None:
    controls.cancel_campaign(ledger, play.campaign_id(act.of))
    play.cancelled.add(act.of)
    play.watch.forbid("template", play.template(act.of), "for good")


def _suppress(play: Play, ledger: Ledger, act: Act) -> None:
    numbers = _some(play, act)
    suppressions.suppress(ledger, numbers)
    for number in numbers:
        play.watch.forbid("number", number)


def _release(play: Play, ledger: Ledger, act: Act) -> None:
    numbers = _some(play, act)
    for number in numbers:
        play.watch.allow("number", number)
    suppressions.release(ledger, numbers)


def _resolve(play: Play, ledger: Ledger, act: Act) -> None:
    """Ask the gateway what became of the unknown ones, and write that."""
    _write(play, ledger, act, play.gateway.was_billed)


def _resolve_wrongly(play: Play, ledger: Ledger, act: Act) -> None:
    """Write something of some of the unknown ones without having asked."""
    chance = play.chance_of(act)
    _write(play, ledger, act, lambda *_: chance.choice((True, False)))


def _write(play: Play, ledger: Ledger, act: Act, billed: Callable[[int, str], bool]) -> None:
    template = play.template(act.of)
    with ledger.reading() as connection:
        now, key = ledger.now(connection), campaign_rows.known_campaign(connection, play.campaign_id(act.of))
        shown = unknown_views.unknowns(connection, key, now)
    by: dict[Literal["sent", "pending"], list[int]] = {"sent": [], "pending": []}
    for one in shown[: max(1, round(act.amount * len(shown)))]:
        is_billed = billed(template, one.number)
        by["sent" if is_billed else "pending"].append(one.id)
        if not is_billed:
            # From now on: what was in the air may be billed behind this.
            play.watch.again[template, one.number] += 1
    for outcome, ids in by.items():
        unknowns.resolve(ledger, key, ids, outcome, before=now)
    play.reopened[act.of] = play.world.now


def _retry(play: Play, ledger: Ledger, act: Act) -> None:
    table, template = schema.recipient, play.template(act.of)
    with ledger.reading() as connection:
        key = campaign_rows.known_campaign(connection, play.campaign_id(act.of))
        rejected = sa.select(table.c.number, table.c.code).where(
            table.c.campaign == key, table.c.state == State.REJECTED.value
        )
        found = connection.execute(rejected.order_by(table.c.id)).all()
    for code in sorted({row.code for row in found}):
        # Also whom the gateway rejects meanwhile.
        for number in play.scenario.numbers[act.of]:
            play.watch.retried[template, number] += 1
        controls.retry_rejected(ledger, play.campaign_id(act.of), code)
        play.reopened[act.of] = play.world.now


def _purge(play: Play, ledger: Ledger, _: Act) -> None:
    """Forget what is over, however young it is; what it was is written down before."""
    play.remember(ledger)
    with ledger.reading() as connection:
        now = ledger.now(connection)
    for _purged in retention.purge(ledger, now):
        pass


def _some(play: Play, act: Act) -> list[str]:
    numbers = [number for number in play.scenario.numbers[act.of] if number.isdigit() and len(number) == 11]
    return numbers[: max(1, round(act.amount * len(numbers)))]


ACTS: Final[Mapping[str, Callable[[Play, Ledger, Act], None]]] = {
    "pause": _pause,
    "resume": _resume,
    "pause account": _pause_account,
    "resume account": _resume_account,
    "cancel": _cancel,
    "suppress": _suppress,
    "release": _release,
    "resolve": _resolve,
    "resolve wrongly": _resolve_wrongly,
    "retry": _retry,
    "purge": _purge,
}
"""What somebody may do, by name."""
