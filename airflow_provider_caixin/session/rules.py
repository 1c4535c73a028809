"""The rules of a task: its own arguments over its connection's, and what it loosens by that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_provider_caixin.audience import Classifier, Segments
from airflow_provider_caixin.audience.regions import resolve
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.settings.connection import regions_of
from airflow_provider_caixin.settings.options import get_option

if TYPE_CHECKING:
    from airflow_provider_caixin.campaign import Plan
    from airflow_provider_caixin.settings.connection import CaixinConnection


_BY_NONE = "(by None, which a field of a YAML file with nothing behind it is, too: leave the field out)"


class Given(Protocol):
    """The rules that whoever sends was given as arguments: an operator, a notifier, a command."""

    @property
    def send_window(self) -> Any:
        """The window, None for any time, or not given; so the next two."""

    @property
    def frequency_cap(self) -> Any:
        """The cap."""

    @property
    def blocked_regions(self) -> Any:
        """The regions."""

    @property
    def allow_other_carriers(self) -> bool:
        """Whether numbers of other networks get messages."""

    @property
    def allow_virtual_operators(self) -> bool:
        """Whether virtual operators' numbers do."""

    @property
    def on_unknown(self) -> str:
        """What to do with recipients in doubt."""


class TaskRules(NamedTuple):
    """
    What holds for a task.

    :param window: the send window; None: any time.
    :param cap: the frequency cap; None: none.
    :param regions: names of blocked regions.
    :param classifier: carrier and region rules.
    :param loosened: a sentence for each rule that the arguments loosen.
    """

    window: SendWindow | None
    cap: FrequencyCap | None
    regions: tuple[str, ...]
    classifier: Classifier
    loosened: list[str]

    @classmethod
    def of(cls, task: Given, settings: CaixinConnection, where: str = "in this Dag") -> TaskRules:
        """
        Settle the rules: argument, if given, else what connection, configuration and built-in default came to.

        :param task: the arguments.
        :param settings: its connection.
        :param where: where the arguments were given, for the sentences about what they loosen.
        :raises ValueError: for a region that the number data does not know, or an unreadable ``segments_file``.
        """
        segments = _segments()
        window, cap, regions = settings.send_window, settings.frequency_cap, settings.blocked_regions
        loosened: list[str] = []
        if not isinstance(task.send_window, ArgNotSet):
            window = None if task.send_window is None else SendWindow.parse(task.send_window)
            loosened += _looser_window(window, settings.send_window, where)
        if not isinstance(task.frequency_cap, ArgNotSet):
            cap = None if task.frequency_cap is None else FrequencyCap.parse(task.frequency_cap)
            loosened += _looser_cap(cap, settings.frequency_cap, where)
        if not isinstance(task.blocked_regions, ArgNotSet):
            regions = () if task.blocked_regions is None else regions_of(task.blocked_regions)
            loosened += _fewer_regions(regions, settings.blocked_regions, segments, where)
        if task.allow_other_carriers:
            loosened.append("allow_other_carriers: numbers that other networks issued get messages")
        if task.allow_virtual_operators:
            loosened.append("allow_virtual_operators: virtual operators' numbers get messages")
        if task.on_unknown == "resend":
            loosened.append("on_unknown is resend: what is unknown is sent once more and may be billed twice")
        classifier = Classifier(
            blocked_regions=regions,
            allow_other_carriers=task.allow_other_carriers,
            allow_virtual_operators=task.allow_virtual_operators,
            segments=segments,
        )
        return cls(window, cap, regions, classifier, loosened)

    def warnings(self, task: Given) -> Iterator[str]:
        """
        Say for a Dag's log what is loosened, and of None also how it may have come about.

        :param task: the arguments.
        """
        for sentence in self.loosened:
            by_none = getattr(task, sentence.split(" ")[0], NOTSET) is None
            yield f"{sentence} {_BY_NONE}" if by_none else sentence

    def plan(self, settings: CaixinConnection, **arguments: Any) -> Plan:
        """
        Make the plan of a run under these rules.

        :param settings: the connection.
        :param arguments: what else :class:`~airflow_provider_caixin.campaign.Plan` takes.
        :raises ValueError: for an argument that cannot be right.
        """
        from airflow_provider_caixin.campaign import Plan

        return Plan(
            account=settings.account,
            known_app_key=settings.known_app_key(),
            rate=settings.messages_per_second,
            window=self.window,
            cap=self.cap,
            classifier=self.classifier,
            max_per_day=settings.max_per_day,
            timeout=settings.timeout,
            loosened=tuple(self.loosened),
            **arguments,
        )

    def __str__(self) -> str:
        return (
            f"send window {self.window or 'off'}, frequency cap {_text(self.cap)}, "
            f"blocked regions {'、'.join(self.regions) or 'off'}"
        )


def _segments() -> Segments:
    path = get_option("segments_file")
    if not path:
        return Segments.builtin()
    try:
        return Segments.from_phone_dat(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"[caixin] segments_file: {error}") from error


def _looser_window(given: SendWindow | None, usual: SendWindow | None, where: str) -> Iterator[str]:
    if usual is None or (given is not None and not _reaches_beyond(given, usual)):
        return
    yield f"send_window is {given or 'off'} {where} and {usual} without it"


def _reaches_beyond(given: SendWindow, usual: SendWindow) -> bool:
    before_midnight = datetime(2000, 1, 1, tzinfo=CHINA) - timedelta(microseconds=1)
    opens, usually_opens = given.next_opening(before_midnight), usual.next_opening(before_midnight)
    return opens < usually_opens or given.closes_at(opens) > usual.closes_at(usually_opens)


def _looser_cap(given: FrequencyCap | None, usual: FrequencyCap | None, where: str) -> Iterator[str]:
    if usual is None or (given is not None and not given.looser_than(usual)):
        return
    yield f"frequency_cap is {_text(given)} {where} and {_text(usual)} without it"


def _fewer_regions(
    given: tuple[str, ...], usual: tuple[str, ...], segments: Segments, where: str
) -> Iterator[str]:
    blocked = resolve(given, segments)
    opened = [name for name in usual if not resolve([name], segments) <= blocked]
    if opened:
        yield f"blocked_regions leaves out {'、'.join(opened)} {where}"


def _text(cap: FrequencyCap | None) -> str:
    if cap is None:
        return "off"
    limits = [f"{limit} a {span}" for limit, span in ((cap.per_day, "day"), (cap.per_week, "week")) if limit]
    return " and ".join(limits) + (" (rolling)" if cap.rolling else "")
