"""The hook: one connection's gateway, a call at a time and without the campaign's rules."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_caixin.settings.connection import CaixinConnection
from airflow_provider_caixin.settings.options import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_caixin.juhe import JuheClient, Template


def template_id(value: object) -> int:
    """Read a template id, which a template field or a form may hand over as text.

    :raises ValueError: when it is no whole number from 1.
    """
    text = str(value).strip()
    if isinstance(value, (int, str)) and text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ValueError(
        f"tpl_id {value!r} is not a template id: expected the number that Juhe issued, such as 65535."
    )


class CaixinHook(BaseHook):
    """Talk to the video SMS gateway of one connection.

    For single calls and for looking at templates. Campaigns go through
    :class:`~airflow_provider_caixin.operators.caixin.CaixinSendOperator`, which keeps the rules and the
    ledger. A hook that has called the gateway holds connections to it until :meth:`close`, or the end of a
    ``with`` block.

    :param caixin_conn_id: id of an Airflow connection of type ``caixin``.
    """

    conn_name_attr = "caixin_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "caixin"
    hook_name = "Caixin (Juhe video SMS)"

    def __init__(self, caixin_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.caixin_conn_id = caixin_conn_id
        self._warned = False

    @cached_property
    def settings(self) -> CaixinConnection:
        """The connection, read and checked at the first use.

        :raises ValueError: when a field of it cannot be right.
        """
        return CaixinConnection.parse(self.get_connection(self.caixin_conn_id))

    @cached_property
    def client(self) -> JuheClient:
        """The gateway's client, made at the first use and kept."""
        return self.settings.client()

    def get_conn(self) -> JuheClient:
        """Return the gateway's client."""
        return self.client

    def send(self, tpl_id: int, mobile: str) -> str:
        """Send one message: one request, never repeated, billed when it is accepted.

        No rule is checked and nothing is recorded: neither window nor cap, region, carrier or rate.

        :param mobile: a mobile number of mainland China in any usual spelling.
        :return: the sid, the gateway's id of the message; empty when it gave none.
        :raises ValueError: when ``mobile`` is no such number; nothing was sent.
        :raises CaixinError: when the gateway did not accept it; of these
            :class:`~airflow_provider_caixin.juhe.OutcomeUnknown` may have been billed.
        """
        from airflow_provider_caixin.audience import normalise

        if not self._warned:
            self._warned = True
            self.log.warning(
                "CaixinHook.send checks no rule (window, rate, cap, region, carrier) and records nothing; "
                "use CaixinSendOperator for campaigns."
            )
        number = normalise(mobile)
        if number is None:
            raise ValueError(
                "mobile is not a mobile number of mainland China; expected 11 digits such as 13800138000 "
                "(its value is not shown here)."
            )
        return self.client.send(template_id(tpl_id), number)

    def get_templates(self) -> list[Template]:
        """Load the account's templates; not billed as far as the gateway's document says.

        :raises CaixinError: when the gateway did not list them.
        """
        return self.client.templates()

    def get_template(self, tpl_id: int) -> Template:
        """Load one template, available or not.

        :raises AirflowNotFoundException: when the account has no such template.
        :raises CaixinError: when the gateway did not answer the question.
        """
        wanted = template_id(tpl_id)
        templates = self.get_templates()
        for template in templates:
            if template.tpl_id == wanted:
                return template
        known = ", ".join(str(template.tpl_id) for template in templates[:20])
        raise AirflowNotFoundException(
            f"Template {wanted} is not among the {len(templates)} templates of connection "
            f"{self.caixin_conn_id!r}{f' ({known})' if known else ''}; Juhe issues the id once a template is approved."
        )

    def test_connection(self) -> tuple[bool, str]:
        """Check that the gateway answers this connection's key, by loading its templates: nothing is sent."""
        from airflow_provider_caixin.juhe import CaixinError

        try:
            templates = self.get_templates()
        except (CaixinError, ValueError) as error:
            return False, str(error)
        finally:
            # Airflow asks once and forgets the hook.
            self.close()
        available = sum(template.available for template in templates)
        return True, f"The gateway answered: {len(templates)} templates, {available} of them available."

    def close(self) -> None:
        """Close the connections to the gateway; the next call opens new ones."""
        client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
