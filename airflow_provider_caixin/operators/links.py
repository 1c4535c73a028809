"""Links in the task's view of Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_caixin.settings.options import ui_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class _OperatorLink(BaseOperatorLink):
    """A link whose address the operator keeps in an attribute.

    The UI reads it from an XCom, which Airflow pushes when the task has ended. The operator pushes it
    earlier, too: it is looked at while the task runs.
    """

    attribute: ClassVar[str]

    @property
    def xcom_key(self) -> str:
        """The key of the XCom that keeps it."""
        return f"caixin_{self.name.lower().replace(' ', '_')}"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's signature
        """Return the address, empty where there is none to offer."""
        return str(getattr(operator, self.attribute, ""))


class CampaignLink(_OperatorLink):
    """Leads to the campaign that a task sends."""

    name = "Campaign"
    attribute = "campaign_page"


class TemplateMediaLink(_OperatorLink):
    """Leads to the video or picture that recipients see; a run with nothing to send did not look at it."""

    name = "Template media"
    attribute = "template_media"


def campaign_page(campaign_id: str) -> str:
    """Return the address of a campaign's page, as a browser that shows Airflow's UI finds it."""
    return f"{ui_path()}/caixin/#/campaigns?id={quote(campaign_id, safe='')}"
