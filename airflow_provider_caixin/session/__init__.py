"""The one way in for whoever sends: operator, notifier, decorator, transfer and command line."""
