"""Decorators: campaigns to the recipients that a function returns."""
