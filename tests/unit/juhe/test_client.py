from __future__ import annotations

import gzip
import json
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.juhe import (
    CODES,
    AccountRefused,
    CaixinError,
    GatewayError,
    JuheClient,
    Kind,
    NotReached,
    OutcomeUnknown,
    RecipientRejected,
    WrongEndpoint,
)
from airflow_provider_caixin.juhe.transport import Answer
from tests.unit.juhe.conftest import NUMBER, raised

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.juhe.conftest import Gateway

PAGE = b"<html><head><title>Bad Gateway</title></head></html>"


def test_a_message_is_one_form(client: JuheClient, gateway: Gateway) -> None:
    """A send is one POST with key, tplId and mobile in the body and the key nowhere else."""
    assert client.send(65535, NUMBER) == "5dadab2bc3b5bfb435608c6b5"
    (request,) = gateway.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /caixinv2/send HTTP/1.1"
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    assert headers["host"] == f"127.0.0.1:{gateway.port}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["accept-encoding"] == "identity"
    assert not {"cookie", "authorization"} & set(headers)
    assert parse_qsl(body.decode()) == [("key", gateway.KEY), ("tplId", "65535"), ("mobile", NUMBER)]


def test_special_characters_are_encoded(gateway: Gateway) -> None:
    """A key or number with characters that mean something in a form arrives as it is."""
    client = JuheClient("a&b=c+d%é", host="127.0.0.1", port=gateway.port, schema="http")
    client.send(1, "+86 138&x")
    client.close()
    body = gateway.requests[0].partition(b"\r\n\r\n")[2].decode()
    assert parse_qsl(body) == [("key", "a&b=c+d%é"), ("tplId", "1"), ("mobile", "+86 138&x")]


def test_the_path_may_have_a_suffix(gateway: Gateway, connect: Callable[..., JuheClient]) -> None:
    """Both of the document's forms of each address can be asked."""
    client = connect(gateway.port, path_suffix=".php")
    gateway.script += [gateway.accepted(), gateway.answer(gateway.envelope(result=[]))]
    client.send(1, NUMBER)
    client.templates()
    paths = [request.split(b" ")[1] for request in gateway.requests]
    assert paths == [b"/caixinv2/send.php", b"/caixinv2/myTpls.php"]


@pytest.mark.parametrize(
    "status",
    ["200 OK", "201 Created", "400 Bad Request", "404 Not Found", "429 Slow", "500 Oops", "502 Oops"],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/html; charset=iso-8859-1", "x"])
def test_an_envelope_decides_whatever_came_with_it(
    client: JuheClient, gateway: Gateway, status: str, content_type: str
) -> None:
    """HTTP status and Content-Type do not matter where the body is the gateway's envelope."""
    header = f"Content-Type: {content_type}"
    gateway.script += [
        gateway.answer(gateway.envelope(result={"sid": "a1"}), status, header),
        gateway.answer(gateway.envelope(236306, reason="手机号错误"), status, header),
    ]
    assert client.send(1, NUMBER) == "a1"
    error = raised(client)
    assert isinstance(error, RecipientRejected)
    assert (error.code, error.entry.kind) == (236306, Kind.RECIPIENT)


@pytest.mark.parametrize("code", [*sorted(set(CODES) - {0}), 424242])
@pytest.mark.parametrize("as_text", [False, True])
def test_every_code_is_raised(client: JuheClient, gateway: Gateway, code: int, as_text: bool) -> None:
    """Every code becomes its error with the gateway's reason, whether it came as int or as digits."""
    gateway.script.append(
        gateway.answer(gateway.envelope(str(code) if as_text else code, reason="the reason"))
    )
    error = raised(client)
    assert type(error) is type(GatewayError.of(code, ""))
    assert isinstance(error, GatewayError)
    assert (error.code, error.reason) == (code, "the reason")


def test_a_system_error_with_its_legacy_code(client: JuheClient, gateway: Gateway) -> None:
    """The answer that has really been seen for a used-up quota is understood."""
    body = '{"resultcode":"112","reason":"超过每日可允许请求次数!","result":null,"error_code":10012}'
    gateway.script.append(gateway.answer(body.encode()))
    error = raised(client)
    assert isinstance(error, GatewayError)
    assert (error.code, error.reason) == (10012, "超过每日可允许请求次数!")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, OutcomeUnknown),
        (202, OutcomeUnknown),
        (400, WrongEndpoint),
        (401, WrongEndpoint),
        (403, WrongEndpoint),
        (404, WrongEndpoint),
        (405, WrongEndpoint),
        (407, WrongEndpoint),
        (408, OutcomeUnknown),
        (429, NotReached),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (503, OutcomeUnknown),
        (504, OutcomeUnknown),
        (599, OutcomeUnknown),
        (999, OutcomeUnknown),
    ],
)
@pytest.mark.parametrize("body", [b"", PAGE, b'{"resultcode":"112","reason":"x"}'])
def test_without_an_envelope_the_status_decides(
    client: JuheClient, gateway: Gateway, status: int, kind: type[CaixinError], body: bytes
) -> None:
    """A web server's or proxy's own answer means what the design's table says for its status."""
    gateway.script.append(gateway.answer(body, f"{status} Something"))
    error = raised(client)
    assert type(error) is kind
    assert str(status) in str(error)


