from __future__ import annotations

import pytest

from airflow_provider_caixin.sandbox import SandboxServer


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"nope": 1}, "nope: Extra inputs are not permitted"),
        (
            {"latency_ms": [2, 1]},
            "latency_ms: expected [least, most] milliseconds with the smaller one first",
        ),
        ({"latency_ms": [-1, 1]}, "latency_ms.0: Input should be greater than or equal to 0"),
        (
            {"answer": 7},
            "answer: expected 236300-236399, 10001-10099 or a fault's number of sandbox.magic.MAGIC",
        ),
        ({"window": "18:00-09:00"}, "window: expected HH:MM-HH:MM within one day, 09:00-18:00 for instance"),
        ({"window": "25:99"}, "window: expected HH:MM-HH:MM within one day, 09:00-18:00 for instance"),
        ({"answer_share": 2}, "answer_share: Input should be less than or equal to 1"),
        ({"quota": -1}, "quota: Input should be greater than or equal to 0"),
        ({"rate_limit": 0}, "rate_limit: Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(
    server: SandboxServer, settings: dict[str, object], sentence: str
) -> None:
    """The answer names the field and what was expected, and nothing is changed."""
    with pytest.raises(ValueError, match="sandbox: ") as refused:
        server.configure(**settings, maintenance=True)
    assert sentence in str(refused.value)
    assert server.state()["settings"]["maintenance"] is False
    with pytest.raises(ValueError, match=r".") as refused:
        SandboxServer(**settings)  # type: ignore[arg-type]
    assert sentence in str(refused.value)
