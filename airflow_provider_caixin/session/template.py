"""Whether a template may be sent: one sentence for everyone who looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_caixin.errors import CaixinProviderError

if TYPE_CHECKING:
    from airflow_provider_caixin.hooks.caixin import CaixinHook
    from airflow_provider_caixin.juhe import Template


class TemplateUnavailable(CaixinProviderError):
    """The account has the template, and it may not be sent now."""


def availability(tpl_id: int, template: Template | None) -> str:
    """Return a sentence, without its full stop, on whether a template may be sent; None: no such template."""
    if template is None:
        return f"Template {tpl_id} does not exist in this account: Juhe issues the id once a template is approved"
    if not template.available:
        return f"Template {tpl_id} is not available (tpl_state 0): Juhe has not approved it yet, or took it out of use"
    return f"Template {tpl_id} is available: 【{template.signature}】"


def available_template(hook: CaixinHook, tpl_id: int) -> Template:
    """Ask the gateway for a template that may be sent.

    :raises AirflowNotFoundException: when the account has no such template.
    :raises TemplateUnavailable: when it may not be sent now.
    """
    template = hook.get_template(tpl_id)
    if not template.available:
        raise TemplateUnavailable(f"{availability(tpl_id, template)}.")
    return template


def missing_opt_out(template: Template) -> str | None:
    """Return a warning about a template that names no way to opt out; None: it names one."""
    if template.names_opt_out:
        return None
    return (
        f"Template {template.tpl_id} names no way to opt out, such as 拒收请回复R: marketing messages have to, and recipients "
        "who find none complain. Ask Juhe for a template that ends with it, unless this one is no marketing."
    )
