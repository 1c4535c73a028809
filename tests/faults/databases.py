"""Ledgers that a round may break.

A file on a small disk, and database servers of its own that it restarts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import sqlalchemy as sa
from sqlalchemy.engine import URL

from tests.between import Between

PATIENCE: Final = 30.0
DISK: Final = 12 * 2**20


class Missing(Exception):
    """This machine lacks what a database needs."""


class Database(ABC):
    """A ledger's database; use it in a ``with`` block."""

    url: URL

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold what every writer needs first."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in self._lock:
                connection.exec_driver_sql(statement)
            yield
            connection.exec_driver_sql("ROLLBACK")

    #: What takes the lock.
    _lock: ClassVar[tuple[str, ...]] = ("BEGIN", "SELECT * FROM caixin_account FOR UPDATE")


class Sqlite(Database):
    """The embedded ledger.

    :param file: the file, which need not be there.
    """

    _lock = ("BEGIN IMMEDIATE",)

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = URL.create("sqlite", database=str(file))

    def __exit__(self, *_: object) -> None:
        """Leave the file to whoever has named it."""


class SmallDisk(Sqlite):
    """The embedded ledger on a file system of its own, of a few megabytes. It needs the right to mount one.

    :param folder: where to mount.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "ledger.db")
        self._folder = folder
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        size = f"size={DISK}"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._folder)], check=False
        )
        if mounted.returncode:
            raise Missing("no right to mount a file system")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self._folder)], check=False)

    def fill(self) -> None:
        """Fill the disk to its last byte."""
        with contextlib.closing(sqlite3.connect(self.file, timeout=PATIENCE, isolation_level=None)) as ledger:
            # The write-ahead log is written over from its start after a checkpoint: without room of its own
            # it has to grow at the next commit.
            while ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                time.sleep(0.01)
            with self._ballast.open("wb", buffering=0) as ballast:
                try:
                    while ballast.write(bytes(4096)):
                        pass
                except OSError as full:
                    assert full.errno == errno.ENOSPC  # noqa: PT017  # the loop ends by nothing else

    def free(self) -> None:
        """Free the space."""
        self._ballast.unlink()


class Server(Database):
    """A database server of the round's own, on a free port of 127.0.0.1 and in a temporary folder."""

    name: ClassVar[str]
    #: How to end it: in order, and as if the machine lost its power.
    ends: ClassVar[dict[str, signal.Signals]]
    cut: ClassVar[str]
    #: Where the server writes which process it is.
    pid_file: ClassVar[str]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"caixin-{self.name}-"))
        #: Settings that go before the usual ones.
        self.settings: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # Neither server runs as root.
        self._account = _unprivileged() if os.geteuid() == 0 else None
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)

    def __enter__(self) -> Self:
        try:
            self._make()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(self.ends["in order"])
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder)

    def restart(self, how: str) -> None:
        """End the server and start it again, and see that it is another one.

        :param how: one of ``ends``.
        """
        assert self._process is not None
        before = self._pid()
        self._process.send_signal(self.ends[how])
        self._process.wait(PATIENCE)
        self._start()
        assert self._pid() == self._process.pid != before, "the server was not restarted"

    def cut_connections(self) -> int:
        """Cut every other connection, and return how many there were."""
        rows = self.ask(self.cut)
        return len(rows)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement.

        :param statement: the statement.
        """
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    def _pid(self) -> int:
        return int((self.folder / self.pid_file).read_text().split()[0])

    @abstractmethod
    def _make(self) -> None:
        """Make the server's files."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return what to run."""

    def _start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self._as_account()
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask("SELECT 1")
            except sa.exc.OperationalError:
                log_text = (self.folder / "log").read_text(errors="replace")[-2000:]
                assert self._process.poll() is None, f"{self.name} did not start: {log_text}"
                assert time.monotonic() < deadline, f"{self.name} does not answer: {log_text}"
                time.sleep(0.05)
            else:
                return

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_account())
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": self.folder}
        user = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return {"cwd": self.folder, **user}


class Postgres(Server):
    """A PostgreSQL cluster; immediate is what a crash does."""

    name = "postgresql"
    ends: ClassVar = {"in order": signal.SIGINT, "immediate": signal.SIGQUIT}
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port IS NOT NULL AND pid <> pg_backend_pid()"
    pid_file = "data/postmaster.pid"

    def __init__(self) -> None:
        self._initdb = _binary("initdb", "postgresql")
        self._postgres = _binary("postgres", "postgresql")
        super().__init__()
        self.url = URL.create(
            "postgresql+psycopg", "caixin", host="127.0.0.1", port=self.port, database="postgres"
        )

    def _make(self) -> None:
        trusting = ("--auth=trust", "--username=caixin", "--encoding=UTF8", "--no-locale", "--no-sync")
        self._run(self._initdb, *trusting, f"--pgdata={self.folder / 'data'}")

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            # What "immediate" is to be survived with.
            "fsync": "on",
            "synchronous_commit": "on",
            **self.settings,
        }
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._postgres, "-D", str(self.folder / "data"), *given]


