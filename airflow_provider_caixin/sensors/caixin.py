"""Sensors: wait until a template may be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseSensorOperator, PokeReturnValue

from airflow_provider_caixin.connection import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_CHOICES = ("wait", "fail")


class CaixinTemplateSensor(BaseSensorOperator):
    """
    Wait until a template exists and is available.

    Returns the template as a dict (``tpl_id``, ``content``, ``url``, ``available``, ``created_at``). Each poke is one call
    that is not billed as far as the gateway's document says. A gateway that is busy or out of reach is asked again at the
    next poke; one that refuses the account, or is not there, fails the task without a retry.

    :param tpl_id: template id (templated).
    :param caixin_conn_id: id of an Airflow connection of type ``caixin`` (templated).
    :param missing: what to do while the account has no such template: ``"wait"`` or ``"fail"`` without a retry.
    :param unavailable: the same while it is there and not available (``tpl_state`` 0).
    """

    template_fields: Sequence[str] = ("tpl_id", "caixin_conn_id")
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        tpl_id: int | str,
        caixin_conn_id: str = DEFAULT_CONN_ID,
        missing: str = "wait",
        unavailable: str = "wait",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("missing", missing), ("unavailable", unavailable)):
            if value not in _CHOICES:
                raise ValueError(f'{name} {value!r} is not known: expected "wait" or "fail".')
        self.tpl_id = tpl_id
        self.caixin_conn_id = caixin_conn_id
        self.missing = missing
        self.unavailable = unavailable

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002  # Airflow's signature
        """
        Look at the template once.

        :raises AirflowFailException: when waiting cannot help, or is not wanted.
        """
        from airflow_provider_caixin.hooks.caixin import CaixinHook, template_id
        from airflow_provider_caixin.juhe import AccountRefused, CaixinError, WrongEndpoint

        try:
            with CaixinHook(self.caixin_conn_id) as hook:
                tpl_id = template_id(self.tpl_id)
                found = {template.tpl_id: template for template in hook.get_templates()}.get(tpl_id)
        except (AccountRefused, WrongEndpoint, ValueError) as error:
            raise AirflowFailException(str(error)) from error
        except CaixinError as error:
            self.log.warning("The template cannot be looked at for now, asking again: %s", error)
            return PokeReturnValue(is_done=False)
        if found is None:
            self._wait_or_fail(self.missing, f"Template {tpl_id} does not exist in this account")
        elif not found.available:
            self._wait_or_fail(
                self.unavailable, f"Template {tpl_id} is there and not available (tpl_state 0)"
            )
        else:
            self.log.info("Template %s is available: %s", tpl_id, found.signature)
            return PokeReturnValue(is_done=True, xcom_value=found.as_dict())
        return PokeReturnValue(is_done=False)

    def _wait_or_fail(self, choice: str, sentence: str) -> None:
        if choice == "fail":
            raise AirflowFailException(f"{sentence}; Juhe approves templates and takes them out of use.")
        self.log.info("%s; waiting.", sentence)
