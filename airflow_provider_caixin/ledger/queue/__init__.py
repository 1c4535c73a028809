"""The hot path of a ledger: load, draw, claim, settle."""
