"""What pip is told of this provider, and how its tests are divided."""

from __future__ import annotations

from importlib.metadata import distribution, entry_points, version
from importlib.resources import files

import pytest

import airflow_provider_caixin
from airflow_provider_caixin.get_provider_info import get_provider_info

DISTRIBUTION = "airflow-provider-caixin"
INFO = get_provider_info()


def test_the_package_name_is_the_name_of_the_distribution() -> None:
    """Airflow's whole provider discovery dies when the two differ."""
    assert INFO["package-name"] == DISTRIBUTION == distribution(DISTRIBUTION).metadata["Name"]


def test_the_version_is_that_of_the_package() -> None:
    """One version number, in one place."""
    assert version(DISTRIBUTION) == airflow_provider_caixin.__version__


def test_airflow_finds_the_provider_through_its_entry_point() -> None:
    """The entry point of our distribution leads to the provider info."""
    [entry] = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist is not None and entry.dist.name == DISTRIBUTION
    ]
    assert entry.load()() == INFO


def test_type_checkers_may_read_the_package() -> None:
    """PEP 561: without this file its annotations do not count."""
    assert files(airflow_provider_caixin).joinpath("py.typed").is_file()


def test_tests_of_one_group_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """The name that pytest-xdist divides by holds the group; without it each process starts an Airflow."""
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("the tests are not divided")
    grouped = [item for item in request.session.items if item.get_closest_marker("xdist_group")]
    assert all("@" in item.nodeid for item in grouped)
