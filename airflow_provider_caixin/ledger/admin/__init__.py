"""What users change in a ledger: accounts, campaigns, unknown outcomes, suppressions, what is kept."""
