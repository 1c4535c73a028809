"""Links in the task's view of Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_caixin.settings.options import ui_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class CampaignLink(BaseOperatorLink):
    """
    Leads to the campaign that a task sends.

    The UI reads the address from an XCom, which Airflow pushes when the task has ended. The operator pushes
    it before it sends, too: it is looked at while it runs.
    """

    name = "Campaign"

    @property
    def xcom_key(self) -> str:
        """The key of the XCom that keeps it."""
        return "caixin_campaign"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the page's address, empty where there is no campaign to see."""
        return str(getattr(operator, "campaign_page", ""))


class TemplateMediaLink(BaseOperatorLink):
    """
    The video or picture that recipients see, where the gateway keeps it.

    The operator pushes it as XCom, from which the UI reads it, when it has looked at the template; a run that
    had nothing to send did not look and offers no link.
    """

    name = "Template media"

    @property
    def xcom_key(self) -> str:
        """The key of the XCom that keeps it."""
        return "caixin_template_media"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the address, empty where there is none to offer."""
        return str(getattr(operator, "template_media", ""))


def campaign_page(campaign_id: str) -> str:
    """Return the address of a campaign's page, as a browser that shows Airflow's UI finds it."""
    return f"{ui_path()}/caixin/#/campaigns?id={quote(campaign_id, safe='')}"
