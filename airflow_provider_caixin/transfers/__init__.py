"""Transfers: campaigns to recipients that another system knows."""
