"""Hooks: the gateway, a call at a time."""
