"""SqlToCaixinOperator on real databases, through the hooks that Airflow finds for their connections."""

from __future__ import annotations

import sqlite3
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import pymysql  # type: ignore[import-untyped]
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import DAG

from airflow_provider_caixin.sandbox import SandboxServer
from airflow_provider_caixin.session.arguments import Arguments
from airflow_provider_caixin.transfers.sql_to_caixin import SqlToCaixinOperator, _cursor
from tests.unit.conftest import Connect
from tests.unit.sends import A, B, C, billed

pytestmark = pytest.mark.usefixtures("to_sandbox")


@pytest.fixture
def crm(tmp_path: Path, connect: Connect) -> Path:
    """Make an SQLite database of customers, and a connection to it."""
    path = tmp_path / "crm.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE customer (name TEXT, mobile TEXT, tier INTEGER)")
        rows = [("a", A, 1), ("b", B, 1), ("c", C, 2), ("d", None, 1)]
        database.executemany("INSERT INTO customer VALUES (?, ?, ?)", rows)
        database.commit()
    connect("crm", conn_type="sqlite", host=str(path), password=None)
    return path


def operator(**arguments: Any) -> SqlToCaixinOperator:
    """Make an operator of template 65535."""
    return SqlToCaixinOperator(**{"task_id": "send", "tpl_id": 65535, "sql_conn_id": "crm", **arguments})


@pytest.mark.usefixtures("crm")
def test_a_query(sandbox: SandboxServer, context: Any, logged: Callable[[], str]) -> None:
    """Everyone in its result gets the message; NULL is no number; nothing of it is shown."""
    task = operator(sql="SELECT * FROM customer WHERE tier = ?;", parameters=[1])
    result = task.execute(context)
    assert (result["sent"], result["skipped"]) == (2, {"invalid_number": 1})
    assert billed(sandbox) == [A, B]
    assert A not in logged()


def test_it_runs_once(crm: Path, sandbox: SandboxServer, context: Any) -> None:
    """A second attempt does not ask the database again, another query does and adds to the campaign."""
    operator(sql="SELECT mobile FROM customer WHERE tier = 1").execute(context)
    crm.unlink()
    again = operator(sql="SELECT mobile FROM customer WHERE tier = 1").execute(context)
    assert again["sent"] == 2
    with pytest.raises(
        AirflowException, match="The query on connection 'crm' failed: OperationalError: no such"
    ):
        operator(sql="SELECT mobile FROM customer").execute(context)
    assert billed(sandbox) == [A, B]


@pytest.mark.usefixtures("crm")
def test_other_parameters(sandbox: SandboxServer, context: Any) -> None:
    """They are part of what a query is known by; whom it finds with them is added once someone said so."""
    sql = "SELECT mobile FROM customer WHERE tier = ?"
    first = operator(sql=sql, parameters=[1]).execute(context)
    with pytest.raises(AirflowFailException, match=r"changed under campaign .* are new and .* are gone"):
        operator(sql=sql, parameters=[2]).execute(context)
    kept = operator(sql=sql, parameters=[2], audience_change="keep").execute(context)
    assert kept == first
    assert operator(sql=sql, parameters=[2], audience_change="add").execute(context)["sent"] == 3
    assert billed(sandbox) == [A, B, C]


@pytest.mark.usefixtures("crm")
def test_a_dry_run(sandbox: SandboxServer, context: Any) -> None:
    """All arguments of the send operator hold."""
    result = operator(sql="SELECT mobile FROM customer", dry_run=True, max_messages=2).execute(context)
    assert (result["would_send"], result["skipped"]["over_budget"]) == (2, 1)
    assert billed(sandbox) == []


