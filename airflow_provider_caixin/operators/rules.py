"""The rules of a task: its own arguments over its connection's, and what it loosens by that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from airflow.sdk.definitions._internal.types import ArgNotSet

from airflow_provider_caixin.audience import Classifier, Segments
from airflow_provider_caixin.audience.regions import resolve
from airflow_provider_caixin.configuration import get_option
from airflow_provider_caixin.connection import regions_of
from airflow_provider_caixin.rules import CHINA, FrequencyCap, SendWindow

if TYPE_CHECKING:
    from airflow_provider_caixin.connection import CaixinConnection
    from airflow_provider_caixin.operators.caixin import CaixinSendOperator


class TaskRules(NamedTuple):
    """
    What holds for a task.

    :param window: the send window; None: any time.
    :param cap: the frequency cap; None: none.
    :param regions: names of blocked regions.
    :param classifier: carrier and region rules.
    :param loosened: a sentence for each rule that the Dag loosens.
    """

    window: SendWindow | None
    cap: FrequencyCap | None
    regions: tuple[str, ...]
    classifier: Classifier
    loosened: list[str]

    @classmethod
    def of(cls, task: CaixinSendOperator, settings: CaixinConnection) -> TaskRules:
        """
        Settle the rules: argument, if given, else what connection, configuration and built-in default came to.

        :param task: the operator.
        :param settings: its connection.
        :raises ValueError: for a region that the number data does not know, or an unreadable ``segments_file``.
        """
        segments = _segments()
        window, cap, regions = settings.send_window, settings.frequency_cap, settings.blocked_regions
        loosened: list[str] = []
        if not isinstance(task.send_window, ArgNotSet):
            window = None if task.send_window is None else SendWindow.parse(task.send_window)
            loosened += _looser_window(window, settings.send_window)
        if not isinstance(task.frequency_cap, ArgNotSet):
            cap = None if task.frequency_cap is None else FrequencyCap.parse(task.frequency_cap)
            loosened += _looser_cap(cap, settings.frequency_cap)
        if not isinstance(task.blocked_regions, ArgNotSet):
            regions = () if task.blocked_regions is None else regions_of(task.blocked_regions)
            loosened += _fewer_regions(regions, settings.blocked_regions, segments)
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


def _looser_window(given: SendWindow | None, usual: SendWindow | None) -> Iterator[str]:
    if usual is None or (given is not None and not _reaches_beyond(given, usual)):
        return
    yield f"send_window is {given or 'off'} in this Dag and {usual} without it"


def _reaches_beyond(given: SendWindow, usual: SendWindow) -> bool:
    before_midnight = datetime(2000, 1, 1, tzinfo=CHINA) - timedelta(microseconds=1)
    opens, usually_opens = given.next_opening(before_midnight), usual.next_opening(before_midnight)
    return opens < usually_opens or given.closes_at(opens) > usual.closes_at(usually_opens)


def _looser_cap(given: FrequencyCap | None, usual: FrequencyCap | None) -> Iterator[str]:
    if usual is None or (given is not None and not given.looser_than(usual)):
        return
    yield f"frequency_cap is {_text(given)} in this Dag and {_text(usual)} without it"


def _fewer_regions(given: tuple[str, ...], usual: tuple[str, ...], segments: Segments) -> Iterator[str]:
    blocked = resolve(given, segments)
    opened = [name for name in usual if not resolve([name], segments) <= blocked]
    if opened:
        yield f"blocked_regions leaves out {'、'.join(opened)} in this Dag"


def _text(cap: FrequencyCap | None) -> str:
    if cap is None:
        return "off"
    limits = [f"{limit} a {span}" for limit, span in ((cap.per_day, "day"), (cap.per_week, "week")) if limit]
    return " and ".join(limits) + (" (rolling)" if cap.rolling else "")
