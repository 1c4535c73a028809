"""Timetables: when runs start."""
