"""The arguments of whoever sends: an entry for each serves operators, notifier and command line alike.

A new argument is an entry of :class:`Arguments`, the operator's signature and docstring, and whatever acts on
it. Template fields, guards, the options of ``airflow caixin send`` and ``check`` and what the plan gets
follow from the entry.

Airflow loads this module with each of its own commands, so it imports the standard library alone: the
functions that read values are found by name when there is something to read.
"""

# ruff: noqa: RUF009  # what is called for each makes its field()
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_caixin.compat import ArgNotSet
    from airflow_provider_caixin.rules import FrequencyCap, SendWindow

_FOR_ANY_NAME: Final = ("read_flag", "read_limit")
#: What a command says for no rule at all; a rule that it does not name is the connection's.
NO_RULE: Final = "none"


class Option(NamedTuple):
    """How the command line takes an argument.

    :param flags: with spaces between.
    :param kind: ``whole`` is a number from 0, ``share`` a number or ``none``.
    :param of_check: whether ``check`` takes it as well as ``send``.
    """

    flags: str
    help: str
    metavar: str | None = None
    kind: Literal["text", "whole", "share"] = "text"
    of_check: bool = True


class Argument(NamedTuple):
    """What is known of an argument.

    :param reader: the function of :mod:`.readers` that reads it; None: it is taken as it is.
    :param choices: the texts that it may be, where it is not its default.
    :param is_rule: whether it is the connection's where it is not given.
    :param in_template: whether it is a template field.
    :param is_guard: whether it keeps recipients from being billed: a template must not come to nothing.
    :param is_name: the same, where nothing would mean another campaign, or another column of its audience.
    :param is_file: whether it is a path or URL.
    :param in_plan: whether it is a field of the plan.
    """

    reader: str | None = None
    default: Any = None
    choices: tuple[str, ...] = ()
    is_rule: bool = False
    in_template: bool = False
    is_guard: bool = False
    is_name: bool = False
    is_file: bool = False
    in_plan: bool = False
    option: Option | None = None

    def read(self, name: str, value: object) -> Any:
        """Read what a Dag, a rendered template or a command gave.

        :raises ValueError: names the argument, the value and what was expected.
        """
        readers = import_module("airflow_provider_caixin.session.readers")
        if self.choices and value != self.default:
            readers.check_choice(name, value, self.choices)
        if self.reader is None:
            return value
        read = getattr(readers, self.reader)
        return read(name, value) if self.reader in _FOR_ANY_NAME else read(value)


def _argument(reader: str | None = None, default: Any = None, **known: Any) -> Any:
    return field(default=default, metadata={"known": Argument(reader, default, **known)})


def _flag(default: bool = False, **known: Any) -> Any:
    return _argument("read_flag", default, **known)


def _rule(reader: str, option: Option) -> Any:
    known = Argument(reader, is_rule=True, option=option)
    return field(default_factory=_not_given, metadata={"known": known})


def _not_given() -> ArgNotSet:
    from airflow_provider_caixin.compat import NOTSET

    return NOTSET