@pytest.mark.usefixtures("crm")
@pytest.mark.parametrize(
    ("sql", "error", "sentence"),
    [
        ("DELETE FROM customer WHERE 0", AirflowFailException, "gives no rows; expected a SELECT"),
        ("SELECT name, tier FROM customer", AirflowFailException, r"among its columns \(name, tier\)"),
        (f'SELECT x FROM "t {A}"', AirflowException, r"OperationalError: no such table: t \*\*\*"),
        ("  ", AirflowFailException, "expected the text of one SELECT"),
        (["SELECT 1"], AirflowFailException, "sql is a list: expected the text"),
    ],
    ids=["no select", "columns", "numbers in errors", "empty", "list"],
)
def test_what_is_wrong_with_a_query(context: Any, sql: Any, error: type[Exception], sentence: str) -> None:
    """A sentence before anything is sent; what a retry may cure is an ordinary failure."""
    with pytest.raises(AirflowException, match=sentence) as raised:
        operator(sql=sql).execute(context)
    assert type(raised.value) is error
    assert A not in str(raised.value)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("conn_type", "sentence"),
    [("nothing", "has no hook here"), ("caixin", "is no SQL database: its hook, CaixinHook")],
)
def test_connections_without_sql(connect: Connect, context: Any, conn_type: str, sentence: str) -> None:
    """A connection of another type is refused by name."""
    connect("crm", conn_type=conn_type)
    with pytest.raises(AirflowFailException, match=f"'crm' of type '{conn_type}' {sentence}"):
        operator(sql="SELECT 1").execute(context)


