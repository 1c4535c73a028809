"""The one way in for whoever sends: what a campaign needs, opened once and in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from airflow_provider_caixin.audience import Audience, FileAudience, ListAudience, audience_from
from airflow_provider_caixin.campaign import Campaign, Counts, Plan, dry_run, import_suppressions, numbers_of
from airflow_provider_caixin.hooks.caixin import CaixinHook
from airflow_provider_caixin.session.readers import object_path
from airflow_provider_caixin.session.report_file import ReportFile
from airflow_provider_caixin.session.rules import RulesInForce
from airflow_provider_caixin.settings.ledgers import embedded_path

if TYPE_CHECKING:
    from airflow_provider_caixin.ledger import Ledger
    from airflow_provider_caixin.ledger.rows.campaign import Origin
    from airflow_provider_caixin.ledger.views.reports import ReportRow
    from airflow_provider_caixin.session.arguments import Arguments
    from airflow_provider_caixin.settings.connection import CaixinConnection


class Session:
    """What sending needs, in order: connection, rules, plan and files; then ledger and campaign.

    Making one reads and checks the first four and opens nothing. In a ``with`` block the ledger is opened by
    the first look at it; the end of the block closes it and the connections to the gateway.

    :param campaign_id: returns the campaign's name, once the connection and the rules are known to be right.
    :param open_ledger: opens the ledger of a connection.
    :param origin: the task that sends; None: the command line.
    :param where: where the arguments were given, for the sentences about what they loosen.
    :raises ValueError: for an argument or a setting that cannot be right.
    """

    def __init__(
        self,
        given: Arguments,
        *,
        campaign_id: Callable[[], str],
        open_ledger: Callable[[CaixinConnection], AbstractContextManager[Ledger]],
        origin: Origin | None = None,
        where: str = "in this Dag",
    ) -> None:
        self.given = given
        self.hook = CaixinHook(given.caixin_conn_id)
        settings = self.settings = self.hook.settings
        self.rules = RulesInForce.of(given, settings, where)
        self.plan = Plan(
            campaign_id=campaign_id(),
            tpl_id=given.tpl_id,
            account=settings.account,
            known_app_key=settings.known_app_key(),
            rate=settings.messages_per_second,
            window=self.rules.window,
            cap=self.rules.cap,
            classifier=self.rules.classifier,
            max_per_day=settings.max_per_day,
            timeout=settings.timeout,
            loosened=self.rules.loosened,
            **given.for_plan(),
        )
        self.opted_out: FileAudience | ListAudience = ListAudience([])
        if given.suppress_file is not None:
            self.opted_out = FileAudience(given.suppress_file, argument="suppress_file")
        self.report: ReportFile | None = None
        if given.report_file is not None:
            self.report = ReportFile(given.report_file)
            self.report.refuse_inputs(
                audience_file=given.audience_file,
                suppress_file=given.suppress_file,
                ledger=object_path(embedded_path()),
            )
        self._origin = origin
        self._open_ledger = open_ledger
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        self._exits.callback(self.hook.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, opened at the first look."""
        return self._exits.enter_context(self._open_ledger(self.settings))

    def open_campaign(self) -> Campaign:
        """Open the campaign in the ledger, or make it there."""
        return Campaign(self.plan, self.ledger, self.hook.client, origin=self._origin)

    def dry_run(self, audience: Audience, tell: Callable[[ReportRow], None] = lambda _: None) -> Counts:
        """Count what a run would do now; the ledger is only read.

        :param tell: called with each row of the audience that the campaign does not have yet.
        """
        plan = replace(self.plan, suppressed=frozenset(numbers_of(self.opted_out)))
        return dry_run(plan, self.ledger, audience, tell)

    def import_opt_outs(self) -> int | None:
        """Put ``suppress_file``'s numbers on the suppression list; return how many are new, None: no file."""
        if self.given.suppress_file is None:
            return None
        return import_suppressions(self.ledger, self.opted_out, str(self.opted_out))

    def write_report(self, campaign: Campaign) -> None:
        """Write the report, where one is asked for.

        :raises ReportError: when it cannot be written.
        """
        if self.report is not None:
            with self.report.open() as file:
                campaign.write_report(file)


def audience_of(given: Arguments) -> Audience:
    """Return the audience of ``mobiles`` or ``audience_file``.

    :raises ValueError: when not exactly one of the two is given.
    """
    if (given.mobiles is None) == (given.audience_file is None):
        raise ValueError(
            f"mobiles and audience_file: {'neither' if given.mobiles is None else 'both'} given, expected exactly one of the two."
        )
    if given.audience_file is None:
        return audience_from(given.mobiles)
    return FileAudience(given.audience_file, given.audience_column)
