"""Decorators: campaigns to people whom a function names."""
