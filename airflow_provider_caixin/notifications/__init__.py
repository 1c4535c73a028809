"""Notifiers: a message to the few who have to know."""