def test_without_common_sql(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    """The sentence says what to install."""
    monkeypatch.setitem(sys.modules, "airflow.providers.common.sql.hooks.sql", None)
    with pytest.raises(AirflowFailException, match=r'pip install "airflow-provider-caixin\[sql\]"'):
        operator(sql="SELECT 1").execute(context)


@pytest.mark.parametrize("name", ["mobiles", "audience_file"])
def test_another_audience_beside(name: str) -> None:
    """Whoever gives two audiences learns it when the Dag is read."""
    with pytest.raises(ValueError, match=f"{name} is given beside sql"):
        operator(sql="SELECT 1", **{name: "x"})


def test_in_a_dag(tmp_path: Path) -> None:
    """The query is a template, or a file of one; default_args and mapping work as ever."""
    (tmp_path / "recipients.sql").write_text("SELECT mobile FROM {{ table }}")
    with DAG("d", schedule=None, template_searchpath=str(tmp_path), default_args={"sql_conn_id": "crm"}):
        task = SqlToCaixinOperator(
            task_id="a", tpl_id=1, sql="recipients.sql", parameters={"day": "{{ ds }}"}
        )  # type: ignore[call-arg]
        mapped = SqlToCaixinOperator.partial(task_id="b", tpl_id=1, sql="SELECT {{ ds }}").expand(
            parameters=[[1], [2]]
        )
    task.resolve_template_files()
    task.render_template_fields({"table": "customer", "ds": "2026-11-25"})  # type: ignore[typeddict-unknown-key]
    assert (task.sql, task.parameters) == ("SELECT mobile FROM customer", {"day": "2026-11-25"})
    one = mapped.unmap({"parameters": [2]})
    assert isinstance(one, SqlToCaixinOperator)
    assert (one.parameters, one.sql_conn_id) == ([2], "crm")


# ---------------------------------------------------------------------- binary columns


@pytest.mark.usefixtures("crm")
def test_a_blob_of_sqlite_is_text(sandbox: SandboxServer, context: Any) -> None:
    """Bytes are the number that they spell."""
    result = operator(sql="SELECT CAST(mobile AS BLOB) AS mobile FROM customer WHERE tier = 1").execute(
        context
    )
    assert (result["sent"], result["skipped"]) == (2, {"invalid_number": 1})
    assert billed(sandbox) == [A, B]


@pytest.mark.service
@pytest.mark.usefixtures("postgresql")
def test_bytea_of_postgresql_is_text(connect: Connect, sandbox: SandboxServer, context: Any) -> None:
    """psycopg2 gives views of memory."""
    connect(
        "crm", conn_type="postgres", host="127.0.0.1", port=5432, login="root", schema="test", password=None
    )
    sql = f"SELECT convert_to(m, 'UTF8') AS mobile FROM (VALUES ('{A}'), ('+86 {B}')) v(m)"
    assert operator(sql=sql).execute(context)["sent"] == 2
    assert billed(sandbox) == [A, B]


@pytest.mark.service
@pytest.mark.usefixtures("mysql")
def test_what_mysql_decrypts_is_text(
    sandbox: SandboxServer, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encrypted number comes back as bytes; with a wrong key it is NULL, and nothing can be read."""
    for key, sent in (("k", 1), ("other", 0)):
        sql = f"SELECT AES_DECRYPT(AES_ENCRYPT(m, 'k'), '{key}') AS mobile FROM (SELECT '{A}' AS m UNION SELECT '13312340001') v"
        task = operator(sql=sql, campaign_id=key)
        monkeypatch.setattr(task, "_hook", PyMySqlHook)
        if sent:
            assert task.execute(context)["sent"] == sent
        else:
            with pytest.raises(AirflowFailException, match="sql: none of the 2 rows is a mobile number"):
                task.execute(context)
    assert billed(sandbox) == [A]


# ---------------------------------------------------------------------- cursors

MANY = 200_000


@pytest.mark.service
@pytest.mark.usefixtures("postgresql")
def test_postgresql_streams(connect: Connect, sandbox: SandboxServer, context: Any) -> None:
    """Through Airflow's own hook: the result stays on the server, also of a dict cursor."""
    for extra in ({}, {"cursor": "dictcursor"}):
        connect(
            "crm",
            conn_type="postgres",
            host="127.0.0.1",
            port=5432,
            login="root",
            schema="test",
            password=None,
            extra=extra,
        )
        sql = f"SELECT {A} + n AS mobile, 'x' AS name FROM generate_series(%(first)s, {MANY}) n"
        task = operator(sql=sql, parameters={"first": 1})
        rows = task._audience(Arguments.of(task), context)
        tracemalloc.start()
        last = None
        for row in rows:
            last = row
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert last == int(A) + MANY
        # All rows at once are more than thirty times that much; tracemalloc sees no memory of libpq's.
        assert peak < 8_000_000
    connect(
        "crm", conn_type="postgres", host="127.0.0.1", port=5432, login="root", schema="test", password=None
    )
    result = operator(sql=f"SELECT '{A}'").execute(context)
    assert result["sent"] == 1
    assert billed(sandbox) == [A]


@pytest.mark.service
@pytest.mark.usefixtures("postgresql")
def test_postgresql_errors(connect: Connect, context: Any) -> None:
    """The driver quotes a value in its error, and the task's log does not."""
    connect(
        "crm", conn_type="postgres", host="127.0.0.1", port=5432, login="root", schema="test", password=None
    )
    with pytest.raises(AirflowException, match=r'invalid input syntax for type integer: "x \*\*\*"'):
        operator(sql=f"SELECT CAST(t AS int) FROM (VALUES ('x {A}')) v(t)").execute(context)


class PyMySqlHook(DbApiHook):
    """A hook as Airflow's own for MySQL, which needs a driver that has to be built."""

    conn_name_attr = "mysql_conn_id"

    def get_conn(self) -> Any:
        """Connect."""
        return pymysql.connect(host="127.0.0.1", user="root", database="test")


@pytest.mark.service
@pytest.mark.usefixtures("mysql")
def test_mysql_streams(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyMySQL's unbuffered cursor: rows are read as they are wanted, and a close does not read the rest."""
    task = operator(sql=f"SELECT {A} + seq AS mobile FROM seq_1_to_{MANY}")
    monkeypatch.setattr(task, "_hook", PyMySqlHook)
    rows = iter(task._audience(Arguments.of(task), context))
    assert next(rows) == int(A) + 1
    rows.close()  # type: ignore[attr-defined]
    assert sum(1 for _ in task._audience(Arguments.of(task), context)) == MANY


@pytest.mark.service
@pytest.mark.parametrize("name", ["psycopg2", "psycopg", "pymysql", "sqlite3"])
def test_which_cursor(name: str, request: pytest.FixtureRequest) -> None:
    """A driver with a cursor on the server's side gives that."""
    import psycopg

    if name != "sqlite3":
        request.getfixturevalue("mysql" if name == "pymysql" else "postgresql")

    connection: Any = {
        "psycopg2": lambda: psycopg2.connect(host="127.0.0.1", user="root", dbname="test"),
        "psycopg": lambda: psycopg.connect(host="127.0.0.1", user="root", dbname="test"),
        "pymysql": lambda: pymysql.connect(host="127.0.0.1", user="root", database="test"),
        "sqlite3": lambda: sqlite3.connect(":memory:"),
    }[name]()  # type: ignore[no-untyped-call]
    with closing(connection):
        cursor = _cursor(connection)
        cursor.execute("SELECT 1")
        kinds = {"psycopg2": "cursor", "psycopg": "ServerCursor", "pymysql": "SSCursor", "sqlite3": "Cursor"}
        assert type(cursor).__name__ == kinds[name]
        if name.startswith("psycopg"):
            assert cursor.name == "caixin_audience"
        assert [tuple(row) for row in cursor.fetchmany(2)] == [(1,)]
        cursor.close()
