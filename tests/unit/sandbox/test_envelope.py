from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller


def test_a_system_error_has_the_legacy_code_in_front(caller: Caller) -> None:
    """System errors carry resultcode as text, reason, a null result and error_code, in this order."""
    assert caller.send(key="sandbox-10012").decode() == (
        '{"resultcode":"112","reason":"请求超过次数限制","result":null,"error_code":10012}'
    )


def test_a_service_error_has_no_legacy_code(caller: Caller) -> None:
    """Service errors carry reason, a null result and error_code, in this order."""
    assert caller.send("12345").decode() == '{"reason":"手机号错误","result":null,"error_code":236306}'
