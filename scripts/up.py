"""
``make up``: Airflow with the example Dags, the sandbox and a ready connection, on 127.0.0.1, until Ctrl-C.

It runs what ``airflow standalone`` runs, process by process: standalone's scheduler and triggerer each serve logs on all
interfaces and on fixed ports, and its output is four programs' at once.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from pathlib import Path

from airflow_provider_caixin.sandbox import SandboxServer
from scripts.airflow_api import USER, AirflowApi
from scripts.throwaway import EXAMPLE_DAGS, ROOT, Command, Home, duration, shown, tail, unwind_when_told

START_SECONDS = 180.0
LISTENS = re.compile(rb"Uvicorn running on (http://\S+)")
# Those that are triggered by hand: un-paused, caixin_daily would start its missed run at once.
MANUAL = ("caixin_campaign", "caixin_send_one", "caixin_mapped")


class Airflow:
    """
    The four processes of an Airflow.

    :param home: its home, with a database.
    :param port: the api-server's port on 127.0.0.1; 0 takes a free one.
    """

    def __init__(self, home: Home, port: int) -> None:
        self._home = home
        self._port = port
        self._logs = home.folder / "logs"
        self._parts: dict[str, Command] = {}
        self.url = ""

    def start(self) -> AirflowApi:
        """
        Start it, and return its API when all four are at work and the example Dags are there.

        :raises SystemExit: when one of them ends, or they take too long; with its last words.
        """
        self._logs.mkdir(exist_ok=True)
        began = time.monotonic()
        self._begin("api-server", "--host", "127.0.0.1", "--port", str(self._port))
        while not (found := LISTENS.search(self._log("api-server").read_bytes())):
            self._wait(began)
        self.url = found[1].decode()
        self._begin("scheduler", "--skip-serve-logs")
        self._begin("dag-processor")
        self._begin("triggerer", "--skip-serve-logs")
        api = AirflowApi(self.url, self._home.folder)
        while not api.healthy():
            self._wait(began)
        api.log_in()
        while not set(MANUAL) <= {dag["dag_id"] for dag in api.ask("GET", "dags")["dags"]}:
            self._wait(began)
        return api

    def watch(self) -> None:
        """
        Return never, as long as all of them run.

        :raises SystemExit: when one of them ends.
        """
        while True:
            self._look()
            time.sleep(1)

    def stop(self) -> None:
        """End all of them."""
        for part in self._parts.values():
            part.ask_to_end()
        for part in self._parts.values():
            part.stop()

    def _begin(self, name: str, *options: str) -> None:
        log = self._log(name)
        log.write_bytes(b"")
        self._parts[name] = self._home.airflow(
            name, *options, log=log, AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{self.url}/execution/"
        )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _wait(self, began: float) -> None:
        self._look()
        if time.monotonic() - began > START_SECONDS:
            sys.exit(f"Airflow did not start within {START_SECONDS:.0f} s; its logs: {shown(self._logs)}")
        time.sleep(0.3)

    def _look(self) -> None:
        for name, part in self._parts.items():
            status = part.process.poll()
            if status is not None:
                log = self._log(name)
                sys.exit(
                    f"airflow {name} ended with exit status {status}, and these are its last words ({shown(log)}):\n{tail(log)}"
                )


def main(folder: Path = ROOT / ".up", *dags: Path, port: int = 8080) -> int:
    """
    Run Airflow and the sandbox until Ctrl-C.

    :param folder: the Airflow home, kept for the next time.
    :param dags: folders with Dags; none: the examples.
    :param port: the UI's port on 127.0.0.1; 0 takes a free one.
    :return: exit status.
    """
    unwind_when_told()
    if _taken(port):
        print(f"Port {port} of 127.0.0.1 is taken. Choose another: make up PORT={port + 1}")
        return 1
    began = time.monotonic()
    record = folder / "sandbox.jsonl"
    with Home(folder, *(dags or (EXAMPLE_DAGS,))) as home:
        try:
            with SandboxServer(process=True, record=record, latency_ms=(50, 150)) as sandbox:
                home.connect(sandbox, send_window="00:00-24:00", frequency_cap="none")
                print("Starting the sandbox and Airflow, about half a minute ...", flush=True)
                home.migrate()
                airflow = Airflow(home, port)
                try:
                    api = airflow.start()
                    for dag_id in MANUAL:
                        api.ask("PATCH", "dags", dag_id, is_paused=False)
                    print(
                        f"Airflow:     {api.url}\n"
                        f"  user       {USER}\n"
                        f"  password   in {shown(api.passwords)}\n"
                        f"  home       {shown(folder)}, kept for the next `make up`; delete it to start from nothing\n"
                        f"Sandbox:     {sandbox.url}/_sandbox/state, a gateway that bills nobody; its record: {shown(record)}\n"
                        "Connection:  caixin_default, to the sandbox, with an all-day send window and no frequency cap,\n"
                        "             so that the Dags send at any hour and to the same people again\n"
                        f"Dags:        {', '.join(MANUAL)}: trigger them. caixin_daily is paused.\n"
                        "\n"
                        f"Ready after {duration(began)}. Ctrl-C ends it.",
                        flush=True,
                    )
                    airflow.watch()
                finally:
                    print("Stopping ...", flush=True)
                    airflow.stop()
        except KeyboardInterrupt:
            print("Stopped, with all that was started.")
    return 0


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: the connections that an earlier one left behind do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    chosen = os.environ.get("PORT") or "8080"
    if not chosen.isdecimal() or int(chosen) > 65535:
        sys.exit(f"PORT {chosen!r} is not a TCP port: give a number such as 8080, or 0 for a free one.")
    sys.exit(main(port=int(chosen)))