class Forgetful(Postgres):
    """A PostgreSQL cluster that is set to forget the last seconds of commits when it crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.settings |= {"synchronous_commit": "off", "wal_writer_delay": "10s"}


class Replicated(Postgres):
    """A PostgreSQL cluster and its standby behind one address."""

    def __init__(self) -> None:
        super().__init__()
        self._standby = Standby(self.port)
        self._address = Between(self.port)
        self._all = contextlib.ExitStack()
        self.url = self.url.set(port=self._address.port)

    def __enter__(self) -> Self:
        self._all.enter_context(self._address)
        self._all.callback(super().__exit__)
        super().__enter__()
        try:
            self._all.enter_context(self._standby)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def fail_over(self) -> None:
        """Promote the standby; the old primary keeps its connections and takes no writes any more."""
        self.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        self.ask("SELECT pg_reload_conf()")
        behind = (
            "SELECT 1 FROM pg_stat_activity WHERE backend_xid IS NOT NULL UNION ALL "
            "SELECT 1 FROM pg_stat_replication WHERE replay_lsn IS DISTINCT FROM pg_current_wal_lsn()"
        )
        deadline = time.monotonic() + PATIENCE
        while self.ask(behind):
            assert time.monotonic() < deadline, "the standby does not come after"
            time.sleep(0.05)
        self._standby.ask("SELECT pg_promote()")
        self._address.lead_to(self._standby.port)


class Standby(Postgres):
    """A copy of a PostgreSQL cluster that follows it.

    :param primary: the cluster's port.
    """

    def __init__(self, primary: int) -> None:
        self._basebackup = _binary("pg_basebackup", "postgresql")
        super().__init__()
        self._primary = primary

    def _make(self) -> None:
        of = ("--host=127.0.0.1", f"--port={self._primary}", "--username=caixin")
        how = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        self._run(self._basebackup, *of, *how, f"--pgdata={self.folder / 'data'}")


class MariaDB(Server):
    """A MariaDB server; killing it is what a crash does."""

    name = "mysql"
    ends: ClassVar = {"in order": signal.SIGTERM, "immediate": signal.SIGKILL}
    cut = "SELECT id FROM information_schema.processlist WHERE db = 'ledger' AND id <> connection_id()"
    pid_file = "pid"

    def __init__(self) -> None:
        self._install = _binary("mariadb-install-db", "mariadb")
        self._mariadbd = _binary("mariadbd", "mariadb")
        super().__init__()
        self.url = URL.create("mysql+pymysql", "root", host="127.0.0.1", port=self.port, database="ledger")

    def cut_connections(self) -> int:
        """Cut every other connection, and return how many there were."""
        ids = [row[0] for row in self.ask(self.cut)]
        for one in ids:
            with contextlib.suppress(sa.exc.OperationalError):
                self.ask(f"KILL {one}")
        return len(ids)

    def _make(self) -> None:
        files = (f"--datadir={self.folder / 'data'}", "--auth-root-authentication-method=normal")
        self._run(self._install, "--no-defaults", *files, "--skip-test-db")
        # mariadbd runs this file at its start.
        (self.folder / "init").write_text("CREATE DATABASE IF NOT EXISTS ledger CHARACTER SET utf8mb4;\n")

    def _command(self) -> list[str]:
        settings = {
            "datadir": self.folder / "data",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "init-file": self.folder / "init",
            # What a kill is to be survived with.
            "innodb-flush-log-at-trx-commit": 1,
            **self.settings,
        }
        return [self._mariadbd, "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]


def _binary(name: str, package: str) -> str:
    """Find a server's program: on the path, or where distributions keep it."""
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", *map(str, _newest_first(package))]
    if config := shutil.which("pg_config"):
        asked = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        places.append(asked.stdout.strip())
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise Missing(f"no {name} on this machine: install {package}'s server")
    return found


def _newest_first(package: str) -> list[Path]:
    return sorted(Path("/usr/lib").glob(f"{package}/*/bin"), reverse=True)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "mysql", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("no unprivileged account to run a database server as")
