"""The commands: names, arguments, help, and the function behind each, which is imported when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from airflow_provider_caixin.sandbox import command
from airflow_provider_caixin.session.arguments import ARGUMENTS
from airflow_provider_caixin.vocabulary import State, Status

HELP: Final = "Video SMS campaigns (视频短信) through the Juhe Caixin gateway"
EXIT_CODES: Final = (
    "exit status: 0 done; 1 failed; 2 wrong usage, file, connection or name; 3 the send window is closed; "
    "4 nothing matched,\nor nobody is left to send to; 5 not confirmed; 130 and 143 stopped by Ctrl-C and SIGTERM"
)


class Option:
    """An argument of a command, for argparse and for Airflow's parser alike: what ``add_argument`` takes."""

    def __init__(self, *flags: str, **settings: Any) -> None:
        self.flags = flags
        self.settings = settings

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add it to the parser of its command."""
        parser.add_argument(*self.flags, **self.settings)


class _SandboxOptions(Option):
    """All options of the sandbox, which knows them itself."""

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        command.add_arguments(parser)


class Command(NamedTuple):
    """One command.

    :param target: module of this package and function, ``module:function``.
    """

    name: str
    help: str
    target: str
    options: tuple[Option, ...] = ()


class Group(NamedTuple):
    """Commands under one name."""

    name: str
    help: str
    commands: tuple[Command, ...]


def _whole(least: int) -> Any:
    def whole(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {least}")
        return int(text)

    return whole


def _day(text: str) -> Any:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a day such as 2026-11-25") from None


def _share(text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a share such as 0.5, or none") from None


_CONN = Option("--conn-id", metavar="CONN_ID", help="the Airflow connection of type caixin (caixin_default)")
_LEDGER = Option(
    "--ledger",
    metavar="CONN_ID",
    help="the ledger's PostgreSQL or MySQL connection (the caixin connection's, else [caixin] ledger_conn_id)",
)
_OUTPUT = Option(
    "-o",
    "--output",
    choices=("table", "json", "yaml", "plain"),
    default="table",
    metavar="(table, json, yaml, plain)",
    help="output format (table)",
)
_VERBOSE = Option("-v", "--verbose", action="store_true", help="say more of what is done, on stderr")
_YES = Option("-y", "--yes", action="store_true", help="do not ask")
_PLACE = (_CONN, _LEDGER, _VERBOSE)
_SHOW = (*_PLACE, _OUTPUT)
_CAMPAIGN = Option("campaign_id", metavar="CAMPAIGN_ID", help="the campaign's id")
_ACCOUNT = Option("--account", metavar="NAME", help="the account's name (the connection's)")
_NUMBERS = Option("numbers", nargs="+", metavar="NUMBER", help="a mobile number such as 13800138000")
_REASON = Option("--reason", metavar="TEXT", help="why, for users")
_AUDIENCE = Option("audience", nargs="+", metavar="AUDIENCE", help="a .txt or .csv (also .gz), or numbers")
_KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "text": {},
    "whole": {"type": _whole(0)},
    "share": {"type": _share},
}


def _given(*, check: bool) -> Iterator[Option]:
    """Yield the options for the operator's arguments; what is not given is not in the command's values."""
    for name, one in ARGUMENTS.items():
        if one.option is None or (check and not one.option.of_check):
            continue
        settings: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": one.option.help}
        if one.reader == "read_flag":
            settings |= {"action": "store_true"}
        elif one.choices:
            settings |= {"choices": one.choices}
        else:
            settings |= {"metavar": one.option.metavar, **_KINDS[one.option.kind]}
        yield Option(*one.option.flags.split(), **settings)


COMMANDS: Final[tuple[Command | Group, ...]] = (
    Command("templates", "list the account's templates", "gateway:templates", (_CONN, _OUTPUT, _VERBOSE)),
    Command(
        "codes",
        "explain the gateway's error codes: text, cause, remedy",
        "gateway:codes",
        (Option("code", nargs="?", type=_whole(0), metavar="CODE", help="one code (all)"), _OUTPUT),
    ),
    Command(
        "check",
        "say what would happen to an audience now, by reason; nothing is sent or kept",
        "send:check",
        (
            _AUDIENCE,
            Option("--tpl-id", metavar="ID", help="the template, to say who had it already"),
            *_given(check=True),
            *_SHOW,
        ),
    ),
    Command(
        "send",
        "send a template to an audience, through the same rules and ledger as the operator",
        "send:send",
        (
            _AUDIENCE,
            Option("--tpl-id", required=True, metavar="ID", help="the template"),
            Option("--dry-run", action="store_true", help="only say what would happen, as check does"),
            *_given(check=False),
            _YES,
            *_SHOW,
        ),
    ),
    Command(
        "campaigns",
        "list campaigns, the newest first",
        "campaigns:campaigns",
        (
            Option("search", nargs="?", metavar="TEXT", help="part of the id, or a whole template id"),
            Option(
                "--status", choices=[status.value for status in Status], help="only those that stand there"
            ),
            _ACCOUNT,
            Option("--most", type=_whole(1), default=50, metavar="N", help="how many (50)"),
            Option("--before", type=_whole(1), metavar="KEY", help="go on behind the campaign of this key"),
            *_SHOW,
        ),
    ),
    Group(
        "campaign",
        "look at a campaign, stop it, let it go on",
        (
            Command(
                "show",
                "say where it stands, by reason and code",
                "campaigns:show_campaign",
                (_CAMPAIGN, *_SHOW),
            ),
            Command("pause", "pause it, also while it runs", "campaigns:pause", (_CAMPAIGN, *_PLACE)),
            Command("resume", "let it go on", "campaigns:resume", (_CAMPAIGN, *_PLACE)),
            Command("cancel", "cancel it for good", "campaigns:cancel", (_CAMPAIGN, _YES, *_PLACE)),
            Command(
                "retry",
                "make those pending again whom the gateway rejected with a code; the next run sends them",
                "campaigns:retry",
                (
                    _CAMPAIGN,
                    Option(
                        "--code", type=_whole(1), required=True, metavar="CODE", help="the gateway's code"
                    ),
                    *_PLACE,
                ),
            ),
            Command(
                "report",
                "write what became of each recipient as CSV, with full numbers; usable as the next audience",
                "campaigns:report",
                (
                    _CAMPAIGN,
                    Option(
                        "--state", choices=[state.value for state in State], help="only those in this state"
                    ),
                    Option(
                        "--reason", metavar="REASON", help="only those with this skip reason, code or text"
                    ),
                    Option("--file", metavar="FILE", help="where to (stdout)"),
                    *_PLACE,
                ),
            ),
        ),
    ),
    Group(
        "account",
        "look at accounts, stop them, limit them",
        (
            Command("list", "list the ledger's accounts", "account:list_accounts", _SHOW),
            Command("show", "show one account", "account:show_account", (_ACCOUNT, *_SHOW)),
            Command("pause", "pause all campaigns of an account", "account:pause", (_ACCOUNT, *_PLACE)),
            Command("resume", "let them go on", "account:resume", (_ACCOUNT, *_PLACE)),
            Command(
                "rename",
                "give an account another name, history and all, or merge it into the one of that name",
                "account:rename",
                (Option("new", metavar="NEW_NAME", help="the name to take"), _ACCOUNT, _YES, *_PLACE),
            ),
            Command(
                "separate",
                "give a connection's AppKey an account of its own",
                "account:separate",
                (Option("new", metavar="NEW_NAME", help="the new account's name"), _YES, *_PLACE),
            ),
            Command(
                "limit",
                "set how many messages it may send in a China day, also for campaigns that run",
                "account:limit",
                (
                    Option(
                        "limit",
                        metavar="N",
                        help="a whole number from 0, or none: the connections' own again",
                    ),
                    _ACCOUNT,
                    *_PLACE,
                ),
            ),
        ),
    ),
    Group(
        "number",
        "look at one number",
        (
            Command(
                "show",
                "list every message to a number, and say whether it is suppressed",
                "number:show_number",
                (Option("number", metavar="NUMBER", help="such as 13800138000"), *_SHOW),
            ),
        ),
    ),
    Command(
        "usage",
        "add up what was billed and what may have been, by China days",
        "usage:show_usage",
        (
            Option(
                "--from", dest="first", type=_day, metavar="DAY", help="first day (the first of this month)"
            ),
            Option("--to", dest="last", type=_day, metavar="DAY", help="last day (today)"),
            Option(
                "--by", choices=("day", "template", "campaign", "dag"), default="day", help="add up by (day)"
            ),
            _ACCOUNT,
            *_SHOW,
        ),
    ),
    Group(
        "unknown",
        "messages of which nobody knows whether they were billed",
        (
            Command(
                "list",
                "list the campaigns with unknown recipients, or the unknown recipients of one",
                "unknown:list_unknown",
                (
                    Option("campaign_id", nargs="?", metavar="CAMPAIGN_ID", help="one campaign (all)"),
                    Option("--full", action="store_true", help="with full numbers"),
                    Option("--most", type=_whole(1), default=1000, metavar="N", help="how many (1000)"),
                    *_SHOW,
                ),
            ),
            Command(
                "resolve",
                "say what became of them, after the gateway's staff or the bill have told",
                "unknown:resolve",
                (
                    _CAMPAIGN,
                    Option("--numbers", nargs="+", default=(), metavar="NUMBER", help="these"),
                    Option("--file", metavar="FILE", help="those in this .txt or .csv (column mobile)"),
                    Option("--all", action="store_true", help="all that are unknown now"),
                    Option(
                        "--as",
                        dest="outcome",
                        choices=("sent", "pending"),
                        required=True,
                        help="sent: they were billed; pending: they were not, and the next run sends them",
                    ),
                    _YES,
                    *_PLACE,
                ),
            ),
        ),
    ),
    Group(
        "suppress",
        "the suppression list: numbers that must never get a message",
        (
            Command("add", "put numbers on the list", "suppress:add", (_NUMBERS, _REASON, *_PLACE)),
            Command("remove", "take numbers off the list", "suppress:remove", (_NUMBERS, _YES, *_PLACE)),
            Command(
                "import",
                "put all numbers of a file on the list",
                "suppress:import_file",
                (
                    Option("file", metavar="FILE", help=".txt or .csv, also .gz"),
                    Option(
                        "--check",
                        action="store_true",
                        help="import nothing: say what can be read and which rows stop a send",
                    ),
                    _REASON,
                    *_SHOW,
                ),
            ),
            Command(
                "list",
                "list them, with full numbers",
                "suppress:list_suppressed",
                (
                    Option("--most", type=_whole(1), default=1000, metavar="N", help="how many (1000)"),
                    Option("--file", metavar="FILE", help="write all of them as CSV, which import takes"),
                    *_SHOW,
                ),
            ),
        ),
    ),
    Group(
        "ledger",
        "look after the ledger",
        (
            Command("info", "say what it is and holds", "ledger:info", _SHOW),
            Command("check", "count everything anew and say what disagrees", "ledger:check", _PLACE),
            Command(
                "purge",
                "forget the recipients of finished campaigns; counts, ids and suppressions stay",
                "ledger:purge",
                (
                    Option(
                        "--older-than",
                        type=_whole(8),
                        required=True,
                        metavar="DAYS",
                        help="finished so many days ago, at least 8: caps look back 7",
                    ),
                    Option(
                        "--recent",
                        action="store_true",
                        help="with --yes: also where that is less than 5 months ago",
                    ),
                    _YES,
                    *_PLACE,
                ),
            ),
            Command(
                "restored",
                "after a backup came back: make unknown what it would still send",
                "ledger:restored",
                (_YES, *_PLACE),
            ),
        ),
    ),
    Command(
        "sandbox",
        "run a gateway that behaves as the real one's document says, and bills nobody",
        "gateway:sandbox",
        (_SandboxOptions("--host"),),
    ),
)
