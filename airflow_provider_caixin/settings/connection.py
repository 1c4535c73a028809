"""An Airflow connection of type ``caixin``, read once into checked, typed settings."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from airflow_provider_caixin.rules import DEFAULT_RATE, GATEWAY_RATE, FrequencyCap, SendWindow
from airflow_provider_caixin.settings.options import CONFIG_OPTIONS, get_option

if TYPE_CHECKING:
    from airflow_provider_caixin.juhe.client import JuheClient
    from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey

log = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_HOST: Final = "v.juhe.cn"
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
# A claim is leased for 60 s, which has to be more than three timeouts.
TIMEOUT_LIMIT_SECONDS: Final = 20.0
NO_RULE: Final = "none"
# What is hashed with the AppKey for the ledger's memory of it and is hashed nowhere else.
_FINGERPRINT: Final = b"airflow-provider-caixin account key\0"

_EXTRA_FIELDS: Final = (
    "timeout",
    "messages_per_second",
    "max_per_day",
    "send_window",
    "frequency_cap",
    "blocked_regions",
    "account",
    "ledger_conn_id",
    "path_suffix",
)


class AirflowConnection(Protocol):
    """What is read of an Airflow connection, whichever of Airflow's classes it is."""

    conn_id: Any
    password: Any
    host: Any
    schema: Any
    port: Any

    @property
    def extra_dejson(self) -> Any:
        """The extra as a dict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaixinConnection:
    """The settings of one connection: where the gateway is, on whose account, and under which rules.

    A setting is the connection's own, else the ``[caixin]`` configuration's, else the built-in default. Form
    fields left empty arrive as null, ``""`` or an empty list and are not given; the text ``none`` in
    ``max_per_day``, ``send_window``, ``frequency_cap`` and ``blocked_regions`` switches a rule off.

    :param app_key: never shown by ``repr``.
    :param schema: ``https`` or ``http``.
    :param port: None: the schema's own.
    :param path_suffix: ``""`` or ``".php"``, appended to the gateway's paths.
    :param timeout: seconds in which a call has to be answered.
    :param account: the name that rate and caps are counted by in the ledger.
    :param messages_per_second: at most 300 (the gateway's document: 300条/s).
    :param max_per_day: in one day of Asia/Shanghai; None: no limit.
    :param send_window: None: any time.
    :param frequency_cap: None: no cap.
    :param ledger_conn_id: None: the embedded SQLite ledger.
    :param origins: where each rule comes from, for the log.
    """

    conn_id: str
    app_key: str = field(repr=False)
    host: str = DEFAULT_HOST
    schema: str = "https"
    port: int | None = None
    path_suffix: str = ""
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    account: str
    messages_per_second: float
    max_per_day: int | None
    send_window: SendWindow | None
    frequency_cap: FrequencyCap | None
    blocked_regions: tuple[str, ...]
    ledger_conn_id: str | None
    origins: Mapping[str, str]

    @classmethod
    def parse(cls, conn: AirflowConnection) -> CaixinConnection:
        """Read and check an Airflow connection; its AppKey is hidden from logs from here on.

        :raises ValueError: for a value that cannot be right; names the field and what was expected.
        """
        from airflow.sdk.log import mask_secret

        place = f"Connection {conn.conn_id!r}"
        app_key = str(conn.password or "").strip()
        if not app_key:
            raise ValueError(
                f"{place} has no AppKey: put the AppKey that Juhe issued for 视频短信 into the field AppKey (password)."
            )
        mask_secret(app_key)
        try:
            extra = read_extra(conn, '{"timeout": 10}')
            host, schema, port = _host(conn.host), _schema(conn.schema), _port(conn.port)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        _warn_of_unknown(extra, place)
        origins: dict[str, str] = {}

        def setting(name: str, read: Callable[[Any, str], T], *, can_be_off: bool = False) -> T | None:
            """Return the first that is given of extra, configuration and built-in default."""
            candidates = [(extra.get(name), f"{place}, extra")]
            if name in CONFIG_OPTIONS:
                candidates.append((get_option(name), "[caixin] configuration"))
                # An option that is there but empty must not switch a rule off.
                candidates.append((CONFIG_OPTIONS[name]["default"], "built-in default"))
            for value, origin in candidates:
                if not _is_given(value):
                    continue
                origins[name] = origin
                if can_be_off and isinstance(value, str) and value.strip().lower() == NO_RULE:
                    return None
                try:
                    return read(value, name)
                except ValueError as error:
                    raise ValueError(f"{origin}: {error}") from None
            return None

        return cls(
            conn_id=str(conn.conn_id),
            app_key=app_key,
            host=host,
            schema=schema,
            port=port,
            path_suffix=setting("path_suffix", _path_suffix) or "",
            timeout=setting("timeout", _seconds) or DEFAULT_TIMEOUT_SECONDS,
            account=setting("account", _name) or _name_of_key(app_key),
            messages_per_second=setting("messages_per_second", _rate) or DEFAULT_RATE,
            max_per_day=setting("max_per_day", _count, can_be_off=True),
            send_window=setting("send_window", lambda value, _: SendWindow.parse(value), can_be_off=True),
            frequency_cap=setting(
                "frequency_cap", lambda value, _: FrequencyCap.parse(value), can_be_off=True
            ),
            blocked_regions=setting("blocked_regions", regions_of, can_be_off=True) or (),
            ledger_conn_id=setting("ledger_conn_id", _name),
            origins=origins,
        )

    def known_app_key(self) -> KnownAppKey:
        """Return what the ledger may know of the AppKey: a digest that is made for nothing else."""
        from airflow_provider_caixin.ledger.rows.account_names import KnownAppKey

        fingerprint = hashlib.sha256(_FINGERPRINT + self.app_key.encode()).hexdigest()
        return KnownAppKey(fingerprint, self.conn_id, _name_of_key(self.app_key))

    def client(self, **options: Any) -> JuheClient:
        """Make a client of this connection's gateway; nothing is connected yet."""
        from airflow_provider_caixin.juhe.client import JuheClient

        return JuheClient(
            self.app_key,
            host=self.host,
            schema=self.schema,
            port=self.port,
            path_suffix=self.path_suffix,
            timeout=self.timeout,
            **options,
        )


def _name_of_key(app_key: str) -> str:
    """Return the name of an account that was given none."""
    return hashlib.sha256(app_key.encode()).hexdigest()[:16]


def regions_of(value: object, name: str = "blocked_regions") -> tuple[str, ...]:
    """Read names of cities and provinces from a list, or from text with commas between them.

    :param name: what the error calls it.
    :raises ValueError: when it is neither, or an empty text. Whether a region exists is checked with the
        number data.
    """
    if isinstance(value, str) and not value.strip():
        raise ValueError(
            f'{name} is an empty text: expected names such as "北京,沈阳", or None for no region.'
        )
    items = re.split(r"[\s,;，；、]+", value) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, set, frozenset)) or not all(
        isinstance(item, str) for item in items
    ):
        raise ValueError(
            f'{name} {value!r} is not a list of regions: expected names such as ["北京", "沈阳"], or "北京,沈阳".'
        )
    return tuple(item.strip() for item in items if item.strip())