def test_an_answer_that_forbids_a_body_is_unknown(client: JuheClient, gateway: Gateway) -> None:
    """204 says that something was done and not what."""
    gateway.script.append(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert type(raised(client)) is OutcomeUnknown


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(client: JuheClient, gateway: Gateway, status: int) -> None:
    """A redirect is the wrong address even with an envelope in it, and only its target's host is told."""
    gateway.script.append(
        gateway.answer(
            gateway.envelope(),
            f"{status} Found",
            f"Location: https://user:pw@login.example/x?key={gateway.KEY}",
        )
    )
    error = raised(client)
    assert type(error) is WrongEndpoint
    assert "login.example" in str(error)
    assert "?" not in str(error)
    assert "pw" not in str(error)
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("location", ["", "/elsewhere", "http://[broken"])
def test_a_redirect_without_a_host_is_told_too(client: JuheClient, gateway: Gateway, location: str) -> None:
    """A Location that names no host makes no other error."""
    gateway.script.append(gateway.answer(b"", "302 Found", f"Location: {location}"))
    assert type(raised(client)) is WrongEndpoint


def test_a_redirect_is_told_without_its_body(client: JuheClient, gateway: Gateway) -> None:
    """A redirect is the wrong address even if the connection breaks off in its body."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 100\r\n\r\n")
        gateway.hang_up(sock)

    gateway.script.append(behave)
    assert type(raised(client)) is WrongEndpoint


def test_a_cookie_is_not_kept(client: JuheClient, gateway: Gateway) -> None:
    """What a gateway sets as a cookie does not come back to it."""
    gateway.script.append(gateway.answer(gateway.envelope(), "200 OK", "Set-Cookie: a=b; Path=/"))
    client.send(1, NUMBER)
    client.send(1, NUMBER)
    assert b"a=b" not in gateway.requests[1]


def test_a_netrc_is_not_read(
    client: JuheClient, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials for this host in a .netrc are not sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.send(1, NUMBER)
    assert b"authorization" not in gateway.requests[0].lower()


def test_a_compressed_envelope_is_read(client: JuheClient, gateway: Gateway) -> None:
    """A proxy that compresses what nobody asked it to compress does not make the outcome unknown."""
    body = gzip.compress(gateway.envelope(result={"sid": "zipped"}))
    gateway.script.append(gateway.answer(body, "200 OK", "Content-Encoding: gzip"))
    assert client.send(1, NUMBER) == "zipped"


def test_what_claims_to_be_compressed_is_unknown(client: JuheClient, gateway: Gateway) -> None:
    """A body that cannot be decompressed says nothing."""
    gateway.script.append(gateway.answer(gateway.envelope(), "200 OK", "Content-Encoding: gzip"))
    assert type(raised(client)) is OutcomeUnknown


def test_a_chunked_envelope_is_read(client: JuheClient, gateway: Gateway) -> None:
    """An answer in chunks is put together."""
    one, two = (
        gateway.envelope(result={"sid": "chunked"})[:20],
        gateway.envelope(result={"sid": "chunked"})[20:],
    )
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    gateway.script.append(head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (one, two, b"")))
    assert client.send(1, NUMBER) == "chunked"


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
def test_an_answer_that_ends_with_the_connection_is_read(
    client: JuheClient, gateway: Gateway, head: bytes
) -> None:
    """Without a length the answer ends with the connection, and the next message gets a new one."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(head + gateway.envelope(result={"sid": "last"}))
        gateway.hang_up(sock)

    gateway.script.append(behave)
    assert client.send(1, NUMBER) == "last"
    client.send(1, NUMBER)
    assert len(gateway.connections) == 2


def test_templates_are_read(client: JuheClient, gateway: Gateway) -> None:
    """The document's own example becomes templates; the request holds nothing but the key."""
    rows = [
        {
            "tplId": 65535,
            "url": "https://juhe-caixin.example/a.mp4",
            "content": "【聚合数据】测试模板内容",
            "tpl_state": 1,
            "created_at": "2021-05-19 18:09:15",
        },
        {
            "tplId": "65536",
            "url": "u",
            "content": "c",
            "tpl_state": "0",
            "created_at": " 2021-05-21 10:19:13 ",
        },
    ]
    gateway.script.append(gateway.answer(gateway.envelope(result=rows)))
    first, second = client.templates()
    assert (first.tpl_id, first.signature, first.url) == (
        65535,
        "聚合数据",
        "https://juhe-caixin.example/a.mp4",
    )
    assert first.created_at == datetime(2021, 5, 19, 18, 9, 15, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert [template.available for template in (first, second)] == [True, False]
    assert second.tpl_id == 65536
    assert second.created_at is not None
    request = gateway.requests[0]
    assert request.startswith(b"POST /caixinv2/myTpls HTTP/1.1\r\n")
    assert parse_qsl(request.partition(b"\r\n\r\n")[2].decode()) == [("key", gateway.KEY)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"tplId": 7}, (7, "", "", False, None)),
        ({"tplId": " 7 ", "tpl_state": "1"}, (7, "", "", True, None)),
        ({"tplId": 7, "content": None, "url": 5, "tpl_state": [], "created_at": 0}, (7, "", "", False, None)),
        ({"tplId": 7, "created_at": "2021-02-30 00:00:00"}, (7, "", "", False, None)),
        ({"tplId": 7, "created_at": "yesterday"}, (7, "", "", False, None)),
        ({"tplId": 7, "tpl_state": 2}, (7, "", "", False, None)),
        ({"tplId": None}, None),
        ({"tplId": True}, None),
        ({"tplId": "x"}, None),
        ({}, None),
        (None, None),
        ("7", None),
    ],
)
def test_an_odd_row_is_read_as_far_as_it_goes(
    client: JuheClient, gateway: Gateway, row: object, expected: tuple[object, ...] | None
) -> None:
    """Missing and odd fields do not hide the other templates; without an id there is no template."""
    gateway.script.append(gateway.answer(gateway.envelope(result=[row, {"tplId": 8}])))
    *rest, last = client.templates()
    found = [(t.tpl_id, t.content, t.url, t.available, t.created_at) for t in rest]
    assert found == ([] if expected is None else [expected])
    assert last.tpl_id == 8


