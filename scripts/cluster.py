"""``make cluster``: Airflow on CeleryExecutor with two workers, and the sandbox, on 127.0.0.1, until Ctrl-C.

Redis and PostgreSQL are those of this machine or of your naming (``CAIXIN_CLUSTER_REDIS``,
``CAIXIN_CLUSTER_POSTGRES``). The cluster has two databases there and keys of its own, made at the start and
dropped at the end, so that clusters run side by side.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import sqlalchemy as sa
from sqlalchemy.engine import URL

from scripts.airflow_api import USER
from scripts.throwaway import (
    EXAMPLE_DAGS,
    MANUAL,
    RECORD,
    ROOT,
    WORKER,
    Home,
    chosen_port,
    duration,
    shown,
    taken,
    tried,
    unwind_when_told,
)

WORKERS = ("worker-1", "worker-2")
LEDGER = "caixin_ledger"
POSTGRES = "CAIXIN_CLUSTER_POSTGRES"
REDIS = "CAIXIN_CLUSTER_REDIS"
# libpq then takes the name of whoever runs this, which is what PostgreSQL's own tools do.
DEFAULT_POSTGRES = "postgresql://127.0.0.1:5432/postgres"
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"


def host_name() -> str:
    """Return the host a task runs on, for Airflow: workers of one machine count as hosts of their own."""
    return os.environ.get(WORKER) or socket.gethostname()


def broker() -> str:
    """Return the address of Redis."""
    return os.environ.get(REDIS) or DEFAULT_REDIS


def server() -> URL:
    """Return the address of PostgreSQL."""
    return sa.make_url(os.environ.get(POSTGRES) or DEFAULT_POSTGRES).set(drivername="postgresql+psycopg")


def settings(name: str, metadata: URL) -> dict[str, str]:
    """Return the part of the configuration that makes a cluster of an Airflow.

    :param name: what its databases and keys begin with.
    :param metadata: Airflow's database.
    """
    address = metadata.render_as_string(hide_password=False)
    return {
        "AIRFLOW__CAIXIN__LEDGER_CONN_ID": LEDGER,
        "AIRFLOW__CELERY__BROKER_URL": broker(),
        # Two workers of two: more tasks than that wait in the broker.
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": f"{name}.",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "scripts.cluster.host_name",
        "AIRFLOW__CORE__PARALLELISM": "16",
        # psycopg 3 is both: no second driver for the asynchronous half of Airflow.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": address,
        # Each process has pools of its own, and PostgreSQL 100 connections for everyone.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "5",
        # A worker's death is seen within half a minute, and not after five minutes: somebody is watching.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    }


@contextmanager
def services(name: str) -> Iterator[tuple[URL, URL]]:
    """Yield empty databases for Airflow and for the ledger, with a Redis without keys of this name.

    In the end all of it is gone.

    :param name: what databases and keys begin with; what a killed cluster left of this name is dropped first.
    :raises SystemExit: when PostgreSQL or Redis is missing; says how to name another.
    """
    keys = redis.Redis.from_url(broker())
    engine = sa.create_engine(server(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    names = [f"{name}_airflow", f"{name}_ledger"]
    try:
        _forget(keys, name)
    except redis.RedisError as error:
        sys.exit(_missing("Redis", sa.make_url(broker()), f"{REDIS}=redis://:password@host:6379/0", error))
    try:
        _drop(engine, names)
        with engine.connect() as connection:
            for database in names:
                connection.exec_driver_sql(f'CREATE DATABASE "{database}"')
    except sa.exc.DBAPIError as error:
        example = f"{POSTGRES}=postgresql://user:password@host:5432/postgres"
        sys.exit(
            _missing("PostgreSQL", server(), f"{example} (of a user who may create databases)", error.orig)
        )
    try:
        yield server().set(database=names[0]), server().set(database=names[1])
    finally:
        _drop(engine, names)
        _forget(keys, name)
        keys.close()


def _drop(engine: sa.Engine, names: list[str]) -> None:
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _forget(keys: redis.Redis, name: str) -> None:
    for key in keys.scan_iter(f"{name}.*", count=1000):
        keys.delete(key)


def _missing(what: str, address: URL, example: str, error: object) -> str:
    reason = str(error).splitlines()[0].rstrip(".")
    return f"No {what} at {address} ({reason}). Start it, or name another with {example}."


def main(folder: Path = ROOT / ".cluster", *dags: Path, port: int = 8080) -> int:
    """Run the cluster and the sandbox until Ctrl-C.

    :param folder: the Airflow home, emptied at the start; its logs and the sandbox's record stay.
    :param dags: folders with Dags; none: the examples.
    :param port: the UI's port on 127.0.0.1; 0 takes a free one.
    :return: exit status.
    """
    unwind_when_told()
    if taken(port):
        print(f"Port {port} of 127.0.0.1 is taken. Choose another: make cluster PORT={port + 1}")
        return 1
    began = time.monotonic()
    name = f"caixin_cluster_{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:12]}"
    with Home(folder, *(dags or (EXAMPLE_DAGS,))) as home:
        try:
            with services(name) as (metadata, ledger):
                home.clear()
                home.settings = settings(name, metadata)
                home.connections[LEDGER] = _connection(ledger)
                with tried(home, port, WORKERS) as (airflow, api, sandbox):
                    workers = [f"{worker} ({airflow.pid(worker)})" for worker in WORKERS]
                    print(
                        f"Airflow:     {api.url}\n"
                        f"  user       {USER}\n"
                        f"  password   in {shown(api.passwords)}\n"
                        f"  home       {shown(folder)}, emptied by the next `make cluster`\n"
                        f"Executor:    CeleryExecutor, broker {sa.make_url(broker())}, keys {name}.*\n"
                        f"Workers:     {', '.join(workers)}\n"
                        "             kill one with all that it runs: pkill -KILL -s followed by its number\n"
                        f"Metadata:    {metadata}\n"
                        f"Ledger:      {ledger}, connection {LEDGER}; both databases are dropped at the end\n"
                        f"Sandbox:     {sandbox.url}/, the inbox of a gateway that bills nobody\n"
                        f"  record     {shown(folder / RECORD)}\n"
                        "Connection:  caixin_default, to the sandbox, with an all-day send window and no frequency cap,\n"
                        "             so that the Dags send at any hour and to the same recipients again\n"
                        f"Dags:        {', '.join(MANUAL)}: trigger them; caixin_mapped runs on both workers. The others are paused.\n"
                        "\n"
                        f"Ready after {duration(began)}. Ctrl-C ends it.",
                        flush=True,
                    )
                    airflow.watch()
        except KeyboardInterrupt:
            print("Stopped, with all that was started.")
    return 0


def _connection(ledger: URL) -> str:
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": ledger.host,
            "port": ledger.port,
            "login": ledger.username,
            "password": ledger.password,
            "schema": ledger.database,
        }
    )


if __name__ == "__main__":
    sys.exit(main(port=chosen_port()))
