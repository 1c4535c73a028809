"""Notifiers: a message to the few people who have to know."""
