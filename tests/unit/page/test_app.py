"""The page as Airflow lists it."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import Browser


def test_airflow_lists_the_page(browser: Callable[..., Browser]) -> None:
    """In its navigation, and among its plugins without an error."""
    client = browser("admin").client
    plugins = client.get("/api/v2/plugins").json()["plugins"]
    [ours] = [one for one in plugins if one["name"] == "caixin"]
    assert [(view["name"], view["href"], view["destination"]) for view in ours["external_views"]] == [
        ("Caixin", "/caixin/", "nav")
    ]
    assert client.get("/api/v2/plugins/importErrors").json()["import_errors"] == []