@pytest.mark.parametrize("result", [None, [], "", {}])
def test_an_account_without_templates_has_none(client: JuheClient, gateway: Gateway, result: object) -> None:
    """An empty result of any kind is an empty list."""
    gateway.script.append(gateway.answer(gateway.envelope(result=result)))
    assert client.templates() == []


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"error_code":10008,"reason":"x","result":null}', "200 OK", AccountRefused),
        (b'{"error_code":0,"result":"text"}', "200 OK", OutcomeUnknown),
        (b'{"error_code":0,"result":{"tplId":1}}', "200 OK", OutcomeUnknown),
        (PAGE, "502 Bad Gateway", OutcomeUnknown),
        (PAGE, "404 Not Found", WrongEndpoint),
        (b"", "429 Slow down", NotReached),
    ],
)
def test_asking_for_templates_fails_as_sending_does(
    client: JuheClient, gateway: Gateway, body: bytes, status: str, kind: type[CaixinError]
) -> None:
    """The errors of the second call are those of the first."""
    gateway.script.append(gateway.answer(body, status))
    with pytest.raises(CaixinError) as caught:
        client.templates()
    assert type(caught.value) is kind


def test_a_long_list_of_templates_is_read(client: JuheClient, gateway: Gateway) -> None:
    """A list may be larger than the answer to a message may."""
    rows = [{"tplId": number, "content": "x" * 1000} for number in range(1000)]
    gateway.script.append(gateway.answer(gateway.envelope(result=rows)))
    assert len(client.templates()) == 1000


def test_a_list_of_templates_has_a_limit(client: JuheClient, gateway: Gateway) -> None:
    """4 MiB is no list of templates."""
    gateway.script.append(gateway.answer(gateway.envelope(reason="x" * 4 * 1024 * 1024, result=[])))
    with pytest.raises(OutcomeUnknown, match="4096 KiB"):
        client.templates()


