"""The rows that the wings of a ledger share: locked, read and written, a module for each kind."""
