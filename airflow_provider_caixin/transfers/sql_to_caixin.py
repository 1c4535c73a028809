"""A campaign to the recipients that a query finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseHook

from airflow_provider_caixin.operators.caixin import CaixinSendOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_caixin.audience import Audience
    from airflow_provider_caixin.audience.sources.rows import Cursor
    from airflow_provider_caixin.session.arguments import Arguments


class SqlToCaixinOperator(CaixinSendOperator):
    """Send one template to the recipients that a query finds; in all else a :class:`CaixinSendOperator`.

    The rows are streamed from the database into the ledger, through a cursor on the server's side where the
    driver has one (psycopg, PyMySQL, mysqlclient), and stand nowhere else. The query runs once: a retry, or a
    task that comes back when the window opens, goes on with the recipients in the ledger. With another text,
    or other parameters, it is run again, and ``audience_change`` goes by the recipients that it finds.

    One row is one recipient. Its column is ``audience_column``; without that it is ``mobile``, 手机号,
    手机号码 or
    手机, in this order and whatever their case, else the only column. NULL counts as ``invalid_number``.
    Airflow shows what ``sql`` and ``parameters`` come to: no number belongs into them.

    :param sql: one SELECT, or a file of it that ends in .sql (templated).
    :param sql_conn_id: id of a connection of any type that has a hook of the common.sql provider (templated).
    :param parameters: for the placeholders of the query, as the database's driver writes them (templated).
    :param hook_params: arguments of the connection's hook, such as ``{"schema": "crm"}``.
    """

    template_fields: Sequence[str] = (
        "sql",
        "sql_conn_id",
        "parameters",
        *(name for name in CaixinSendOperator.template_fields if name not in ("mobiles", "audience_file")),
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", "parameters": "json"}  # noqa: RUF012  # as Airflow declares it
    ui_color = "#d9e9ef"

    def __init__(
        self,
        *,
        sql: str,
        sql_conn_id: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("mobiles", "audience_file"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"{name} is given beside sql, which is where the audience comes from; leave it out."
                )
        super().__init__(**kwargs)
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.parameters = parameters
        self.hook_params = hook_params

    def _audience(self, given: Arguments, context: Context) -> Audience:  # noqa: ARG002  # the query is rendered by now
        from airflow_provider_caixin.audience import QueryAudience

        if not isinstance(self.sql, str) or not self.sql.strip():
            raise ValueError(
                f"sql is a {type(self.sql).__name__}: expected the text of one SELECT, or a .sql file."
            )
        identity = (self.sql_conn_id, self.hook_params, self.sql, self.parameters)
        return QueryAudience(self._query, given.audience_column, identity=identity)

    @contextmanager
    def _query(self) -> Iterator[Cursor]:
        """Run the query, and translate errors while its rows are read: a driver's words may quote rows."""
        from airflow_provider_caixin.audience import AudienceError, without_numbers

        hook = self._hook()
        # Of Oracle's drivers none takes a semicolon at the end.
        sql = self.sql.strip().removesuffix(";")
        cursor = None
        try:
            with closing(hook.get_conn()) as connection:
                cursor = _cursor(connection)
                cursor.execute(*(sql,) if self.parameters is None else (sql, self.parameters))
                yield cursor
        except AudienceError:
            raise
        except Exception as error:  # noqa: BLE001  # each driver has its own
            raise AirflowException(
                f"The query on connection {self.sql_conn_id!r} failed: {type(error).__name__}: {without_numbers(str(error).strip())}"
            ) from None
        finally:
            _release(cursor)

    def _hook(self) -> Any:
        try:
            from airflow.providers.common.sql.hooks.sql import DbApiHook
        except ImportError:
            raise AirflowFailException(
                "SqlToCaixinOperator needs Airflow's common.sql provider, which is not installed: "
                'pip install "airflow-provider-caixin[sql]".'
            ) from None
        connection = BaseHook.get_connection(self.sql_conn_id)
        try:
            hook = connection.get_hook(hook_params=dict(self.hook_params or {}))  # type: ignore[no-untyped-call]
        except (AirflowException, ImportError) as error:
            raise AirflowFailException(
                f"Connection {self.sql_conn_id!r} of type {connection.conn_type!r} has no hook here ({error}): "
                "install the provider of that database."
            ) from None
        if not isinstance(hook, DbApiHook):
            raise AirflowFailException(
                f"Connection {self.sql_conn_id!r} of type {connection.conn_type!r} is no SQL database: its hook, "
                f"{type(hook).__name__}, is none of the common.sql provider."
            )
        return hook


def _cursor(connection: Any) -> Any:
    """Open a cursor that leaves the result on the server, if the driver has one and other kinds as well."""
    driver = type(connection).__module__.partition(".")[0]
    if driver in ("psycopg", "psycopg2"):
        return connection.cursor(name="caixin_audience")
    if driver in ("pymysql", "MySQLdb"):
        return connection.cursor(import_module(f"{driver}.cursors").SSCursor)
    return connection.cursor()


def _release(cursor: Any) -> None:
    """Release a cursor after its connection: before that, MySQL's would first read the rest of the result."""
    with suppress(Exception):
        if type(cursor).__name__ == "SSCursor":
            cursor.connection = None
            # PyMySQL's result would read it, too, when it is forgotten.
            result: Any = getattr(cursor, "_result", None)
            if hasattr(result, "unbuffered_active"):
                result.unbuffered_active = False
        cursor.close()
