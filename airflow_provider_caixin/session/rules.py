"""The rules that hold for a run: its arguments over its connection's, and what these arguments loosen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_caixin.audience import Classifier, Segments
from airflow_provider_caixin.audience.regions import resolve
from airflow_provider_caixin.china_time import CHINA
from airflow_provider_caixin.compat import NOTSET, ArgNotSet
from airflow_provider_caixin.rules import FrequencyCap, SendWindow
from airflow_provider_caixin.settings.options import get_option

if TYPE_CHECKING:
    from airflow_provider_caixin.session.arguments import Arguments
    from airflow_provider_caixin.settings.connection import CaixinConnection

_BY_NONE: Final = (
    " (by None, which a field of a YAML file with nothing behind it is, too: leave the field out)"
)


class RulesInForce(NamedTuple):
    """What holds for a run.

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
    loosened: tuple[str, ...]

    @classmethod
    def of(cls, given: Arguments, settings: CaixinConnection, where: str) -> RulesInForce:
        """Settle the rules: the argument if given, else the connection, configuration or built-in default.

        :param where: where the arguments were given, for the sentences about what they loosen.
        :raises ValueError: for a region that the number data does not know, or a bad ``segments_file``.
        """
        segments = _segments()
        window, cap, regions = settings.send_window, settings.frequency_cap, settings.blocked_regions
        loosened: list[str] = []
        if not isinstance(given.send_window, ArgNotSet):
            window = given.send_window
            loosened += _looser_window(window, settings.send_window, where)
        if not isinstance(given.frequency_cap, ArgNotSet):
            cap = given.frequency_cap
            loosened += _looser_cap(cap, settings.frequency_cap, where)
        if not isinstance(given.blocked_regions, ArgNotSet):
            regions = given.blocked_regions or ()
            loosened += _fewer_regions(regions, settings.blocked_regions, segments, where)
        if given.allow_other_carriers:
            loosened.append("allow_other_carriers: numbers that other networks issued get messages")
        if given.allow_virtual_operators:
            loosened.append("allow_virtual_operators: virtual operators' numbers get messages")
        if given.on_unknown == "resend":
            loosened.append("on_unknown is resend: what is unknown is sent once more and may be billed twice")
        classifier = Classifier(
            blocked_regions=regions,
            allow_other_carriers=given.allow_other_carriers,
            allow_virtual_operators=given.allow_virtual_operators,
            segments=segments,
        )
        return cls(window, cap, regions, classifier, tuple(loosened))

    def warnings(self, given: Arguments) -> list[str]:
        """Return for a Dag's log what is loosened, and of None also how it may have come about."""
        by_none = [getattr(given, one.split(" ")[0], NOTSET) is None for one in self.loosened]
        return [
            f"A rule is loosened: {one}{_BY_NONE * is_none}."
            for one, is_none in zip(self.loosened, by_none, strict=True)
        ]

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
