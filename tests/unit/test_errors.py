from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import airflow_provider_caixin
from airflow_provider_caixin import errors
from airflow_provider_caixin.audience import AudienceError
from airflow_provider_caixin.campaign.errors import CampaignError
from airflow_provider_caixin.errors import CaixinProviderError
from airflow_provider_caixin.juhe import CaixinError
from airflow_provider_caixin.ledger import LedgerError

KINDS = (AudienceError, CaixinError, CampaignError, LedgerError)


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


def test_there_are_four_kinds_and_all_are_drawn(all_errors: set[type[Exception]]) -> None:
    """No error is of two of them: who handles the gateway's does not handle the ledger's by chance."""
    assert {one for one in all_errors if CaixinProviderError in one.__bases__} == set(KINDS)
    for kind in KINDS:
        assert f"── {kind.__name__} " in (errors.__doc__ or "")
    for one in all_errors:
        assert sum(issubclass(one, kind) for kind in KINDS) == 1, one


def test_a_picture_of_errors_has_all_of_its_module(all_errors: set[type[Exception]]) -> None:
    """Who writes an ``except`` reads which errors there are in one place."""
    for one in all_errors:
        said = import_module(one.__module__).__doc__ or ""
        if "::" in said:
            assert one.__name__ in said, one
