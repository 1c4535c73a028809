"""What only reads a ledger: campaigns, recipients, usage, reports."""