def test_a_reason_is_made_fit_to_be_shown(client: JuheClient, gateway: Gateway) -> None:
    """Key and numbers in a reason are masked, line breaks taken out, and it is cut at 200 characters."""
    reason = f"号码{NUMBER}与8613912345678\n无效 {gateway.KEY}\x00 " + "长" * 300
    gateway.script.append(gateway.answer(gateway.envelope(236309, reason=reason)))
    error = raised(client)
    assert isinstance(error, GatewayError)
    assert error.reason.startswith("号码138****8000与86139****5678 无效 *** 长长")
    assert len(error.reason) == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%b",
        b"%b\r\n\r\n",
        b"HTTP/1.1 200 %b\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n%b: x\r\n y\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /?%b\r\n\r\n",
        b"HTTP/1.1 404 %b\r\nContent-Length: 66\r\n\r\n%b",
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"error_code":10012,"result":"%b"}',
        b'HTTP/1.1 500 OK\r\n\r\n{"error_code":10001,"reason":"%b","result":"%b"}',
    ],
)
def test_nothing_that_is_echoed_is_shown(
    gateway: Gateway,
    connect: Callable[..., JuheClient],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
) -> None:
    """No error, log, repr or debugging output holds the key or the number, whatever the gateway echoes."""
    monkeypatch.setattr("http.client.HTTPConnection.debuglevel", 1)
    caplog.set_level("DEBUG")
    secrets = f"{gateway.KEY}-{NUMBER}"

    def behave(sock: socket.socket) -> None:
        sock.sendall(answer.replace(b"%b", secrets.encode()))
        gateway.hang_up(sock)

    gateway.script.append(behave)
    client = connect(gateway.port)
    error = raised(client)
    seen = [
        str(error),
        repr(error),
        repr(error.__cause__),
        repr(client),
        str(client),
        caplog.text,
        *capfd.readouterr(),
    ]
    for text in seen:
        assert gateway.KEY not in text
        assert NUMBER not in text
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"app_key": ""}, "app_key"),
        ({"app_key": None}, "app_key"),
        ({"app_key": " sosecret"}, "app_key"),
        ({"app_key": "sosecret\n"}, "app_key"),
        ({"app_key": "so\tsecret"}, "app_key"),
        ({"app_key": "so\u3000secret"}, "app_key"),
        ({"app_key": "so\x7fsecret"}, "app_key"),
        ({"host": ""}, "host"),
        ({"host": None}, "host"),
        ({"host": "http://v.juhe.cn"}, "host"),
        ({"host": "v.juhe.cn/caixinv2"}, "host"),
        ({"host": "v.juhe.cn:80"}, "host"),
        ({"host": "v juhe cn"}, "host"),
        ({"host": "user@v.juhe.cn"}, "host"),
        ({"host": "*.juhe.cn"}, "host"),
        ({"schema": "ftp"}, "schema"),
        ({"schema": "HTTPS"}, "schema"),
        ({"schema": None}, "schema"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "80"}, "port"),
        ({"port": True}, "port"),
        ({"path_suffix": "php"}, "path_suffix"),
        ({"path_suffix": None}, "path_suffix"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": "10"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"pool_size": 0}, "pool_size"),
        ({"pool_size": 1.5}, "pool_size"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, object], field: str) -> None:
    """A wrong argument is refused at once, by its name, and a wrong key without showing it."""
    with pytest.raises(ValueError, match=f"^{field}: ") as caught:
        JuheClient(**{"app_key": "k", **options})  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        ({}, "https://v.juhe.cn"),
        ({"schema": "http", "port": 8088, "host": "::1"}, "http://[::1]:8088"),
        ({"host": "[::1]"}, "https://[::1]"),
    ],
)
def test_a_client_tells_where_it_calls(options: dict[str, object], origin: str) -> None:
    """The repr shows the address, by default the document's over https, and not the key."""
    client = JuheClient("sosecret", **options)  # type: ignore[arg-type]
    assert repr(client) == f"JuheClient({origin})"
    client.close()


@settings(deadline=None)
@given(
    status=st.integers(100, 999),
    location=st.text(max_size=30),
    body=st.binary(max_size=60)
    | st.fixed_dictionaries(
        {},
        optional={
            "error_code": st.integers() | st.text(max_size=7),
            "reason": st.text(),
            "result": st.none(),
        },
    ).map(lambda data: json.dumps(data).encode()),
)
def test_an_answer_is_a_result_or_one_of_our_errors(status: int, location: str, body: bytes) -> None:
    """No status, Location and body make anything else than an envelope that says 0 or a CaixinError."""
    client = JuheClient("k" * 32, schema="http")
    try:
        assert client._envelope(Answer(status, location, body)).code == 0
    except CaixinError as error:
        assert str(error)  # noqa: PT017
    finally:
        client.close()