def read_extra(conn: AirflowConnection, example: str) -> dict[str, Any]:
    """Read the extra of a connection, which has to be a JSON object.

    :param example: one such as is expected, for the error.
    :raises ValueError: when it is another thing.
    """
    extra = conn.extra_dejson
    text = str(getattr(conn, "extra", None) or "").strip()
    # Airflow reads a broken extra as an empty one: rules or a CA would go missing without a word.
    if not isinstance(extra, dict) or (not extra and text not in ("", "null", "{}")):
        raise ValueError(f"extra is not a JSON object; expected one such as {example}.")
    return extra


def _warn_of_unknown(extra: Mapping[str, Any], place: str) -> None:
    for unknown in sorted(set(map(str, extra)) - set(_EXTRA_FIELDS)):
        # Rarely needed, and importing it takes milliseconds.
        from difflib import get_close_matches

        close = get_close_matches(unknown, _EXTRA_FIELDS, n=1)
        log.warning(
            "%s: extra field %r is not known and has no effect%s.",
            place,
            unknown,
            f"; did you mean {close[0]!r}?" if close else "",
        )


def _is_given(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value not in ([], {})


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds(value: object, name: str) -> float:
    number = _number(value)
    if number is None or not 0 < number < TIMEOUT_LIMIT_SECONDS:
        raise ValueError(
            f"{name} {value!r} is not a number of seconds above 0 and below {TIMEOUT_LIMIT_SECONDS:g}; "
            f"write such a number or leave it empty for {DEFAULT_TIMEOUT_SECONDS:g}."
        )
    return number


def _rate(value: object, name: str) -> float:
    number = _number(value)
    if number is None or not 0 < number <= GATEWAY_RATE:
        raise ValueError(
            f"{name} {value!r} is not a number above 0 and up to {GATEWAY_RATE:g}, which is what the gateway allows; "
            f"write such a number or leave it empty for {DEFAULT_RATE:g}."
        )
    return number


def _count(value: object, name: str) -> int:
    number = _number(value)
    if number is None or number != int(number) or number < 1:
        raise ValueError(
            f"{name} {value!r} is not a whole number from 1; write such a number, or leave it empty for no limit."
        )
    return int(number)


def _name(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} {value!r} is not a name: write it as text.")
    return value.strip()


def _path_suffix(value: object, name: str) -> str:
    if value != ".php":
        raise ValueError(f'{name} {value!r} is not known: write ".php" or leave it empty.')
    return ".php"


def _host(value: object) -> str:
    host = str(value or "").strip() or DEFAULT_HOST
    # An IPv6 address has more than one colon.
    if any(mark in host for mark in "/?#@ \\") or host.count(":") == 1:
        # A pasted address may carry the key in its query.
        shown = host.split("?")[0].split("@")[-1]
        raise ValueError(
            f"host {shown!r} is not a host name: write it without scheme, port and path, such as {DEFAULT_HOST!r}; "
            "scheme and port have fields of their own."
        )
    return host


def _schema(value: object) -> str:
    schema = str(value or "").strip().lower() or "https"
    if schema not in ("https", "http"):
        raise ValueError(f"schema {value!r} is not known: write https, or http for a gateway without TLS.")
    return schema


def _port(value: object) -> int | None:
    if not _is_given(value):
        return None
    number = _number(value)
    if number is None or number != int(number) or not 1 <= number <= 65535:
        raise ValueError(
            f"port {value!r} is not a TCP port: write a number from 1 to 65535, or leave it empty."
        )
    return int(number)
