"""Operators: whole campaigns."""
