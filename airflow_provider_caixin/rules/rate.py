"""How fast an account may send, in messages a second."""

from __future__ import annotations

from typing import Final

#: The gateway's document: 发送速度：300条/s.
GATEWAY_RATE: Final = 300.0
#: 2 % below it, because the gateway counts arrivals and arrivals jitter.
DEFAULT_RATE: Final = 294.0
