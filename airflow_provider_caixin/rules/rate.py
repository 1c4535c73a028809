"""Messages a second of an account."""

from __future__ import annotations

from typing import Final

#: 发送速度：300条/s.
GATEWAY_RATE: Final = 300.0
#: 2 % below it, because the gateway counts arrivals and arrivals jitter.
DEFAULT_RATE: Final = 294.0
