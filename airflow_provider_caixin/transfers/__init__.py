"""Transfers: campaigns to people whom another system knows."""
