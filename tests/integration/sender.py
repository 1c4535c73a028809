"""A process that runs one campaign, for tests that kill, stop and suspend it: arguments are one JSON object."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from airflow_provider_caixin.audience import FileAudience
from airflow_provider_caixin.campaign import Campaign, CampaignError, Plan
from airflow_provider_caixin.juhe import JuheClient
from airflow_provider_caixin.ledger import Ledger
from airflow_provider_caixin.rules import FrequencyCap, SendWindow


def say(line: str) -> None:
    """Write a line that the test reads at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Load and send; print what became of it, or the name of what ended it."""
    order = json.loads(sys.argv[1])
    plan = order["plan"]
    if plan.get("window"):
        plan["window"] = SendWindow(plan["window"])
    if plan.get("cap"):
        plan["cap"] = FrequencyCap(plan["cap"])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = JuheClient(
        "k" * 32, host="127.0.0.1", port=order["port"], schema="http", timeout=plan["timeout"]
    )
    campaign = Campaign(Plan(**plan), Ledger(order["ledger"]), client, lease=order["lease"])
    campaign.load(FileAudience(Path(order["file"])), order.get("source", "file"))
    say("loaded")
    try:
        campaign.send(stop)
    except CampaignError as error:
        say(type(error).__name__)
        return 1
    say(json.dumps(campaign.counts().as_result()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
