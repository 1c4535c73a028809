from __future__ import annotations

import pytest
import sqlalchemy as sa

from airflow_provider_caixin.ledger import CampaignMismatch, Ledger, LedgerUnavailable, schema
from airflow_provider_caixin.ledger.rows import account_names
from airflow_provider_caixin.ledger.rows import campaign as campaign_rows
from tests.databases import EMBEDDED
from tests.unit.ledger.conftest import Past
from tests.unit.ledger.loads import make

# What the databases do not differ in.


@EMBEDDED
def test_a_campaign_whose_account_is_merged_while_it_is_looked_up(past: Past, ledger: Ledger) -> None:
    """Its account is gone when its name is asked for: the next attempt finds it."""
    past.campaign("campaign")
    with ledger.writing() as connection:
        connection.execute(sa.delete(schema.account))
        with pytest.raises(LedgerUnavailable, match="merged into another this very moment"):
            campaign_rows.peek_campaign(connection, "campaign", 99, 65535)


def test_a_campaign_has_one_template_and_one_account(ledger: Ledger) -> None:
    """Another one under the same id is refused, and the sentence names the way out."""
    make(ledger)
    with ledger.writing() as connection:
        account = account_names.find_account(ledger, connection, "account")
        other = account_names.find_account(ledger, connection, "Account")
        with pytest.raises(CampaignMismatch, match=r"template 65535, not 65536.*cancel that campaign"):
            campaign_rows.find_campaign(ledger, connection, "campaign", account, 65536, 0.0)
        with pytest.raises(CampaignMismatch, match="another account"):
            campaign_rows.find_campaign(ledger, connection, "campaign", other, 65535, 0.0)
        upper = campaign_rows.find_campaign(ledger, connection, "CAMPAIGN", other, 65535, 0.0)
        long = campaign_rows.find_campaign(ledger, connection, "活动" * 3_000, account, 65535, 0.0)
        assert (
            len(
                {
                    upper,
                    long,
                    campaign_rows.find_campaign(ledger, connection, "campaign", account, 65535, 0.0),
                }
            )
            == 3
        )