# fmt: off
@dataclass(frozen=True, kw_only=True, repr=False)  # there are numbers in it
class Arguments:
    """What whoever sends was given, read; the operator's docstring says what each means.

    A notifier or a command lacks some, which are as by default; how a closed window is waited for is the
    operator's own. ``campaign_id`` is as it was given: each who sends has a name of its own for a campaign
    that was given none.
    """

    tpl_id: int = _argument("read_template_id", 0, in_template=True)
    mobiles: Any = _argument("read_mobiles", in_template=True)
    audience_file: ObjectStoragePath | None = _argument("read_audience_file", in_template=True, is_file=True)
    audience_column: str | None = _argument("read_column", in_template=True, is_name=True, option=Option(
        "--column --audience-column", "the column of a .csv (mobile, 手机号, 手机号码, 手机, else the only one)", "NAME"))
    campaign_id: Any = _argument(in_template=True, is_name=True, option=Option(
        "--campaign-id", "same id: same campaign, which no recipient gets twice", "ID"))
    caixin_conn_id: str = _argument(default="caixin_default", in_template=True)
    send_window: SendWindow | ArgNotSet | None = _rule("read_send_window", Option(
        "--send-window", "such as 09:00-18:00 in Asia/Shanghai, or none (the connection's)", "HOURS"))
    frequency_cap: FrequencyCap | ArgNotSet | None = _rule("read_frequency_cap", Option(
        "--frequency-cap", "member_marketing, games_health, JSON or none (the connection's)", "CAP"))
    blocked_regions: tuple[str, ...] | ArgNotSet | None = _rule("read_blocked_regions", Option(
        "--blocked-regions", "such as 北京,沈阳, or none (the connection's)", "NAMES"))
    suppress_file: ObjectStoragePath | None = _argument(
        "read_suppress_file", in_template=True, is_guard=True, is_file=True, option=Option(
        "--suppress-file", "numbers that opted out, .txt or .csv: they go on the suppression list", "FILE"))
    allow_other_carriers: bool = _flag(option=Option(
        "--allow-other-carriers", "also numbers of other networks: some were ported"))
    allow_virtual_operators: bool = _flag(option=Option(
        "--allow-virtual-operators", "also virtual operators' numbers"))
    expires_at: datetime | timedelta | Literal["close"] | None = _argument(
        "read_expiry", in_template=True, is_guard=True, in_plan=True, option=Option("--expires-at",
        'such as "2026-11-25 18:00" (Asia/Shanghai), or close: what is left then is skipped', "MOMENT", of_check=False))
    max_messages: int | None = _argument("read_limit", in_template=True, is_guard=True, in_plan=True, option=Option(
        "--max-messages", "at most so many billed or possibly billed", "N", "whole"))
    on_unknown: Literal["hold", "resend"] = _argument(default="hold", choices=("hold", "resend"), in_plan=True, option=Option(
        "--on-unknown", "resend: send once more what is unknown, which may bill twice (hold)", of_check=False))
    audience_change: Literal["add", "keep"] | None = _argument(choices=("add", "keep"), option=Option("--audience-change",
        "of a file with other recipients than when the campaign loaded it: send to both lists, or to the first",
        of_check=False))
    max_failure_ratio: float | None = _argument(default=0.5, in_plan=True, option=Option("--max-failure-ratio",
        "fail when this share was rejected or is unknown, or none (0.5)", "SHARE", "share", of_check=False))
    max_consecutive_failures: int | None = _argument(default=50, in_plan=True)
    check_template: bool = _flag(default=True)
    allow_backfill: bool = _flag()
    dry_run: bool = _argument("read_dry_run", default=False, in_template=True, is_guard=True)
    report_file: ObjectStoragePath | None = _argument(
        "read_report_file", in_template=True, is_file=True, option=Option(
        "--report-file", "write a CSV with a line for each recipient, full numbers in it", "FILE"))
    # fmt: on

    @classmethod
    def of(cls, giver: object) -> Self:
        """Read an operator's or a notifier's attributes; a ValueError names the first that is wrong."""
        given = {name: one for name, one in ARGUMENTS.items() if hasattr(giver, name)}
        return cls(**{name: one.read(name, getattr(giver, name)) for name, one in given.items()})

    @classmethod
    def of_command(cls, options: Mapping[str, Any], **others: Any) -> Self:
        """Read the options of a command that were given; a ValueError names the first that cannot be right.

        :param others: arguments that no option gives.
        """
        from airflow_provider_caixin.session.readers import check_not_empty, object_path

        for name, one in ARGUMENTS.items():
            if one.option is None or name not in options:
                continue
            value = options[name]
            if one.is_rule and value.strip().lower() == NO_RULE:
                value = None
            elif one.is_file:
                # A shell makes an empty text of a variable that is not set: that is not "no file".
                check_not_empty(name, value)
                value = object_path(value)
            others[name] = one.read(name, value)
        return cls(**others)

    def for_plan(self) -> dict[str, Any]:
        """Return those that are fields of the plan."""
        return {name: getattr(self, name) for name, one in ARGUMENTS.items() if one.in_plan}


ARGUMENTS: Final[Mapping[str, Argument]] = {one.name: one.metadata["known"] for one in fields(Arguments)}
TEMPLATE_FIELDS: Final = tuple(name for name, one in ARGUMENTS.items() if one.in_template)
GUARDS: Final = tuple(name for name, one in ARGUMENTS.items() if one.is_guard)


def read_early(giver: object) -> None:
    """Read an operator's or notifier's arguments that are no templates, where the Dag is read.

    A mistake in one is an import error then, and not tomorrow's failure. The texts of flags become truth
    values.
    """
    for name, one in ARGUMENTS.items():
        if hasattr(giver, name) and not one.in_template:
            found = one.read(name, getattr(giver, name))
            if isinstance(found, bool):
                setattr(giver, name, found)
