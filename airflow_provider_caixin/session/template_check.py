"""Check once what is waited for: a template that is available, a send window that is open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_caixin.compat import ArgNotSet
from airflow_provider_caixin.hooks.caixin import CaixinHook
from airflow_provider_caixin.juhe import AccountRefused, CaixinError, WrongEndpoint
from airflow_provider_caixin.rules import ANY_TIME, SendWindow
from airflow_provider_caixin.session.template import availability

if TYPE_CHECKING:
    from airflow_provider_caixin.juhe import Template


class TemplateCheck(NamedTuple):
    """What the gateway said once about the templates of an account.

    :param templates: by id.
    :param error: why there are none to see; None: there are.
    :param is_final: whether the error stays until someone acts.
    """

    templates: Mapping[int, Template] = {}
    error: str | None = None
    is_final: bool = False

    @classmethod
    def of(cls, caixin_conn_id: str) -> TemplateCheck:
        """Ask the gateway of an Airflow connection, and close the line to it again.

        :raises Exception: what Airflow raises where the connection cannot be had.
        """
        try:
            with CaixinHook(caixin_conn_id) as hook:
                return cls({template.tpl_id: template for template in hook.get_templates()})
        except (AccountRefused, WrongEndpoint, ValueError) as error:
            return cls(error=str(error), is_final=True)
        except CaixinError as error:
            return cls(error=str(error))

    def find(self, tpl_id: int, missing: str = "wait", unavailable: str = "wait") -> Finding:
        """Judge a template that is waited for.

        :param missing: ``"wait"`` or ``"fail"`` while the account has no such template.
        :param unavailable: the same while it is there and not available.
        """
        found = self.templates.get(tpl_id)
        if self.error is not None:
            return Finding(None, self.error, hopeless=self.is_final)
        sentence = availability(tpl_id, found)
        if found and found.available:
            return Finding(found, sentence)
        hopeless = (unavailable if found else missing) == "fail"
        return Finding(None, f"{sentence}." if hopeless else sentence, hopeless=hopeless)


class Finding(NamedTuple):
    """What a check of a template came to.

    :param template: the template, where it is available.
    :param sentence: what was found, for users.
    :param hopeless: whether waiting cannot help, or is not wanted.
    """

    template: Template | None
    sentence: str
    hopeless: bool = False


def window_of(send_window: SendWindow | str | ArgNotSet | None, caixin_conn_id: str) -> SendWindow:
    """Return the send window that holds, as for the send operator.

    :param send_window: not given: the connection's, which is read only then, else the configuration's, else
        09:00-18:00.
    :raises ValueError: for a window or a connection that cannot be right.
    :raises Exception: what Airflow raises where the connection cannot be had.
    """
    if isinstance(send_window, ArgNotSet):
        return CaixinHook(caixin_conn_id).settings.send_window or ANY_TIME
    return ANY_TIME if send_window is None else SendWindow.parse(send_window)
