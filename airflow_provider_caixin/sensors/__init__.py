"""Sensors: waiting for what a campaign needs."""
