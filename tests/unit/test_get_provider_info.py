"""What Airflow is told of this provider, checked against what is there."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft7Validator, validate

from airflow_provider_caixin.get_provider_info import get_provider_info
from airflow_provider_caixin.settings import connection
from airflow_provider_caixin.settings.options import CONFIG_OPTIONS, get_option

DISTRIBUTION = "airflow-provider-caixin"
INFO = get_provider_info()


def declared_modules() -> list[str]:
    """Return every Python module that the provider info names."""
    return [
        module
        for part in ("hooks", "operators", "sensors", "triggers")
        for entry in INFO[part]
        for module in entry["python-modules"]
    ]


def declared_names() -> list[str]:
    """Return every class and function that the provider info names."""
    return [
        *INFO["notifications"],
        *INFO["extra-links"],
        *(entry["class-name"] for entry in INFO["task-decorators"]),
        *(f"{entry['python-module']}.SqlToCaixinOperator" for entry in INFO["transfers"]),
    ]


def airflow_schema(name: str) -> dict[str, Any]:
    """Return one of the JSON schemas that Airflow ships."""
    schema: dict[str, Any] = json.loads(files("airflow").joinpath(name).read_text(encoding="utf-8"))
    return schema


def test_airflow_accepts_the_provider_info() -> None:
    """The schema is the one that Airflow checks providers with when it starts."""
    validate(INFO, airflow_schema("provider_info.schema.json"), Draft7Validator)


def test_the_connection_form_is_what_airflow_understands() -> None:
    """Only the schema of provider.yaml knows forms; Airflow's own check lets any through."""
    schema = airflow_schema("provider.yaml.schema.json")
    validate(INFO["connection-types"], schema["properties"]["connection-types"], Draft7Validator)


def test_the_connection_form_has_every_extra_that_is_read() -> None:
    """A setting without a field could only be found in the documentation."""
    [form] = INFO["connection-types"]
    assert set(form["conn-fields"]) == set(connection._EXTRA_FIELDS)


@pytest.mark.parametrize("module", declared_modules())
def test_a_declared_module_imports(module: str) -> None:
    """A typing error in the provider info would only show in somebody's Dag."""
    import_module(module)


@pytest.mark.parametrize("name", declared_names())
def test_a_declared_name_is_there(name: str) -> None:
    """Airflow finds out only when somebody uses it."""
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(import_module(module), attribute))


def test_the_declared_hook_says_the_same_of_itself() -> None:
    """Airflow warns and drops the connection type when hook and provider info disagree."""
    [form] = INFO["connection-types"]
    module, _, name = form["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (form["connection-type"], form["hook-name"])


def test_the_declared_plugin_is_the_one_of_the_entry_point() -> None:
    """Airflow loads the entry point, and shows the declared one."""
    [declared] = INFO["plugins"]
    [entry] = [
        entry
        for entry in entry_points(group="airflow.plugins")
        if entry.dist is not None and entry.dist.name == DISTRIBUTION
    ]
    assert entry.name == declared["name"] == entry.load().name
    assert entry.value.replace(":", ".") == declared["plugin-class"]


def test_every_option_is_in_the_configuration_section() -> None:
    """`airflow config list` shows what the provider reads, and nothing else."""
    assert INFO["config"]["caixin"]["options"] == CONFIG_OPTIONS


@pytest.mark.parametrize("name", CONFIG_OPTIONS)
def test_an_option_is_its_default_until_it_is_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's value goes before the default; Airflow's environment variables count."""
    variable = f"AIRFLOW__CAIXIN__{name.upper()}"
    monkeypatch.delenv(variable, raising=False)
    assert get_option(name) == CONFIG_OPTIONS[name]["default"]
    monkeypatch.setenv(variable, "something else")
    assert get_option(name) == "something else"


def test_the_provider_info_is_light() -> None:
    """Every Airflow process builds it at its start: no Airflow, HTTP or database code is imported for it."""
    program = (
        "import sys; from airflow_provider_caixin.get_provider_info import get_provider_info; get_provider_info();"
        "print(sorted({'airflow', 'fastapi', 'pendulum', 'requests', 'sqlalchemy'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert output.stdout.strip() == "[]"
