"""``make up``: Airflow with the example Dags, the sandbox and a ready connection, on 127.0.0.1, until Ctrl-C.

It runs what ``airflow standalone`` runs, process by process: standalone's scheduler and triggerer each serve
logs on all interfaces and on fixed ports, and its output is four programs' at once.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from scripts.airflow_api import USER
from scripts.throwaway import (
    EXAMPLE_DAGS,
    MANUAL,
    RECORD,
    ROOT,
    Home,
    chosen_port,
    duration,
    shown,
    taken,
    tried,
    unwind_when_told,
)


def main(folder: Path = ROOT / ".up", *dags: Path, port: int = 8080) -> int:
    """Run Airflow and the sandbox until Ctrl-C.

    :param folder: the Airflow home, kept for the next time.
    :param dags: folders with Dags; none: the examples.
    :param port: the UI's port on 127.0.0.1; 0 takes a free one.
    :return: exit status.
    """
    unwind_when_told()
    if taken(port):
        print(f"Port {port} of 127.0.0.1 is taken. Choose another: make up PORT={port + 1}")
        return 1
    began = time.monotonic()
    with Home(folder, *(dags or (EXAMPLE_DAGS,))) as home:
        try:
            with tried(home, port) as (airflow, api, sandbox):
                print(
                    f"Airflow:     {api.url}\n"
                    f"  user       {USER}\n"
                    f"  password   in {shown(api.passwords)}\n"
                    f"  home       {shown(folder)}, kept for the next `make up`; delete it to start from nothing\n"
                    f"Sandbox:     {sandbox.url}/, the inbox of a gateway that bills nobody\n"
                    f"  record     {shown(folder / RECORD)}\n"
                    "Connection:  caixin_default, to the sandbox, with an all-day send window and no frequency cap,\n"
                    "             so that the Dags send at any hour and to the same recipients again\n"
                    f"Dags:        {', '.join(MANUAL)}: trigger them. The others are paused.\n"
                    "\n"
                    f"Ready after {duration(began)}. Ctrl-C ends it.",
                    flush=True,
                )
                airflow.watch()
        except KeyboardInterrupt:
            print("Stopped, with all that was started.")
    return 0


if __name__ == "__main__":
    sys.exit(main(port=chosen_port()))
