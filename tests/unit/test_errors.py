from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import airflow_provider_caixin
from airflow_provider_caixin import errors
from airflow_provider_caixin.errors import CaixinProviderError


def below(kind: type[Exception]) -> set[type[Exception]]:
    """Return all classes that are derived from one."""
    return {one for child in kind.__subclasses__() for one in (child, *below(child))}


@pytest.fixture(scope="module")
def all_errors() -> set[type[Exception]]:
    """Return every error of the provider, whichever module has it."""
    for one in pkgutil.walk_packages(airflow_provider_caixin.__path__, "airflow_provider_caixin."):
        if not one.name.endswith("__main__"):
            import_module(one.name)
    ours = below(CaixinProviderError)
    return {one for one in ours if one.__module__.startswith("airflow_provider_caixin.")}


def test_no_error_is_of_two_kinds(all_errors: set[type[Exception]]) -> None:
    """Who handles the gateway's errors does not handle the ledger's by chance; the root draws the kinds."""
    kinds = {one for one in all_errors if CaixinProviderError in one.__bases__}
    assert {"AudienceError", "CaixinError", "CampaignError", "LedgerError"} <= {one.__name__ for one in kinds}
    for kind in kinds:
        assert f"── {kind.__name__} " in (errors.__doc__ or ""), kind
    for one in all_errors:
        assert sum(issubclass(one, kind) for kind in kinds) == 1, one


def test_a_picture_of_errors_has_all_of_its_module(all_errors: set[type[Exception]]) -> None:
    """Who writes an ``except`` reads which errors there are in one place."""
    for one in all_errors:
        said = import_module(one.__module__).__doc__ or ""
        if "::" in said:
            assert one.__name__ in said, one
