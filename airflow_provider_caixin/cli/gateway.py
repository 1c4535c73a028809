"""The gateway: its templates, its codes, and the sandbox, which bills nobody."""

from __future__ import annotations

import argparse

from airflow_provider_caixin.cli.terminal import Exit, StatusLine, note


def templates(args: argparse.Namespace) -> Exit:
    """List the account's templates."""
    from airflow_provider_caixin.cli.lookup import open_hook
    from airflow_provider_caixin.cli.output import show

    with open_hook(args) as hook, StatusLine("Asking the gateway for the templates"):
        found = hook.get_templates()
    show(
        [{**one.as_dict(), "names_opt_out": one.names_opt_out} for one in found],
        args.output,
    )
    return Exit.DONE if found else Exit.NOTHING


def codes(args: argparse.Namespace) -> Exit:
    """Explain one code or list all."""
    from airflow_provider_caixin.cli.output import show, show_one
    from airflow_provider_caixin.juhe.codes import CODES, describe

    if args.code is None:
        show(
            [
                {"code": one.code, "zh": one.zh, "en": one.en, "kind": one.kind.value}
                for one in CODES.values()
            ],
            args.output,
        )
        return Exit.DONE
    one = describe(args.code)
    names = ("code", "legacy", "zh", "en", "kind", "cause", "remedy")
    show_one({**{name: getattr(one, name) for name in names}, "kind": one.kind.value}, args.output)
    if args.code not in CODES:
        note(f"The gateway's document does not list {args.code}.")
        return Exit.NOTHING
    return Exit.DONE


def sandbox(args: argparse.Namespace) -> int:
    """Run a sandbox until it is stopped."""
    from airflow_provider_caixin.sandbox import command

    return command.main(args)
