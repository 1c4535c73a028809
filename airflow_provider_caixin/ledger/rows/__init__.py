"""The rows that the wings of a ledger share, locked and saved in one order: account, campaign, recipients."""
